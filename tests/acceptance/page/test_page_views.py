"""Every view, at two widths and in both themes, with nothing that goes wrong."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

#: What stands in each view once it has something to show.
STANDS = {
    "timeline": ".episode",
    "ask": ".candidate",
    "graph": ".legend-item",
    "injections": ".ledger-head",
    "diagnostics": ".metrics tbody tr",
}
QUESTION = "How often may the payment client retry?"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_view_shows_what_there_is_and_nothing_runs_over(site, open_page, go, width, theme):
    # An injection to show, where nobody has made any up.
    payload = {"query": QUESTION, "session_id": "ses_page", "message_id": f"msg_{width}{theme}"}
    if site.project != "acme/checkout":
        site.ask("/api/hooks/chat:start", {"payload": payload, "project": site.project})

    with open_page(site.invite(), width=width, theme=theme) as page:
        for view, stands in STANDS.items():
            go(page, view, group=site.group, **({"text": QUESTION} if view == "ask" else {}))
            expect(page.locator(stands).first).to_be_visible()
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert over <= 0, f"{view} is {over} px too wide"
            assert _is_dark(page) == (theme == "dark")
            assert _nameless(page) == []


def _is_dark(page):
    red = "getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/)[0]"
    return page.evaluate(f"Number({red})") < 128


def _nameless(page):
    """Controls that a screen reader could not name."""
    return page.evaluate("""() => [...document.querySelectorAll("button, a, input, select, textarea")]
      .filter((each) => each.checkVisibility())
      .filter((each) => !(each.textContent.trim() || each.ariaLabel || each.labels?.length))
      .map((each) => each.outerHTML)""")


def test_the_theme_can_be_chosen_and_stays_chosen(made_up_site, open_page):
    with open_page(made_up_site.invite(), theme="light") as page:
        expect(page.locator(".episode").first).to_be_visible()
        assert not _is_dark(page)

        page.get_by_role("button", name="Light or dark").click()
        assert _is_dark(page)

        page.reload()
        expect(page.locator(".episode").first).to_be_visible()
        assert _is_dark(page)

        page.get_by_role("button", name="Light or dark").click()
        assert not _is_dark(page)
        assert page.evaluate("localStorage.getItem('theme')") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_colour_is_readable_on_every_ground(made_up_site, open_page, theme):
    inks = ["ink", "ink-2", "ink-3", "accent", "pending", "good", "bad"]
    inks += [f"kind-{kind}" for kind in ("prompt", "file_edit", "command", "error", "success")]
    inks += [f"kind-{kind}" for kind in ("summary", "message", "note", "tool", "fact")]
    with open_page(made_up_site.invite(), theme=theme) as page:
        expect(page.locator(".episode").first).to_be_visible()
        measured = page.evaluate(_CONTRAST, [inks, ["paper", "sheet", "sunken", "hover", "chosen"]])
    faint = {pair: ratio for pair, ratio in measured.items() if ratio < 4.5}
    assert faint == {}


_CONTRAST = """([inks, grounds]) => {
  const probe = document.body.appendChild(document.createElement("span"));
  const light = (token) => {
    probe.style.color = `var(--${token})`;
    const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const [r, g, b] = parts.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = {};
  for (const ink of inks) for (const ground of grounds) {
    const [low, high] = [light(ink), light(ground)].sort((a, b) => a - b);
    found[`${ink} on ${ground}`] = Math.round((100 * (high + 0.05)) / (low + 0.05)) / 100;
  }
  return found;
}"""


def test_an_empty_project_says_so_in_every_view(made_up_site, open_page, go):
    says = {
        "timeline": "Nothing has been remembered yet",
        "ask": "See what the agent would be given",
        "graph": "No graph yet",
        "injections": "Nothing was injected yet",
    }
    with open_page(made_up_site.invite()) as page:
        expect(page.locator(".episode").first).to_be_visible()
        for view, words in says.items():
            go(page, view, group="g_empty")
            expect(page.locator("main").get_by_text(words)).to_be_visible()
