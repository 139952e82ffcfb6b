"""The timeline: what happened, narrowed down, in full, and as it happens."""

from __future__ import annotations

import re
import uuid

from playwright.sync_api import expect

KINDS = {"prompt": "prompt", "edit": "file_edit", "command": "command", "error": "error"}


def _event(content, kind="note", **more):
    event_id = f"evt_{uuid.uuid4().hex}"
    return {"event_id": event_id, "kind": kind, "content": content, "session": "ses_live", **more}


def test_a_kind_a_path_and_words_narrow_it_down(site, page_url, open_page, go):
    with open_page(page_url) as page:
        go(page, "timeline", group=site.group)
        rows = page.locator(".episode")
        expect(rows.first).to_be_visible()
        for word in KINDS:
            chip = page.get_by_role("group", name="Kind").get_by_role("button", name=word)
            chip.click()
            expect(chip).to_have_attribute("aria-pressed", "true")
            expect(rows.first).to_be_visible()
            assert set(page.locator(".episode-kind").all_inner_texts()) == {word}
            chip.click()
            expect(chip).to_have_attribute("aria-pressed", "false")

        page.get_by_label("Search episodes").fill("retry")
        expect(page).to_have_url(re.compile("text=retry"))
        expect(rows.first).to_be_visible()

        page.get_by_label("Search episodes").fill("nowhere-to-be-found")
        expect(page.get_by_text("Nothing matches")).to_be_visible()
        page.get_by_role("button", name="Clear the filters").click()
        expect(rows.first).to_be_visible()


def test_an_episode_opens_in_full_and_its_file_leads_on(site, page_url, open_page, go):
    with open_page(page_url) as page:
        go(page, "timeline", group=site.group)
        page.get_by_role("button", name="edit", exact=True).click()
        page.locator(".episode.kind-file_edit:has(.flushed-mark)").first.click()
        panel = page.get_by_role("complementary", name="Episode")
        expect(panel.get_by_text("in the graph", exact=True)).to_be_visible()
        expect(panel.get_by_role("heading", name="Facts made of it")).to_be_visible()
        assert "Modified:" in panel.locator(".body").inner_text()

        path = panel.locator(".paths a").first
        named = path.inner_text()
        path.click()
        expect(page.get_by_label("Exact path")).to_have_value(named)
        expect(page.locator(".episode").first).to_be_visible()
        page.go_back()
        page.go_back()
        expect(panel).to_be_hidden()


def test_a_session_is_chosen_on_the_left_and_left_again(site, page_url, open_page, go):
    with open_page(page_url) as page:
        go(page, "timeline", group=site.group)
        expect(page.locator(".episode").first).to_be_visible()
        whole = int(page.locator(".episode").first.get_attribute("aria-posinset"))
        page.get_by_role("listbox", name="Sessions").locator(".session").last.click()
        expect(page).to_have_url(re.compile("session="))
        expect(page.locator(".session-head h2")).to_be_visible()
        expect(page.locator(".episode").first).to_be_visible()
        page.locator(".session-head").get_by_role("button", name="All sessions").click()
        expect(page.locator(".session-head")).to_be_hidden()
        assert whole >= 1


def test_what_happens_now_appears_by_itself_and_settles_when_it_is_flushed(
    site, page_url, open_page, go
):
    said = f"a live note {uuid.uuid4().hex}"
    with open_page(page_url) as page:
        go(page, "timeline", group=site.group)
        expect(page.locator(".episode").first).to_be_visible()
        page.wait_for_function("() => document.querySelector('#health').dataset.level === 'live'")

        site.happen(_event(said))
        row = page.locator(".episode", has_text=said)
        expect(row).to_be_visible()
        expect(row.locator(".pending-ring")).to_be_visible()
        expect(page.locator(".session-pending").first).to_be_visible()

        site.ask("/api/flush", {"session": "ses_live"})
        expect(row.locator(".flushed-mark")).to_be_attached()
        expect(row.locator(".pending-ring")).to_have_count(0)


def test_news_above_do_not_move_what_is_read(made_up_site, open_page, go):
    site, said = made_up_site, f"far above {uuid.uuid4().hex}"
    with open_page(site.invite()) as page:
        go(page, "timeline", group="g_10ng")
        place = page.locator(".episodes-list")
        expect(page.locator(".episode").first).to_be_visible()
        place.evaluate("list => { list.scrollTop = 2000; }")
        page.wait_for_function("() => document.querySelector('.vlist-row[data-index=\"35\"]')")
        before = place.evaluate(_READ)

        site.happen(_event(said), _event(f"{said} too"), project="acme/long-history")
        pill = page.get_by_role("button", name="2 new")
        expect(pill).to_be_visible()
        assert place.evaluate(_READ) == before

        pill.click()
        expect(page.locator(".episode", has_text=said).first).to_be_visible()
        expect(pill).to_be_hidden()


#: The row that is read, and where it stands.
_READ = """(list) => {
  const row = document.elementFromPoint(700, list.getBoundingClientRect().top + 60).closest(".vlist-row");
  return [row.id, row.getBoundingClientRect().top];
}"""


def test_another_project_shows_its_own(made_up_site, open_page, go):
    with open_page(made_up_site.invite()) as page:
        go(page, "timeline", group=made_up_site.group)
        expect(page.locator(".episode").first).to_be_visible()
        page.get_by_label("Project").select_option(label="acme/long-history")
        expect(page).to_have_url(re.compile("g_10ng"))
        expect(
            page.locator(".episode-text", has_text=re.compile(r"^\d{4}: ")).first
        ).to_be_visible()


def test_ten_thousand_episodes_are_scrolled_through_with_few_rows_at_a_time(
    made_up_site, open_page, go, record_property
):
    with open_page(made_up_site.invite()) as page:
        go(page, "timeline", group="g_10ng")
        place = page.locator(".episodes-list")
        expect(page.locator(".episode").first).to_be_visible()
        most = place.evaluate(_TO_THE_END)
        assert most["count"] >= 10_000
        assert most["rows"] < 60

        cost = _scroll_cost(page, place)
        record_property("scroll", cost)
        print(f"10,000 episodes: {most['rows']} rows at most; {cost}")  # noqa: T201 - a measurement


#: Down to the oldest episode, a page at a time.
_TO_THE_END = """async (list) => {
  const frame = () => new Promise(requestAnimationFrame);
  let rows = 0;
  let still = 0;
  let height = 0;
  while (still < 240) {
    list.scrollTop = list.scrollHeight;
    await frame();
    rows = Math.max(rows, list.querySelectorAll(".vlist-row").length);
    still = list.scrollHeight === height ? still + 1 : 0;
    height = list.scrollHeight;
    if (list.querySelector("[aria-setsize]:not([aria-setsize='-1'])")) still += 60;
  }
  const sized = list.querySelector("[aria-setsize]");
  return { rows, count: Number(sized.getAttribute("aria-setsize")) };
}"""


def _scroll_cost(page, place):
    """Script time of each frame while scrolling, as the browser accounts for it."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def taken():
        return {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}

    before = taken()
    frames = place.evaluate("""async (list) => {
      let frames = 0;
      for (let step = 0; step < 240; step += 1) {
        list.scrollTop -= 420;
        await new Promise(requestAnimationFrame);
        frames += 1;
      }
      return frames;
    }""")
    after = taken()
    spent = {
        name: round(1000 * (after[name] - before[name]) / frames, 2)
        for name in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
    }
    return f"ms a frame over {frames} frames: {spent}"
