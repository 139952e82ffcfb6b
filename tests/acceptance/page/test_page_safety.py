"""A memory may hold anything. On the page it is text."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import expect

STATIC = Path(__file__).parents[3] / "bridge" / "web" / "static"
OWN = sorted(path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts)
SCRIPTS = [path for path in OWN if path.suffix == ".js"]

HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script></script><b>bold</b>'


def test_hostile_events_are_shown_letter_by_letter(site, page_url, open_page, go):
    mark = uuid.uuid4().hex
    session = f"ses_<i>{mark[:8]}</i>"
    path = 'src/<img src=x onerror="window.pwned=3">.py'
    site.happen(
        {"event_id": f"{mark}1", "kind": "prompt", "session": session, "content": f"{mark} {HOSTILE}"},
        {"event_id": f"{mark}2", "kind": "file_edit", "session": session,
         "content": f"Modified: {path} {mark} {HOSTILE}", "metadata": {"path": path, "change": "modified"}},
        {"event_id": f"{mark}3", "kind": "error", "session": session,
         "content": f"Error: {mark} {HOSTILE} \x1b[31m \u202egnp.exe", "metadata": {"name": HOSTILE}},
    )  # fmt: skip

    with open_page(page_url) as page:
        for flushed in (False, True):
            if flushed:
                site.ask("/api/flush", {"session": session})
            go(page, "timeline", group=site.group, session=session)
            expect(page.locator(".episode", has_text=mark).first).to_be_visible()
            for row in range(page.locator(".episode").count()):
                page.locator(".episode").nth(row).click()
                panel = page.get_by_role("complementary", name="Episode")
                expect(panel.locator(".body")).to_contain_text('onerror="window.pwned=')
            assert page.locator("main img, main script, main b, main i").count() == 0
            go(page, "ask", group=site.group, text=f"{mark} {HOSTILE}")
            expect(page.locator(".figures")).to_be_visible()
            go(page, "diagnostics", group=site.group)
            expect(page.locator(".backlog tbody tr").first).to_be_visible()
            assert page.locator("main img, main script, main b, main i").count() == 0
        go(page, "graph", group=site.group, text=path)
        expect(page.locator(".legend-item").first).to_be_visible()
        assert page.locator("main img, main script, main b, main i").count() == 0


def test_what_hides_or_turns_text_is_made_visible(made_up_site, open_page, go):
    with open_page(made_up_site.invite()) as page:
        go(page, "timeline", group="g_bad", kind="prompt")
        page.locator(".episode").first.click()
        body = page.get_by_role("complementary", name="Episode").locator(".body")
        expect(body).to_contain_text("‹U+202E›gnp.exe‹U+202C› ‹U+001B›[31mred")
        assert not re.search("[\u202a-\u202e\x1b]", page.locator("main").inner_text())


def test_a_hostile_project_is_harmless_in_every_view(made_up_site, open_page, go):
    stands = {"timeline": ".episode", "injections": ".ledger-head", "graph": ".legend-item"}
    with open_page(made_up_site.invite()) as page:
        for view, there in stands.items():
            go(page, view, group="g_bad")
            expect(page.locator(there).first).to_be_visible()
        go(page, "injections", group="g_bad")
        page.locator(".ledger-head").first.click()
        expect(page.locator(".ledger-block .block")).to_contain_text("[Memory Context]")
        assert page.locator("main img, main script, main b, select img").count() == 0


def test_the_page_is_served_under_a_policy_that_knows_no_inline_code(site, page_url, open_page):
    with open_page(page_url, allowed=("violat", "Content Security Policy")) as page:
        expect(page.get_by_label("Project")).to_be_visible()
        page.evaluate("""() => {
          const script = document.createElement("script");
          script.textContent = "window.pwned = 9";
          document.body.append(script);
          const style = document.createElement("div");
          style.setAttribute("style", "color: red");
        }""")
        page.wait_for_function("() => window.violations.length >= 1")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_no_script_makes_markup_of_text(path):
    text = path.read_text(encoding="utf-8")
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|\beval\(|new Function|setAttribute\(\"(?:style|on)|srcdoc|javascript:"
    assert re.findall(sinks, text) == []


def test_the_document_has_no_inline_code_and_asks_nobody_else_for_anything():
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\son\w+=", text) == []
    references = set(re.findall(r'(?:src|href)="([^"#]+)', text))
    assert references
    assert all(reference.startswith("/static/") for reference in references)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_every_file_is_small_and_names_no_other_host(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert set(re.findall(r"https?://[^\s\"'`)]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_what_is_vendored_comes_with_its_licence_and_is_named_in_the_notice():
    (library,) = STATIC.glob("vendor/*.js")
    version = re.search(r"cytoscape-([\d.]+)\.esm\.min\.js", library.name)[1]
    assert "Permission is hereby granted" in (STATIC / "vendor" / "cytoscape.LICENSE").read_text()
    notice = (STATIC.parents[2] / "NOTICE").read_text(encoding="utf-8")
    assert f"Cytoscape.js {version}" in notice
    assert "MIT" in notice
    assert f'version="{version}"' in library.read_text(encoding="utf-8")
