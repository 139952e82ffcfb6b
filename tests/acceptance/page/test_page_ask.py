"""Asking what the agent would be given, and the ledger of what it was given."""

from __future__ import annotations

import uuid

from playwright.sync_api import expect

QUESTION = "How often may the payment client retry?"


def test_an_answer_shows_the_block_its_price_and_its_reasons(site, page_url, open_page, go):
    question = f"{QUESTION} {uuid.uuid4().hex[:4]}"
    with open_page(page_url) as page:
        go(page, "ask", group=site.group)
        page.get_by_label("Question").fill(question)
        with page.expect_response("**/api/query") as answered:
            page.get_by_label("Question").press("Enter")
        answer = answered.value.json()

        assert page.locator(".answer-block pre").inner_text() == answer["block"].strip()
        figures = page.locator(".figures").inner_text()
        assert answer["cache"] in figures
        assert f"of {answer['budget']:,}" in figures
        candidates = page.locator(".candidate")
        expect(candidates).to_have_count(len(answer["hits"]))
        first = candidates.first
        expect(first.locator(".score")).to_have_count(1 + len(answer["hits"][0]["scores"]))
        expect(first.get_by_text("included")).to_be_visible()
        expect(first.locator(".why")).to_have_text(answer["hits"][0]["why"])

        with page.expect_response("**/api/query") as again:
            page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator(".outcome")).to_have_text(again.value.json()["cache"])


def test_a_small_budget_leaves_candidates_out_and_says_why(made_up_site, open_page, go):
    with open_page(made_up_site.invite()) as page:
        go(page, "ask", group=made_up_site.group, text="coupons and prices", budget="120")
        out = page.locator(".candidate.is-out").first
        expect(out).to_be_visible()
        expect(out.locator(".why")).to_contain_text("budget")
        assert page.get_by_label("Tokens").input_value() == "120"


def test_a_question_that_fails_can_be_asked_again(made_up_site, open_page, go):
    with open_page(made_up_site.invite(), allowed=("503",)) as page:
        refusal = {"error": {"code": "unavailable", "message": "the graph does not answer"}}
        page.route("**/api/query", lambda route: route.fulfill(status=503, json=refusal), times=1)
        go(page, "ask", group=made_up_site.group, text="What was decided?")
        expect(page.get_by_text("the graph does not answer")).to_be_visible()
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".answer-block")).to_be_visible()


def test_the_ledger_goes_on_as_it_is_scrolled_and_opens_word_for_word(made_up_site, open_page, go):
    site = made_up_site
    known = site.ask(f"/api/injections?group={site.group}&limit=500")["injections"]
    with open_page(site.invite()) as page:
        go(page, "injections", group=site.group)
        heads = page.locator(".ledger-head")
        expect(heads.first).to_be_visible()
        heads.first.click()
        expect(heads.first).to_have_attribute("aria-expanded", "true")
        expect(page.locator(".ledger-block pre").first).to_have_text(known[0]["block"])
        expect(page.locator(".ledger-block .pairs").first).to_contain_text(known[0]["message"])

        page.wait_for_function(
            """count => {
              const pane = document.querySelector(".injections");
              pane.scrollTop = pane.scrollHeight;
              return document.querySelectorAll(".ledger-head").length === count;
            }""",
            arg=len(known),
        )
        expect(page.locator(".page-note")).to_contain_text(f"{len(known)} injections")

        page.get_by_role("link", name="only this session").first.click()
        expect(page.get_by_role("button", name="show all")).to_be_visible()
        own = [row for row in known if row["session"] == known[0]["session"]]
        expect(heads).to_have_count(min(50, len(own)))
