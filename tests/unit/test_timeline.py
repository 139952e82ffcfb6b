"""The ring behind timeline and live stream: bounded, gapless, honest about what waits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.timeline import Happened, Timeline
from memory_manager.model import EventKind, RawEvent, episode_uuid

MB = 1 << 20


def event(
    number, content="the login bug", *, group="g", session="s", kind=EventKind.NOTE, **metadata
):
    return RawEvent(f"e{number}", group, session, kind, float(number), content, metadata)


def filled(count, *, most=1000, most_bytes=MB, **fields):
    timeline = Timeline(most, most_bytes)
    for number in range(1, count + 1):
        timeline.add(number, event(number, **fields))
    return timeline


def told(timeline, id_=0, limit=10_000):
    return [(entry.name, entry.told()) for entry in timeline.since(id_, limit)]


def test_an_event_is_told_as_the_episode_that_it_makes():
    timeline = Timeline(10, MB)
    timeline.add(7, event(1, "Modified: src/app.py", kind=EventKind.FILE_EDIT, path="src/app.py"))

    ((name, episode),) = told(timeline)

    assert name == "episode"
    assert episode["uuid"] == episode_uuid("g", "e1")
    assert episode["paths"] == ["src/app.py"]
    assert {key: episode[key] for key in ("group", "session", "event_id", "kind", "at")} == {
        "group": "g", "session": "s", "event_id": "e1", "kind": "file_edit", "at": 1.0,
    }  # fmt: skip
    assert episode["pending"] is True
    assert episode["tags"] == []
    assert episode["source"] == "opencode"


@pytest.mark.parametrize(
    "dull",
    [
        event(1, "yes", kind=EventKind.PROMPT),
        event(1, "", kind=EventKind.SESSION, change="created"),
        event(1, "", kind=EventKind.TOOL, tool="bash", same_as="e0"),
        event(1, "", kind=EventKind.COMMAND, same_as="e0"),
        event(1, " ", kind=EventKind.NOTE),
    ],
)
def test_what_makes_no_episode_is_not_in_it(dull):
    timeline = Timeline(10, MB)
    heard = []
    timeline.listen(lambda: heard.append(1))

    timeline.add(1, dull)

    assert (len(timeline), timeline.bytes, heard) == (0, 0, [])
    assert timeline.add_older(0, dull, pending=False)
    assert len(timeline) == 0


def test_text_is_clipped_and_bulk_that_nobody_looks_at_is_not_kept():
    timeline = Timeline(10, MB)
    huge = "x" * 100_000
    timeline.add(1, event(1, huge, kind=EventKind.TOOL, tool="patch", diff=huge, args=huge))

    ((_, episode),) = told(timeline)

    assert len(episode["text"]) == 2000
    assert timeline.bytes < 10_000
    (entry,) = timeline.since(0, 1)
    assert isinstance(entry, Happened)
    assert "args" not in entry.event.metadata
    assert len(entry.event.metadata["diff"]) == 2000


def test_a_row_that_is_known_changes_nothing():
    timeline = filled(3)

    timeline.add(2, event(2))

    assert len(timeline) == 3


def test_a_flush_is_told_once_and_its_events_wait_no_more():
    timeline = filled(4)
    timeline.add(5, event(5, session="other"))
    before = timeline.newest

    timeline.flushed("g", "s", 2, 5)
    timeline.flushed("g", "s", 2, 5)
    timeline.flushed("g", "unknown", 1, 9)

    assert told(timeline, before) == [
        (
            "flushed",
            {
                "group": "g",
                "session": "s",
                "first_at": 2.0,
                "last_at": 4.0,
                "uuids": [episode_uuid("g", f"e{number}") for number in (2, 3, 4)],
            },
        )
    ]
    waiting = [
        episode["event_id"]
        for name, episode in told(timeline)
        if name == "episode" and episode["pending"]
    ]
    assert waiting == ["e1", "e5"]


def test_a_large_batch_is_told_in_pieces():
    timeline = filled(450)

    timeline.flushed("g", "s", 1, 450)

    pieces = [piece for name, piece in told(timeline) if name == "flushed"]
    assert [len(piece["uuids"]) for piece in pieces] == [200, 200, 50]
    assert len({uuid for piece in pieces for uuid in piece["uuids"]}) == 450


def test_the_oldest_leave_first_and_are_counted():
    timeline = filled(10, most=4)

    assert [episode["event_id"] for _, episode in told(timeline)] == ["e7", "e8", "e9", "e10"]
    assert timeline.evicted == 6
    assert timeline.oldest == timeline.newest - 3
    assert timeline.use == 1.0
    assert 0.0 < filled(2, most=4).use <= 0.5


def test_one_event_larger_than_the_ring_is_not_kept_and_breaks_nothing():
    timeline = Timeline(10, 1500)

    timeline.add(1, event(1, "x" * 2000))
    timeline.add(2, event(2, "small"))

    assert [episode["event_id"] for _, episode in told(timeline)] == ["e2"]


def test_what_is_older_than_the_start_goes_before_everything_until_it_is_full():
    timeline = Timeline(3, MB)
    timeline.add(10, event(10))

    assert timeline.add_older(9, event(9), pending=False)
    assert timeline.add_older(10, event(10), pending=False)
    assert timeline.add_older(8, event(8), pending=True)
    assert not timeline.add_older(7, event(7), pending=False)

    assert [(e["event_id"], e["pending"]) for _, e in told(timeline)] == [
        ("e8", True), ("e9", False), ("e10", True),
    ]  # fmt: skip
    assert timeline.evicted == 0
    timeline.flushed("g", "s", 8, 8)
    assert "e8" not in {e.get("event_id") for _, e in told(timeline)}  # the news took its place


def test_who_listens_hears_of_news_until_it_stops():
    timeline = Timeline(10, MB)
    heard = []
    stop = timeline.listen(lambda: heard.append("a"))
    timeline.listen(lambda: heard.append("b"))

    timeline.add(1, event(1))
    stop()
    stop()
    timeline.flushed("g", "s", 1, 1)
    timeline.flushed("g", "s", 1, 1)

    assert heard == ["a", "b", "b"]


def test_lone_surrogates_and_markup_pass_through_unchanged():
    timeline = Timeline(10, MB)
    hostile = '\ud800<img src=x onerror="alert(1)">\x1b[2J'

    timeline.add(1, replace(event(1), content=hostile))

    assert told(timeline)[0][1]["text"] == hostile


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 60), st.sampled_from("ab"), st.integers(0, 3000)),
        st.tuples(
            st.just("older"), st.integers(1, 60), st.sampled_from("ab"), st.integers(0, 3000)
        ),
        st.tuples(
            st.just("flushed"), st.integers(1, 60), st.sampled_from("ab"), st.integers(1, 60)
        ),
    ),
    max_size=80,
)


@given(STEPS, st.integers(1, 12), st.integers(1200, 30_000))
def test_whatever_comes_it_stays_within_its_bounds_and_its_ids_have_no_gap(steps, most, most_bytes):
    timeline = Timeline(most, most_bytes)
    seen = timeline.newest
    read = []
    for step, number, session, amount in steps:
        if step == "add":
            timeline.add(number, event(number, "x" * amount + ".", session=session))
        elif step == "older":
            timeline.add_older(
                number, event(number, "y" * amount + ".", session=session), pending=True
            )
        else:
            timeline.flushed("g", session, number, amount)
        entries = timeline.since(0, 10_000)
        assert len(timeline) == len(entries) <= most
        assert timeline.bytes == sum(entry.size for entry in entries) <= most_bytes
        assert [entry.id for entry in entries] == list(range(timeline.oldest, timeline.newest + 1))
        rows = [entry.seq for entry in entries if isinstance(entry, Happened)]
        assert len(rows) == len(set(rows))
        # A reader that follows loses only what left before it came.
        lost = max(0, timeline.oldest - 1 - seen)
        news = timeline.since(seen, 3)
        assert not news or news[0].id == seen + lost + 1
        seen = news[-1].id if news else max(seen, timeline.oldest - 1)
        read += [entry.id for entry in news]
    assert read == sorted(set(read))
    if not timeline.since(0, 1):
        assert timeline.bytes == 0
