"""Who may come in: a code that is good once, a cookie after that, and nobody else."""

from __future__ import annotations

import json

from playwright.sync_api import expect


def test_the_code_becomes_a_cookie_and_leaves_the_address(site, page_url, open_page):
    with open_page(page_url) as page:
        expect(page.get_by_label("Project")).to_be_visible()
        assert "code" not in page.url
        (cookie,) = page.context.cookies(site.base + "/api")
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert page.evaluate("document.cookie") == ""

        page.reload()
        expect(page.get_by_label("Project")).to_be_visible()


def test_without_a_session_it_says_how_to_get_one(site, open_page):
    with open_page(site.base + "/", allowed=("401",)) as page:
        expect(page.get_by_role("heading", name="This page needs a key")).to_be_visible()
        expect(page.get_by_text("opencode-mem open")).to_be_visible()
        expect(page.locator("header.bar")).to_be_hidden()


def test_a_code_that_was_used_already_is_refused_in_words(site, page_url, open_page):
    with open_page(page_url) as page:
        expect(page.get_by_label("Project")).to_be_visible()

    with open_page(page_url, allowed=("401",)) as page:
        expect(page.get_by_text("That link has been used already")).to_be_visible()
        assert "code" not in page.url


def test_a_new_link_in_the_same_window_opens_it(made_up_site, open_page):
    with open_page(made_up_site.base + "/", allowed=("401",)) as page:
        expect(page.get_by_role("heading", name="This page needs a key")).to_be_visible()
        page.evaluate("url => { location.href = url; }", made_up_site.invite())
        expect(page.locator(".episode").first).to_be_visible()
        assert "code" not in page.url


def test_a_session_that_ends_while_the_page_is_open_asks_for_a_new_one(made_up_site, open_page, go):
    with open_page(made_up_site.invite(), allowed=("401",)) as page:
        expect(page.locator(".episode").first).to_be_visible()
        page.context.clear_cookies()
        go(page, "injections", group=made_up_site.group)
        expect(page.get_by_role("heading", name="This page needs a key")).to_be_visible()


def test_a_first_project_appears_without_a_reload(made_up_site, open_page):
    with open_page("about:blank") as page:
        answers = [{"projects": []}]
        page.route(
            "**/api/projects",
            lambda route: route.fulfill(json=answers.pop()) if answers else route.continue_(),
        )
        page.goto(made_up_site.invite())
        expect(page.get_by_text("Nothing has been remembered yet")).to_be_visible()

        event = {"kind": "note", "content": "the first thing", "session": "ses_first"}
        made_up_site.happen(event, project="acme/empty-at-first")
        expect(page.locator(".episode").first).to_be_visible()
        assert json.dumps(answers) == "[]"
