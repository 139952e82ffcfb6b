"""The page without a mouse."""

from __future__ import annotations

from playwright.sync_api import expect


def test_a_walk_through_the_page_by_keyboard_alone(site, page_url, open_page):
    with open_page(page_url) as page:
        keys = page.keyboard
        view = page.locator("body")
        expect(page.locator(".episode").first).to_be_visible()

        keys.press("j")
        keys.press("j")
        keys.press("k")
        active = page.locator(".episode.is-active")
        expect(active).to_have_count(1)
        lead = page.get_by_role("listbox", name="Episodes, newest first")
        expect(lead).to_be_focused()
        expect(lead).to_have_attribute("aria-activedescendant", active.get_attribute("id"))

        keys.press("Enter")
        panel = page.get_by_role("complementary", name="Episode")
        expect(panel.get_by_role("heading", level=2)).to_be_focused()
        keys.press("j")
        expect(page.locator(".episode[aria-selected=true]")).to_have_class(
            page.locator(".episode.is-active").get_attribute("class")
        )
        keys.press("Escape")
        expect(panel).to_be_hidden()
        expect(lead).to_be_focused()

        keys.press("/")
        expect(page.get_by_label("Search episodes")).to_be_focused()
        keys.type("g g j")
        expect(page.get_by_label("Search episodes")).to_have_value("g g j")
        keys.press("Escape")
        expect(page.get_by_label("Search episodes")).not_to_be_focused()

        for letter, name in (
            ("q", "ask"),
            ("g", "graph"),
            ("i", "injections"),
            ("d", "diagnostics"),
        ):
            page.evaluate("document.activeElement.blur()")
            keys.press("g")
            keys.press(letter)
            expect(view).to_have_attribute("data-view", name)

        keys.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        keys.press("Escape")
        expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
        keys.press("g")
        keys.press("t")
        expect(view).to_have_attribute("data-view", "timeline")


def test_whatever_has_the_focus_shows_it(made_up_site, open_page, go):
    with open_page(made_up_site.invite()) as page:
        go(page, "diagnostics", group=made_up_site.group)
        expect(page.locator(".metrics tbody tr").first).to_be_visible()
        page.evaluate("document.activeElement.blur()")
        for _ in range(16):
            page.keyboard.press("Tab")
            shown = page.evaluate(
                "[getComputedStyle(document.activeElement).outlineStyle, document.activeElement.outerHTML]"
            )
            assert shown[0] != "none", shown[1]


def test_the_first_stop_leads_past_the_bar(made_up_site, open_page):
    with open_page(made_up_site.invite()) as page:
        expect(page.locator(".episode").first).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("main")).to_be_focused()
