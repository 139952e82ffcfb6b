"""The spool on real SQLite: what is acknowledged is on disk, and every event is in one batch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memory_manager.errors import InvalidRequest
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.batches import BatchState
from memory_manager.spool.store import LARGEST_BATCH, Spool


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "spool.sqlite3"


@pytest.fixture
def spool(path, clock):
    opened = Spool.open(path, now=clock)
    yield opened
    opened.close()


def event(name, /, *, session="s", kind=EventKind.TOOL, at=1.0, content="x", **metadata):
    return RawEvent(name, "g", session, kind, at, content, {"type": kind.value} | metadata)


def ids(events):
    return [item.event_id for item in events]


def test_an_event_comes_back_as_it_was(spool):
    given = event("a", content="grün \U0001f600 'x'; --", path="a.py", n=1.5, deep={"x": [None]})
    spool.append([given])

    assert spool.session_events("g", "s")[0].event == given


def test_the_same_id_is_one_row_and_the_receipts_say_so(spool):
    first, second = spool.append_many([[event("a"), event("b"), event("a")], [event("b")]])

    assert (first.received, first.inserted, first.duplicates) == (3, 2, 1)
    assert first.new == {"a": 1, "b": 2}
    assert (second.received, second.inserted, second.duplicates) == (1, 0, 1)
    assert spool.status().pending == 2


def test_the_same_id_in_two_projects_is_two_events(spool):
    there = replace(event("a"), group="h")
    receipts = spool.append_many([[event("a")], [there], [there]])

    assert [receipt.inserted for receipt in receipts] == [1, 1, 0]
    assert [len(spool.session_events(group, "s")) for group in "gh"] == [1, 1]


def test_the_same_content_under_two_ids_is_two_events(spool):
    spool.append([event("a"), event("b")])

    assert spool.backlog()[0].pending == 2


def test_the_backlog_tells_what_a_decision_needs(spool, clock):
    spool.append([event("a", kind=EventKind.PROMPT), event("b"), event("c", session="other")])
    clock.now = 1010.0
    spool.append([event("d", kind=EventKind.SUCCESS), event("e", kind=EventKind.FILE_EDIT)])

    other, one = spool.backlog()

    assert (one.session, one.pending, one.tools, one.prompts) == ("s", 4, 2, 1)
    assert (one.first_at, one.last_at, one.boundary) == (1000.0, 1010.0, True)
    assert (other.session, other.boundary, other.batch) == ("other", False, None)


@pytest.mark.parametrize(("change", "boundary"), [("created", False), ("deleted", True)])
def test_a_session_that_begins_is_no_boundary(spool, change, boundary):
    spool.append([event("a", kind=EventKind.SESSION, change=change)])

    assert spool.backlog()[0].boundary is boundary


def test_a_batch_is_claimed_once_and_completed(spool, clock):
    spool.append([event(name) for name in "abc"])
    batch = spool.claim("g", "s", owner="me")

    assert (batch.first_seq, batch.last_seq, batch.attempts, batch.owner) == (1, 3, 1, "me")
    assert spool.claim("g", "s") is None
    assert spool.claim("g", "s", force=True) is None
    assert ids(spool.read(batch)) == ["a", "b", "c"]
    assert spool.complete(batch)
    assert not spool.complete(batch)
    assert not spool.fail(batch, "late", 0.0)
    assert spool.backlog() == []
    assert spool.claim("g", "s") is None
    rows = spool.tail(flushed_since=clock.now - 1, limit=9)
    assert [(row.seq, row.flushed_at) for row in rows] == [(n, clock.now) for n in (1, 2, 3)]


def test_a_retry_runs_the_same_range_whatever_has_come_since(spool, clock):
    spool.append([event("a"), event("b")])
    first = spool.claim("g", "s")
    spool.append([event("c")])
    spool.fail(first, "the graph is away", clock.now + 60)

    assert spool.claim("g", "s") is None
    clock.now += 60
    again = spool.claim("g", "s")

    assert (again.id, again.first_seq, again.last_seq) == (first.id, 1, 2)
    assert (again.attempts, again.error) == (2, "the graph is away")
    assert spool.complete(again)
    assert ids(spool.read(spool.claim("g", "s"))) == ["c"]


def test_a_batch_of_manual_retry_waits_for_a_person(spool, clock):
    spool.append([event("a")])
    spool.fail(spool.claim("g", "s"), "x", None)
    clock.now += 1e6

    assert spool.claim("g", "s") is None
    assert spool.claim("g", "s", force=True) is not None


def test_new_ranges_are_bounded_by_rows_and_text(spool):
    half = "x" * (LARGEST_BATCH // 2 - 1000)
    spool.append(
        [event(name, kind=EventKind.NOTE, content=half) for name in "abc"]
        + [event(n) for n in "defg"]
    )

    first = spool.claim("g", "s", limit=3)
    assert (first.first_seq, first.last_seq) == (1, 2)
    spool.complete(first)
    second = spool.claim("g", "s", limit=3)
    assert (second.first_seq, second.last_seq) == (3, 5)


def test_sessions_do_not_mix(spool):
    spool.append([event("a"), event("b", session="t"), event("c")])

    assert ids(spool.read(spool.claim("g", "s"))) == ["a", "c"]
    assert ids(spool.read(spool.claim("g", "t"))) == ["b"]


def test_giving_up_moves_on_and_stays_visible(spool, clock):
    spool.append([event("a")])
    batch = spool.claim("g", "s")
    spool.fail(batch, "poison", None, gave_up=True)
    spool.append([event("b")])

    assert ids(spool.read(spool.claim("g", "s"))) == ["b"]
    assert [row.event.event_id for row in spool.tail(flushed_since=clock.now, limit=9)] == [
        "a",
        "b",
    ]
    assert spool.status().batches[BatchState.GAVE_UP] == 1


def test_a_given_up_batch_can_be_tried_again_by_hand(spool):
    spool.append([event("a")])
    batch = spool.claim("g", "s")
    spool.fail(batch, "poison", None, gave_up=True)
    spool.append([event("b")])
    spool.complete(spool.claim("g", "s"))

    assert spool.retry(states={BatchState.ERROR}) == 0
    assert spool.retry(session="another") == 0
    assert spool.retry(session="s", states={BatchState.GAVE_UP}) == 1
    assert spool.backlog()[0].batch.id == batch.id
    again = spool.claim("g", "s")
    assert (again.id, again.attempts) == (batch.id, 1)
    assert spool.complete(again)
    assert spool.backlog() == []
    assert spool.status().sessions[0].cursor == 2


def test_retry_takes_only_failed_batches(spool):
    with pytest.raises(InvalidRequest, match=r"^states: "):
        spool.retry(states={BatchState.COMPLETED})


def test_retry_is_limited_earliest_first(spool):
    for session in "xyz":
        spool.append([event(session, session=session)])
        spool.fail(spool.claim("g", session), "x", None)

    assert spool.retry(limit=2) == 2
    assert [item.batch.retry_at is None for item in spool.backlog()] == [False, False, True]


def test_a_stuck_batch_becomes_an_error_and_its_owner_is_refused(spool, clock):
    spool.append([event("a")])
    old = spool.claim("g", "s")
    clock.now += 100
    assert spool.heartbeat(old)
    clock.now += 300

    assert spool.stuck(300.0) == 0
    clock.now += 1
    assert spool.stuck(300.0) == 1
    assert not spool.heartbeat(old)
    new = spool.claim("g", "s")
    assert new.attempts == 2
    assert not spool.complete(old)
    assert not spool.fail(old, "late", 0.0)
    assert spool.complete(new)


def test_what_is_done_is_done_though_it_was_called_stuck(spool, clock):
    spool.append([event("a")])
    batch = spool.claim("g", "s")
    clock.now += 1000
    spool.stuck(300.0)

    assert spool.complete(batch)


def test_release_hands_back_without_counting(spool):
    spool.append([event("a"), event("b", session="t")])
    spool.claim("g", "s", owner="dead")
    spool.claim("g", "t", owner="alive")

    assert spool.release("dead") == 1
    assert spool.claim("g", "t") is None
    again = spool.claim("g", "s")
    assert (again.attempts, again.claims) == (1, 2)
    assert spool.release() == 2


def test_the_tail_is_what_is_unflushed_or_fresh(spool, clock):
    spool.append([event(name) for name in "ab"])
    spool.complete(spool.claim("g", "s"))
    clock.now += 100
    spool.append([event(name) for name in "cd"])

    def tail(**asked):
        return [row.event.event_id for row in spool.tail(**asked)]

    assert tail(flushed_since=999.0, limit=9) == ["a", "b", "c", "d"]
    assert tail(flushed_since=1000.0, limit=9) == ["c", "d"]
    assert tail(flushed_since=999.0, limit=3) == ["a", "b", "c"]
    assert tail(after=3, flushed_since=999.0, limit=3) == ["d"]


def test_history_is_light_and_in_order_of_time(spool):
    spool.append(
        [
            event("late", at=9.0, kind=EventKind.ERROR, content="y" * 5000, output="z", name="E"),
            event("other"),
            event("early", at=1.0, kind=EventKind.FILE_EDIT, diff="d", path="a.py"),
        ]
    )
    kinds = [EventKind.ERROR, EventKind.FILE_EDIT]

    early, late = spool.history("g", "s", kinds, clip=10)

    assert early.metadata == {"type": "file_edit", "path": "a.py"}
    assert (late.content, late.metadata) == (
        "y" * 10,
        {"type": "error", "output": "z", "name": "E"},
    )
    assert ids(spool.history("g", "s", kinds, until=1)) == ["late"]


def test_the_last_compaction_is_known(spool):
    assert spool.compacted_at("g", "s") is None
    spool.append([event("a", kind=EventKind.COMPACTION, at=50.0)])
    spool.append([event("b", kind=EventKind.COMPACTION, at=40.0), event("c")])

    assert spool.compacted_at("g", "s") == 50.0


def test_row_numbers_are_never_used_again(spool, clock):
    spool.append([event("a")])
    spool.complete(spool.claim("g", "s"))
    clock.now += 1
    spool.purge(clock.now, 0.0)
    spool.append([event("b")])

    assert ids(spool.read(spool.claim("g", "s"))) == ["b"]
