"""What has gone wrong in other memories, each as something that does not happen here."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from bridge.flush.policy import FlushPolicy, agenda
from memory_manager.errors import InvalidRequest
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.batches import BatchState
from memory_manager.spool.store import Spool

POLICY = FlushPolicy()


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
    return tmp_path / "spool.sqlite3"


@pytest.fixture
def spool(path, clock):
    with closing(Spool.open(path, now=clock)) as opened:
        yield opened


def event(name, kind=EventKind.NOTE):
    return RawEvent(name, "g", "s", kind, 1.0, name, {"type": kind.value})


def ids(events):
    return [item.event_id for item in events]


def cursor(spool):
    return spool.status().sessions[0].cursor


# A flush that produced nothing moved the cursor, although it had failed.


def test_a_flush_that_failed_with_nothing_to_show_does_not_move_the_cursor(spool):
    spool.append([event("a"), event("b")])
    batch = spool.claim("g", "s")
    spool.fail(batch, "the extraction gave nothing", 0.0)

    assert cursor(spool) == 0
    assert spool.backlog()[0].pending == 2
    assert not any(row.flushed_at for row in spool.tail(flushed_since=0.0, limit=9))
    assert ids(spool.read(spool.claim("g", "s"))) == ["a", "b"]


def test_a_failed_flush_cannot_be_called_complete_by_its_state(spool):
    spool.append([event("a")])
    with pytest.raises(InvalidRequest):
        spool.complete(spool.claim("g", "s"), BatchState.ERROR)

    assert cursor(spool) == 0


def test_a_batch_with_nothing_worth_keeping_moves_the_cursor_once_and_for_all(spool):
    spool.append([event("ok", EventKind.PROMPT)])
    batch = spool.claim("g", "s")
    spool.complete(batch, BatchState.SKIPPED)

    assert cursor(spool) == batch.last_seq
    assert spool.backlog() == []
    assert spool.claim("g", "s", force=True) is None
    assert spool.retry() == 0
    assert spool.reopen([batch.id]) == 0


# A poisoned batch was tried for ever, and what came behind it never came.


def test_a_batch_is_given_up_after_its_attempts_and_what_is_behind_it_goes_on(spool, clock):
    spool.append([event("poison")])
    attempts = 0
    while (batch := spool.claim("g", "s", limit=1)) is not None and attempts < 100:
        if ids(spool.read(batch)) != ["poison"]:
            break
        attempts += 1
        assert batch.attempts == attempts
        gave_up = batch.attempts >= POLICY.max_attempts
        spool.fail(batch, "boom", clock.now, gave_up=gave_up)
        if gave_up:
            spool.append([event("behind")])

    assert attempts == POLICY.max_attempts
    assert ids(spool.read(batch)) == ["behind"]
    assert spool.status().batches[BatchState.GAVE_UP] == 1


def test_nobody_but_a_person_tries_a_batch_again_that_was_given_up(spool, clock):
    spool.append([event("poison")])
    spool.fail(spool.claim("g", "s"), "boom", None, gave_up=True)
    for _ in range(5):
        clock.now += 1e6
        spool.stuck(300.0)
        spool.release()
        assert spool.backlog() == []
        assert spool.claim("g", "s", force=True) is None

    assert ids(row.event for row in spool.unflushed("g")) == ["poison"]
    assert spool.retry() == 1
    assert spool.claim("g", "s").attempts == 1


# A retry made new batches of the same events, with new ids: memories twice.


@pytest.mark.parametrize("how", ["fail", "stuck", "release", "give up", "reopen"])
def test_a_retry_is_the_same_range_of_the_same_batch(spool, clock, how):
    spool.append([event(f"e{n}") for n in range(10)])
    first = spool.claim("g", "s", limit=4)
    spool.append([event("late")])
    clock.now += 1000
    match how:
        case "fail":
            spool.fail(first, "x", clock.now)
        case "stuck":
            spool.stuck(300.0)
        case "release":
            spool.release()
        case "give up":
            spool.fail(first, "x", None, gave_up=True)
            spool.retry()
        case _:
            spool.complete(first)
            spool.reopen([first.id])
    again = spool.claim("g", "s", limit=200)

    assert (again.id, again.first_seq, again.last_seq) == (first.id, 1, 4)
    assert ids(spool.read(again)) == ["e0", "e1", "e2", "e3"]
    spool.complete(again)
    rest = spool.claim("g", "s")
    assert (rest.id, rest.first_seq, rest.last_seq) == (first.id + 1, 5, 11)


def test_a_reopened_batch_is_due_at_once_and_ends_where_it_was(spool, clock):
    spool.append([event("a")])
    spool.complete(spool.claim("g", "s"), episodes=1, summary="once", tags=("t",), tags_version=1)
    spool.append([event("b")])
    spool.complete(spool.claim("g", "s"))

    assert spool.reopen([1, 2, 3, 1]) == 2
    assert spool.backlog()[0].batch.id == 1
    assert agenda(spool.backlog(), clock.now, POLICY).due[0].session == "s"
    assert not any(row.flushed_at for row in spool.tail(flushed_since=0.0, limit=9))
    assert cursor(spool) == 2
    again = spool.claim("g", "s")
    assert (again.attempts, again.finished_at) == (1, None)
    spool.fail(again, "x", clock.now)
    assert spool.batch(1).summary == "once"
    spool.complete(spool.claim("g", "s"))
    spool.complete(spool.claim("g", "s"))
    assert cursor(spool) == 2
    assert [row.flushed_at for row in spool.tail(flushed_since=0.0, limit=9)] == [clock.now] * 2
    assert spool.batch(1).finished_at == clock.now


# Two processes wrote at once, and one's events were gone.


APPENDER = """
import sys
from pathlib import Path
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.store import Spool
who = sys.argv[2]
spool = Spool.open(Path(sys.argv[1]), timeout=60.0)
for n in range(0, 120, 3):
    own = [RawEvent(f"{who}-{n + i}", "g", "s", EventKind.TOOL, 1.0, "x", {"type": "tool"})
           for i in range(3)]
    shared = RawEvent(f"shared-{n}", "g", "s", EventKind.NOTE, 1.0, who, {"type": "note"})
    spool.append(own) if n % 2 else [spool.append([one]) for one in own]
    print(spool.append([shared]).inserted)
spool.close()
"""


def test_what_two_processes_append_at_once_is_all_there_and_once(spool, path):
    def run(who):
        return subprocess.run(
            [sys.executable, "-c", APPENDER, str(path), who],
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        ).stdout.split()

    with ThreadPoolExecutor(2) as pool:
        won = [[int(word) for word in words] for words in pool.map(run, "ab")]

    rows = [row.event.event_id for row in spool.tail(flushed_since=0.0, limit=9999)]
    assert sorted(rows) == sorted(
        [f"{who}-{n}" for who in "ab" for n in range(120)]
        + [f"shared-{n}" for n in range(0, 120, 3)]
    )
    assert [one + other for one, other in zip(*won, strict=True)] == [1] * 40
    waiting = spool.backlog()[0]
    assert (waiting.pending, waiting.tools) == (280, 240)
    assert spool.sessions()[0].events == 280


# One stall was tried again twice, by two that had both noticed it.


def test_one_stall_is_one_retry_whoever_notices_it(spool, path, clock):
    spool.append([event("a")])
    stalled = spool.claim("g", "s")
    clock.now += 301
    with closing(Spool.open(path, now=clock)) as other:
        assert [one.stuck(300.0) for one in (spool, other, spool)] == [1, 0, 0]
        again = other.claim("g", "s")
        assert (again.attempts, again.claims) == (2, 2)
        assert spool.claim("g", "s", force=True) is None
        # The one that hung comes back and knows nothing of it.
        assert not spool.heartbeat(stalled)
        assert not spool.fail(stalled, "late", 0.0)
        assert not spool.complete(stalled)
        assert [one.stuck(300.0) for one in (spool, other)] == [0, 0]
        assert other.complete(again)
    assert spool.batch(again.id).attempts == 2


def test_a_batch_that_beats_is_not_stalled_however_long_it_takes(spool, clock):
    spool.append([event("a")])
    batch = spool.claim("g", "s")
    for _ in range(20):
        clock.now += 299
        assert spool.heartbeat(batch)
        assert spool.stuck(300.0) == 0
    assert spool.complete(batch)


# A debounce without a bound: a session that never paused was never flushed.


def test_a_session_that_never_pauses_is_due_all_the_same(spool, clock):
    for number in range(200):
        spool.append([event(f"e{number}", EventKind.MESSAGE)])
        if agenda(spool.backlog(), clock.now, POLICY).due:
            break
        clock.now += 10

    assert clock.now - 1000.0 == pytest.approx(600, abs=10)
