"""A summary answers where nothing better does, and stands behind what it sums up."""

from __future__ import annotations

import pytest

from bridge.recall import Window
from memory_manager.errors import InvalidRequest
from memory_manager.model import EventKind, Hit
from memory_manager.rank import Candidate, Channel, question, rank
from memory_manager.spool.events import ingested

ASKED = "why did the coupon total fail"


def candidate(uuid, kind, text, said=1.0, **more):
    hit = Hit(uuid, kind, text, 1000.0, 0.0, session="s", event_ids=(uuid,), **more)
    return Candidate(hit, {Channel.TEXT: said})


def test_an_episode_comes_before_the_summary_that_says_the_same():
    same = "Broke: the coupon total did fail"
    hits = rank(
        question(ASKED),
        [candidate("1", "summary", same + " today", 9.0), candidate("2", "command", same, 2.0)],
        5,
    )

    assert hits[0].kind == "command"


def test_how_well_a_summary_matches_does_not_make_an_episode_look_worse():
    episode = candidate("2", "command", "the coupon total did fail", 2.0)
    summary = candidate("1", "summary", "Asked: why; Broke: coupon total did fail, cart", 9.0)

    alone = rank(question(ASKED), [episode], 5)
    beside = rank(question(ASKED), [summary, episode], 5)

    assert alone[0] in beside


def test_a_summary_alone_is_found():
    found = rank(question(ASKED), [candidate("1", "summary", "Broke: coupon total did fail")], 5)

    assert [hit.kind for hit in found] == ["summary"]


def test_a_summary_of_ones_own_window_is_not_told_again():
    hit = candidate("summary:s:e1", "summary", "Asked: x").hit

    assert Window("s").shows(hit)
    assert Window("s", since=999.0).shows(hit)
    assert not Window("s", since=1000.0).shows(hit)
    assert not Window("other").shows(hit)


def test_nobody_can_report_a_summary():
    told = {"event_id": "1", "kind": str(EventKind.SUMMARY), "content": "all is well"}

    with pytest.raises(InvalidRequest, match="unknown") as caught:
        ingested(told, group="g", now=1.0)
    assert "summary" not in str(caught.value).partition("one of")[2]
