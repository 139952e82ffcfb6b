"""Diagnostics: what waits, what failed, how to go on, and a bridge that goes away."""

from __future__ import annotations

import re
import uuid

from playwright.sync_api import expect


def test_it_opens_and_closes_by_its_toggle_and_shows_the_parts(site, page_url, open_page):
    with open_page(page_url) as page:
        expect(page.locator(".episode").first).to_be_visible()
        toggle = page.locator("#health")
        expect(toggle).to_contain_text("live")
        expect(toggle).to_have_attribute("aria-pressed", "false")
        toggle.click()
        expect(toggle).to_have_attribute("aria-pressed", "true")
        for part in ("bridge", "flush worker", "falkordb", "valkey"):
            expect(page.get_by_role("rowheader", name=part, exact=True)).to_be_visible()
        expect(page.locator(".metrics tbody tr").first).to_be_visible()
        toggle.click()
        expect(page.locator("body")).to_have_attribute("data-view", "timeline")


def test_a_retry_asks_the_bridge_and_says_what_came_of_it(own_stub, open_page, go):
    site = own_stub().site()
    with open_page(site.invite()) as page:
        go(page, "diagnostics", group=site.group)
        row = page.locator(".backlog tr.is-stuck", has_text="does not answer")
        with page.expect_request("**/api/raw-events/retry") as asked:
            row.get_by_role("button", name="Retry").click()
        assert asked.value.post_data_json == {"session": "ses_long_024", "gave_up": True}
        expect(page.locator(".said")).to_have_text("2 batches will be tried again now.")
        expect(row).to_have_count(0)

        with page.expect_request("**/api/raw-events/retry") as asked:
            page.get_by_role("button", name="Retry all errors").click()
        assert asked.value.post_data_json == {"only_error": True}
        expect(page.locator(".said")).to_have_text("Nothing is left to retry.")

        page.get_by_label("also what was given up").check()
        with page.expect_request("**/api/raw-events/retry") as asked:
            page.get_by_role("button", name="Retry all errors").click()
        assert asked.value.post_data_json == {"gave_up": True}
        expect(page.locator(".backlog tr.is-stuck")).to_have_count(0)
        expect(page.get_by_role("button", name="Retry all errors")).to_be_disabled()


def test_a_flush_by_hand_empties_what_waits(site, page_url, open_page, go):
    note = {"kind": "note", "content": f"waits {uuid.uuid4().hex}", "session": "ses_by_hand"}
    site.happen({"event_id": uuid.uuid4().hex, **note})
    with open_page(page_url) as page:
        go(page, "diagnostics", group=site.group)
        page.get_by_role("button", name="Flush now").click()
        expect(page.locator(".said")).to_contain_text(re.compile(r"\d+ batch(es)? flushed"))
        expect(page.get_by_role("button", name="Flush now")).to_be_disabled()
        expect(page.locator("#health-pending")).to_be_empty()


def test_a_disk_that_takes_nothing_is_the_first_thing_said(made_up_site, open_page, go):
    with open_page(made_up_site.invite()) as page:

        def full(route):
            route.fulfill(json={**route.fetch().json(), "disk": "no space left on device"})

        page.route("**/api/raw-events/status*", full)
        go(page, "diagnostics", group=made_up_site.group)
        expect(page.get_by_text("Nothing can be stored: no space left on device")).to_be_visible()


def test_values_become_lines_while_it_is_open(made_up_site, open_page, go):
    with open_page(made_up_site.invite()) as page:
        go(page, "diagnostics", group=made_up_site.group)
        expect(page.locator(".metrics .spark-line").first).to_be_attached()
        assert page.locator(".metrics tbody tr").count() > 10


def test_a_bridge_that_goes_away_leaves_everything_in_its_place_and_is_found_again(
    own_stub, open_page, go
):
    stub = own_stub()
    site = stub.site()
    port, token = site.base.rpartition(":")[2], site.token
    gone = ("ERR_", "net::", "failed", "incomplete")
    with open_page(site.invite(), allowed=gone) as page:
        go(page, "timeline", group=site.group)
        expect(page.locator(".episode").first).to_be_visible()
        shown = page.locator(".episode").first.get_attribute("data-uuid")
        stub.stop()
        banner = page.get_by_text("The bridge does not answer")
        expect(banner).to_be_visible()
        assert page.locator(".episode").first.get_attribute("data-uuid") == shown

        again = own_stub("--port", port, "--token", token).site()
        expect(banner).to_be_hidden()
        said = f"after the pause {uuid.uuid4().hex}"
        again.happen({"kind": "note", "content": said, "session": "ses_again"})
        expect(page.locator(".episode", has_text=said)).to_be_visible()
