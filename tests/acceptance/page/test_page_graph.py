"""The graph: begin somewhere, go from thing to thing, and look at any time."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

CENSUS = "document.querySelector('.graph')?.census?.()"


def _standing(page):
    """Wait for a picture that is done; its number of nodes and lines."""
    page.wait_for_function(
        f"() => {CENSUS}?.nodes > 0 && !document.querySelector('.graph.is-loading')"
    )
    return page.evaluate(CENSUS)


def _center(page):
    return parse_qs(urlsplit(page.url).fragment.partition("?")[2])["center"][0]


def test_it_begins_at_a_file_and_every_thing_leads_on(site, page_url, open_page, go):
    with open_page(page_url) as page:
        go(page, "graph", group=site.group)
        _standing(page)
        panel = page.get_by_role("complementary", name="About it")
        expect(panel.get_by_role("heading", name="File")).to_be_visible()
        expect(page.locator(".entry[aria-selected=true]")).to_have_count(1)
        began = _center(page)

        other = page.evaluate(
            """async ([group, center]) => {
              const answer = await fetch(`/api/graph?group=${group}&center=${center}`);
              const { nodes } = await answer.json();
              return nodes.find((node) => node.uuid !== center).uuid;
            }""",
            [site.group, began],
        )
        place = page.locator(".canvas").bounding_box()
        at = page.evaluate("uuid => document.querySelector('.graph').positionOf(uuid)", other)
        page.mouse.click(place["x"] + at["x"], place["y"] + at["y"])
        expect(page).to_have_url(re.compile(other))
        _standing(page)

        page.get_by_role("button", name="Fit").click()
        page.get_by_role("button", name="Back").click()
        expect(page).to_have_url(re.compile(began))
        expect(page.get_by_role("button", name="Back")).to_be_disabled()


def test_a_line_tells_its_facts(made_up_site, open_page, go):
    with open_page(made_up_site.invite()) as page:
        go(page, "graph", group=made_up_site.group, text="src/checkout/retry.py")
        expect(page).to_have_url(re.compile("center="))
        _standing(page)
        at = page.evaluate("""async () => {
          const graph = document.querySelector(".graph");
          const [, query] = location.hash.split("?");
          const params = new URLSearchParams(query);
          const { edges } = await (await fetch(`/api/graph?group=${params.get("group")}&center=${params.get("center")}`)).json();
          // One that no other line lies beside.
          const ends = (edge) => [edge.source, edge.target].sort().join();
          const alone = edges.find((edge) => edges.filter((each) => ends(each) === ends(edge)).length === 1);
          const [a, b] = [graph.positionOf(alone.source), graph.positionOf(alone.target)];
          return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, text: alone.text };
        }""")
        place = page.locator(".canvas").bounding_box()
        page.mouse.click(place["x"] + at["x"], place["y"] + at["y"])
        panel = page.get_by_role("complementary", name="About it")
        expect(panel.locator(".panel-ends")).to_be_visible()
        expect(panel.locator(".fact-text").first).not_to_be_empty()
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()


def test_errors_are_a_way_in_too_and_both_can_be_searched(site, page_url, open_page, go):
    with open_page(page_url) as page:
        go(page, "graph", group=site.group)
        _standing(page)
        page.get_by_role("tab", name="Errors").click()
        entries = page.locator(".entry")
        expect(entries.first).to_have_class(re.compile("type-error"))
        named = entries.first.get_attribute("title")
        page.get_by_label("Find", exact=True).fill(named.split(":")[0])
        expect(entries.first).to_be_visible()
        page.get_by_role("listbox", name="Where to begin").focus()
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        panel = page.get_by_role("complementary", name="About it")
        expect(panel.get_by_role("heading", name="Error")).to_be_visible()


def test_the_slider_asks_for_the_graph_as_it_was(made_up_site, open_page, go):
    with open_page(made_up_site.invite()) as page:
        go(page, "graph", group=made_up_site.group, text="src/checkout/currency.py")
        expect(page).to_have_url(re.compile("center="))
        now = _standing(page)
        slider = page.get_by_role("slider", name="Time")
        with page.expect_request(re.compile(r"/api/graph\?.*at=\d+")) as asked:
            slider.evaluate(
                "range => { range.value = 230; range.dispatchEvent(new Event('input')); }"
            )
        assert asked.value.response().status == 200
        expect(page.locator(".slider-label")).to_contain_text("As of")
        page.wait_for_function(f"() => {CENSUS}.nodes < {now['nodes']}")

        page.get_by_role("button", name="Now").click()
        page.wait_for_function(f"() => {CENSUS}.nodes === {now['nodes']}")
        expect(page.locator(".slider-label")).to_have_text("What is true now")


def test_the_same_graph_always_stands_the_same_way(made_up_site, open_page, go):
    places = []
    for _ in range(2):
        with open_page(made_up_site.invite()) as page:
            go(page, "graph", group=made_up_site.group, text="src/checkout/retry.py")
            expect(page).to_have_url(re.compile("center="))
            _standing(page)
            center = _center(page)
            places.append(
                page.evaluate(
                    """async ([group, center]) => {
                      const graph = document.querySelector(".graph");
                      const { nodes } = await (await fetch(`/api/graph?group=${group}&center=${center}`)).json();
                      const origin = graph.positionOf(center);
                      return Object.fromEntries(nodes.map(({ uuid }) => {
                        const { x, y } = graph.positionOf(uuid);
                        return [uuid, [Math.round(x - origin.x), Math.round(y - origin.y)]];
                      }));
                    }""",
                    [made_up_site.group, center],
                )
            )
    assert places[0] == places[1]


def test_a_type_can_be_left_out_and_a_part_is_called_a_part(made_up_site, open_page, go):
    with open_page(made_up_site.invite()) as page:

        def cut(route):
            answer = route.fetch().json()
            route.fulfill(json={**answer, "truncated": True})

        page.route("**/api/graph?*center=*", cut)
        go(page, "graph", group=made_up_site.group, text="src/checkout/currency.py")
        expect(page.locator(".graph-note")).to_have_text("Only the nearest 150 things are shown.")
        all_of_it = _standing(page)
        session = page.locator(".legend-item", has_text="Session")
        session.click()
        expect(page.locator(".legend-item", has_text="Session")).to_have_attribute(
            "aria-pressed", "false"
        )
        assert page.evaluate(CENSUS)["nodes"] < all_of_it["nodes"]
