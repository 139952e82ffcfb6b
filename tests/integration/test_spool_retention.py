"""What leaves the spool and what never does; the file on disk shrinks."""

from __future__ import annotations

import logging

import pytest

from memory_manager.extract.sessions import HISTORY_KINDS
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.batches import BatchState
from memory_manager.spool.retention import QUIET_S
from memory_manager.spool.statements import SQL
from memory_manager.spool.store import Spool

DAY = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

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
    opened = Spool.open(path, now=clock)
    yield opened
    opened.close()


def event(name, kind=EventKind.NOTE, session="s", content="x", group="g"):
    return RawEvent(name, group, session, kind, 1.0, content, {"type": kind.value})


def flush(spool, session="s", group="g"):
    while batch := spool.claim(group, session):
        spool.complete(batch, episodes=1)


def names(spool, session="s"):
    return {row.event.event_id for row in spool.session_events("g", session, limit=10_000)}


def purge(spool, clock, keep_s=7 * DAY, limit=500):
    total = 0
    while count := spool.purge(clock.now, keep_s, limit):
        assert count <= limit
        total += count
    return total


def test_the_kinds_that_every_flush_reads_again_are_known_to_the_tables():
    kept = ", ".join(f"'{kind}'" for kind in ("file_edit", "command", "error", "success", "prompt"))
    assert {str(kind) for kind in HISTORY_KINDS} == set(kept.replace("'", "").split(", "))
    for part in ("step_2", "fading"):
        assert f"kind NOT IN ({kept})" in SQL[part]


def test_what_was_flushed_long_ago_goes_and_what_was_not_stays(spool, clock):
    spool.append([event("old")])
    flush(spool)
    spool.append([event("unflushed")])
    clock.now += 8 * DAY
    spool.append([event("late", session="t")])
    flush(spool, "t")

    assert purge(spool, clock) == 1
    assert names(spool) == {"unflushed"}
    assert names(spool, "t") == {"late"}
    assert spool.backlog()[0].pending == 1


def test_the_history_of_a_session_that_still_lives_stays_whole(spool, clock):
    history = [event(f"h-{kind}", kind) for kind in sorted(HISTORY_KINDS)]
    others = [event(f"o-{kind}", kind, content=kind) for kind in set(EventKind) - HISTORY_KINDS]
    spool.append(history + others)
    flush(spool)
    clock.now += 8 * DAY
    spool.append([event("again", EventKind.PROMPT)])
    flush(spool)
    clock.now += 6 * DAY

    assert purge(spool, clock) == len(others)
    assert {found.event_id for found in spool.history("g", "s", HISTORY_KINDS)} == {
        "again", *(item.event_id for item in history)
    }  # fmt: skip
    clock.now += 2 * DAY
    assert purge(spool, clock) == len(history) + 1
    assert names(spool) == set()


@pytest.mark.parametrize("left", ["pending", "started", "error", "gave_up", "reopened"])
def test_a_session_that_owes_something_keeps_its_history(spool, clock, left):
    spool.append([event("h", EventKind.PROMPT)])
    flush(spool)
    if left == "reopened":
        spool.reopen([1])
    else:
        spool.append([event("owed", EventKind.ERROR)])
    if left in {"started", "error", "gave_up"}:
        batch = spool.claim("g", "s")
        if left != "started":
            spool.fail(batch, "x", None, gave_up=left == "gave_up")
    clock.now += 400 * DAY

    assert purge(spool, clock) == 0
    assert "h" in names(spool)
    assert spool.shrink(0) in {0, 1}
    assert "owed" in names(spool) or left == "reopened"


def test_one_transaction_takes_no_more_than_it_may(spool, clock):
    for session in "abc":
        spool.append([event(f"{session}{n}", EventKind.PROMPT, session) for n in range(10)])
        flush(spool, session)
    clock.now += 8 * DAY

    taken = []
    while count := spool.purge(clock.now, 7 * DAY, 7):
        taken.append(count)
    assert max(taken) == 7
    assert sum(taken) == 30


def test_books_go_when_nothing_is_left_to_keep_them_for(spool, clock):
    spool.append([event("a", EventKind.PROMPT), event("b", session="t")])
    flush(spool)
    flush(spool, "t")
    clock.now += 8 * DAY
    spool.append([event("c", EventKind.PROMPT, "t")])
    flush(spool, "t")

    purge(spool, clock)

    assert spool.batch(1) is None
    assert spool.batch(2) is None
    assert spool.batch(3).state is BatchState.COMPLETED
    assert [entry.session for entry in spool.sessions()] == ["t"]


def test_books_without_rows_go_though_no_row_goes_with_them(spool, clock):
    for number in range(450):
        spool.append([event(f"{number}", session=f"s{number}", content="x" * 2000)])
        flush(spool, f"s{number}")
    clock.now += 2 * QUIET_S
    while spool.shrink(0):
        pass
    assert len(spool.sessions(limit=1000)) == 450
    clock.now += 8 * DAY

    assert spool.purge(clock.now, 7 * DAY) == 0
    assert spool.sessions() == []
    assert spool.status().batches == {}


def test_a_session_that_comes_back_begins_anew(spool, clock):
    spool.append([event("a", EventKind.PROMPT)])
    flush(spool)
    clock.now += 8 * DAY
    purge(spool, clock)
    spool.append([event("b", EventKind.PROMPT)])

    batch = spool.claim("g", "s")
    assert [item.event_id for item in spool.read(batch)] == ["b"]
    assert batch.first_seq == 2
    assert spool.complete(batch)
    assert spool.status().sessions[0].cursor == 2


def test_the_file_on_disk_shrinks(spool, path, clock):
    spool.append([event(f"{n}", content="x" * 5_000) for n in range(2000)])
    flush(spool)
    spool.checkpoint()
    before = path.stat().st_size
    clock.now += 8 * DAY

    assert purge(spool, clock) == 2000
    spool.checkpoint()
    assert before > 10_000_000
    assert path.stat().st_size < before / 20


def test_above_the_limit_the_oldest_quiet_session_goes_first(spool, path, clock):
    for session in "abc":
        spool.append(
            [event(f"{session}{n}", EventKind.PROMPT, session, "x" * 5000) for n in range(100)]
        )
        flush(spool, session)
        clock.now += 10
    spool.append([event("talk", session="c")])
    clock.now += 2 * QUIET_S
    full = spool.size()

    assert spool.shrink(full) == 0
    while spool.shrink(full - 600_000, 40):
        pass
    assert spool.size() < full - 500_000
    assert names(spool, "a") == set()
    assert 0 < len(names(spool, "b")) < 100
    assert len(names(spool, "c")) == 101


def test_what_is_read_again_goes_last_and_what_is_unflushed_never(spool, clock):
    spool.append(
        [event(f"n{n}", content="x" * 9000) for n in range(20)]
        + [event(f"p{n}", EventKind.PROMPT, content="x" * 9000) for n in range(20)]
    )
    flush(spool)
    spool.append([event(f"w{n}", content="x" * 9000) for n in range(20)])
    clock.now += 100 * QUIET_S

    assert spool.shrink(spool.size() - 20_000, 5) == 5
    assert {name[0] for name in names(spool)} == {"n", "p", "w"}
    assert len([name for name in names(spool) if name[0] == "n"]) == 15
    while spool.shrink(0, 50):
        pass
    assert names(spool) == {f"w{n}" for n in range(20)}
    assert spool.backlog()[0].pending == 20


def test_every_purge_is_told_in_one_line_to_who_looks_closely(spool, clock, caplog):
    spool.append([event("a", EventKind.PROMPT)])
    flush(spool)
    clock.now += 8 * DAY
    with caplog.at_level(logging.DEBUG, logger="memory_manager.spool"):
        purge(spool, clock)

    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    assert [record.getMessage() for record in caplog.records] == [
        "spool: purged 1 rows, 1 batches, 1 sessions: flushed more than 604800 s ago"
    ]


def test_a_discarded_project_leaves_nothing_and_nobody_else_misses_anything(spool):
    spool.register(["place:box:/g"], "g", name="g", root="/g")
    spool.append([event("a"), event("b", group="h")])
    spool.claim("g", "s")

    assert spool.discard("g") == 1
    assert [entry.group for entry in spool.projects()] == ["h"]
    assert spool.group_of(["place:box:/g"]) is None
    assert spool.status().batches == {}
    assert spool.append([event("a")]).inserted == 1
    assert spool.backlog()[0].pending == 1


def test_samples_are_thinned_and_let_go(spool, clock):
    def kept():
        return [tuple(row) for row in spool._db.execute("SELECT slot, pending FROM samples")]

    clock.now = 30.0 * 1000
    spool.sample()
    spool.append([event("a")])
    clock.now += 20
    spool.sample()
    assert kept() == [(1000, 1)]
    clock.now += 20
    spool.append([event("b")])
    spool.sample()
    assert kept() == [(1000, 1), (1001, 2)]
    clock.now += 91 * DAY
    spool.sample()
    assert [pending for _, pending in kept()] == [2]
    assert spool._db.execute("SELECT count(*) FROM arrivals").fetchone()[0] == 0
