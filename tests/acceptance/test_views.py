"""What the bridge shows of itself, asked over its socket."""

from __future__ import annotations

import pytest

from memory_manager.errors import Unavailable

RETRY = "We decided that the payment client retries at most five times."


@pytest.fixture
def told(place):
    """A project with a flushed note, an edit that waits, and its group."""
    place.store(RETRY)
    place.flush()
    place.hook("file:write", path="src/pay.py", diff="-retries = 3\n+retries = 5", event_id="e1")
    projects = place.call("projects")["projects"]
    group = next(each["group"] for each in projects if each["name"] == place.project)
    return place, group


def test_projects_are_named_and_counted(told):
    place, group = told
    mine = next(each for each in place.call("projects")["projects"] if each["group"] == group)
    assert (mine["events"], mine["pending"], mine["sessions"]) == (2, 1, 1)


def test_episodes_are_shown_newest_first_with_what_still_waits(told):
    place, group = told
    shown = place.call("episodes", group=group)["episodes"]
    assert (shown[0]["kind"], shown[0]["pending"]) == ("file_edit", True)
    note = next(each for each in shown if each["kind"] == "note")
    assert (note["text"], note["pending"], note["session"]) == (RETRY, False, place.session)


@pytest.mark.parametrize(
    ("filters", "kinds"),
    [
        ({"kind": "note"}, {"note"}),
        ({"path": "src/pay.py"}, {"file_edit"}),
        ({"text": "retries five"}, {"note"}),
        ({"session": "another"}, set()),
    ],
)
def test_filters_hold_for_what_is_stored_and_what_waits(told, filters, kinds):
    place, group = told
    shown = place.call("episodes", group=group, **filters)["episodes"]
    assert {each["kind"] for each in shown} - {"summary"} == kinds


def test_pages_follow_each_other_and_show_each_episode_once(place):
    for number in range(7):
        place.store(f"Note number {number}: the queue called q{number} is drained at night.")
    place.flush()
    group = place.call("projects")["projects"][0]["group"]
    seen, cursor = [], None
    while True:
        page = place.call("episodes", group=group, limit=3, before=cursor)
        seen += [each["uuid"] for each in page["episodes"] if each["kind"] == "note"]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7


def test_an_episode_is_shown_whole_stored_or_waiting(told):
    place, group = told
    for each in place.call("episodes", group=group)["episodes"]:
        whole = place.call("episode", group=group, uuid=each["uuid"])
        assert whole["uuid"] == each["uuid"]
        assert whole["metadata"]["type"] == each["kind"]


def test_an_explanation_is_what_would_be_given_and_why(told):
    place, group = told
    asked = {"text": "How often does the payment client retry?", "group": group}
    first, again = place.call("explain", **asked), place.call("explain", **asked)
    assert (first["cache"], again["cache"]) == ("miss", "hit")
    assert first["block"] == again["block"]
    assert first["tokens"] <= first["budget"]
    best = first["hits"][0]
    assert best["included"]
    assert best["scores"]["text"] > 0
    assert best["text"] in first["block"]


def test_what_has_no_room_is_shown_as_left_out(told):
    place, group = told
    told = place.call("explain", text="payment client retries src/pay.py", group=group, budget=75)
    assert [hit["included"] for hit in told["hits"]].count(True) < len(told["hits"])
    assert all("budget" in hit["why"] for hit in told["hits"] if not hit["included"])


def test_sessions_have_their_first_prompt_as_title(place):
    place.ask("Please look at the flaky payment test", session=place.session, message_id="m1")
    place.call("flush", session=place.session)
    found = place.call("sessions", text="flaky payment")["sessions"]
    mine = next(each for each in found if each["session"] == place.session)
    assert mine["title"] == "Please look at the flaky payment test"


def test_injections_tell_what_a_message_was_given(told):
    place, group = told
    reply = place.ask("How often does the payment client retry?", message_id="m_given")
    (row,) = place.call("injections", group=group)["injections"]
    assert (row["message"], row["block"], row["tokens"]) == (
        "m_given",
        reply["context"],
        reply["tokens"],
    )


def test_the_graph_shows_files_and_what_surrounds_them(told):
    place, group = told
    place.flush()
    shown = place.call("graph", group=group)
    nodes = {node["uuid"] for node in shown["nodes"]}
    assert any(node["name"] == "src/pay.py" for node in shown["nodes"])
    assert all({edge["source"], edge["target"]} <= nodes for edge in shown["edges"])


def test_counted_is_what_happened(told):
    place, _group = told
    before = _counted(place, "opencode.memory.hook_count")
    place.hook("completion", task="done", event_id="e2")
    assert _counted(place, "opencode.memory.hook_count") == before + 1


def _counted(place, name):
    return sum(c["value"] for c in place.call("metrics")["counters"] if c["name"] == name)


@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("episodes", {}, "group"),
        ("episodes", {"group": "g", "kind": "nonsense"}, "kind"),
        ("episodes", {"group": "g", "limit": 0}, "limit"),
        ("sessions", {"before": "nonsense"}, "before"),
        ("injections", {"before": "WzFd"}, "before"),
        ("graph", {"group": 5}, "group"),
        ("explain", {"text": " "}, "text"),
        ("episode", {"group": "g", "uuid": "none"}, "uuid"),
    ],
)
def test_what_is_malformed_is_refused_by_name(place, method, params, named):
    with pytest.raises(Unavailable, match=f"^{named}: "):
        place.line.call(method, **params)
