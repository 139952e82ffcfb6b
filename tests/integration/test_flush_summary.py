"""Summaries on a real spool: one for each batch, the same on every retry, made later for old ones."""

from __future__ import annotations

import pytest

from bridge.flush.messages import Flushed, Gone, Order
from bridge.flush.policy import FlushPolicy
from bridge.flush.sweep import Sweep
from bridge.flush.worker import Worker
from memory_manager.errors import Corrupt, InvalidRequest, Unavailable
from memory_manager.extract.tags import TAGS_VERSION
from memory_manager.memory import FakeMemory
from memory_manager.model import EventKind, Query, RawEvent
from memory_manager.spool.batches import BatchState
from memory_manager.spool.store import Spool
from memory_manager.spool.thread import SpoolThread
from metrics.recorder import NullMetrics

TURN = (
    (EventKind.PROMPT, "Add a retry to the payment client", {}),
    (EventKind.FILE_EDIT, "Modified: src/pay.py", {"path": "src/pay.py"}),
    (EventKind.COMMAND, "Ran: pytest", {"command": "pytest", "exit": 0}),
    (EventKind.SUCCESS, "Completed: Add a retry to the payment client", {}),
)


def turn(number, session="s"):
    return [
        RawEvent(f"{session}{number}-{n}", "g", session, kind, number * 100.0 + n, text, metadata)
        for n, (kind, text, metadata) in enumerate(TURN)
    ]


@pytest.fixture
def spool(tmp_path):
    opened = Spool.open(tmp_path / "spool.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def memory():
    return FakeMemory()


@pytest.fixture
def worker(spool, memory):
    return Worker(spool, memory)


def claimed(spool, events, session="s"):
    spool.append(events)
    return spool.claim("g", session)


def untagged(spool, events, session="s"):
    """A batch as it was completed before there were summaries."""
    batch = claimed(spool, events, session)
    assert spool.complete(batch)
    return spool.batch(batch.id)


async def summaries(memory):
    export = await memory.export("g")
    return [episode for episode in export["episodes"] if episode["kind"] == EventKind.SUMMARY]


async def test_a_flush_writes_one_summary_and_reports_it(spool, memory, worker):
    batch = claimed(spool, turn(1))

    report = await worker.flush(Order(1, batch.id))

    (summary,) = await summaries(memory)
    assert report.episodes == len(TURN) + 1
    assert report.summary == summary["content"]
    assert report.summary.startswith("Asked: Add a retry to the payment client (completed)\n")
    assert report.tags == ("feature", "pytest", "python", "tests")
    assert report.tags_version == TAGS_VERSION
    assert summary["event_id"] == "summary:s:s1-0"


async def test_a_retry_of_the_range_changes_nothing(spool, memory, worker):
    batch = claimed(spool, turn(1))
    first = await worker.flush(Order(1, batch.id))
    before = await summaries(memory)
    spool.append(turn(2))

    again = await worker.flush(Order(1, batch.id))

    assert (again.summary, again.tags) == (first.summary, first.tags)
    assert await summaries(memory) == before


async def test_every_batch_has_its_own(spool, memory, worker):
    for number in (1, 2):
        batch = claimed(spool, turn(number))
        await worker.flush(Order(1, batch.id))
        spool.complete(batch)

    ids = [one["event_id"] for one in await summaries(memory)]
    assert ids == ["summary:s:s1-0", "summary:s:s2-0"]


async def test_a_skipped_batch_is_not_asked_for_again(spool, worker):
    nod = RawEvent("n", "g", "s", EventKind.PROMPT, 1.0, "yes")

    report = await worker.flush(Order(1, claimed(spool, [nod]).id))

    assert report == Flushed(1, skipped=True, tags_version=TAGS_VERSION)


async def test_a_summary_is_found_by_another_session(spool, memory, worker):
    await worker.flush(Order(1, claimed(spool, turn(1)).id))

    answer = await memory.query(Query("g", "payment client retry pytest", 10))

    kinds = [hit.kind for hit in answer.hits]
    assert "summary" in kinds
    assert kinds[0] != "summary"


async def test_a_later_summary_is_all_that_is_written(spool, memory, worker):
    batch = untagged(spool, turn(1))

    report = await worker.summarise(Order(1, batch.id, "summary"))

    export = await memory.export("g")
    assert [episode["kind"] for episode in export["episodes"]] == [EventKind.SUMMARY]
    assert export["facts"] == []
    assert (report.episodes, report.paths) == (1, ("src/pay.py",))


async def test_only_a_completed_batch_is_summed_up_later(spool, worker):
    batch = claimed(spool, turn(1))

    with pytest.raises(InvalidRequest, match="started"):
        await worker.summarise(Order(1, batch.id, "summary"))
    with pytest.raises(InvalidRequest, match="no batch 99"):
        await worker.summarise(Order(1, 99, "summary"))


@pytest.mark.parametrize("left", [0, 1, 3])
async def test_what_was_purged_is_gone(spool, worker, left):
    batch = untagged(spool, turn(1))
    purge(spool, len(TURN) - left)

    assert await worker.summarise(Order(1, batch.id, "summary")) == Gone(1)


async def test_a_batch_that_lost_rows_keeps_the_summary_that_knew_them(spool, memory, worker):
    batch = claimed(spool, turn(1))
    first = await worker.flush(Order(1, batch.id))
    spool.complete(batch, summary=first.summary, tags=first.tags, tags_version=1)
    purge(spool, 1)

    again = await worker.flush(Order(1, batch.id))

    assert (again.summary, again.tags) == (first.summary, first.tags)
    assert len(await summaries(memory)) == 1


def purge(spool, rows):
    """The earliest rows go, as retention takes them."""
    with spool._transaction() as db:
        db.execute(
            "DELETE FROM raw_events WHERE seq IN (SELECT seq FROM raw_events ORDER BY seq LIMIT ?)",
            (rows,),
        )


class Near:
    """The worker without its process; fails for the batches it is told to."""

    def __init__(self, worker):
        self._worker = worker
        self.faults = {}

    async def summarise(self, batch, *, beat, silence):
        if batch in self.faults:
            raise self.faults[batch]
        beat()
        return await self._worker.summarise(Order(1, batch, "summary"))


@pytest.fixture
def landed():
    return []


@pytest.fixture
async def sweep(tmp_path, spool, memory, worker, landed):
    thread = await SpoolThread.start(lambda: Spool.open(tmp_path / "spool.sqlite3"))

    async def land(batch, paths):
        landed.append((batch.id, tuple(paths)))

    async def available():
        return memory.fault is None

    yield Sweep(thread, Near(worker), FlushPolicy(), 30.0, NullMetrics(), land, available)
    await thread.close()


async def test_a_backfill_goes_page_by_page_and_once_only(spool, memory, sweep, landed):
    batches = [untagged(spool, turn(number)) for number in (1, 2, 3)]

    first = await sweep.backfill(limit=2)
    second = await sweep.backfill(first.next, limit=2)
    again = await sweep.backfill()

    assert (first.done, first.left, first.next) == (2, 1, batches[1].id)
    assert (second.done, second.left, second.next) == (1, 0, None)
    assert (again.done, again.left, again.next) == (0, 0, None)
    assert len(await summaries(memory)) == 3
    noted = spool.batch(batches[0].id)
    assert (noted.state, noted.tags_version) == (BatchState.COMPLETED, TAGS_VERSION)
    assert "tests" in noted.tags
    assert noted.summary.startswith("Asked: ")
    assert landed == [(batch.id, ("src/pay.py",)) for batch in batches]


async def test_what_lost_its_events_is_counted_and_not_asked_for_again(spool, sweep):
    untagged(spool, turn(1))
    purge(spool, 2)

    page = await sweep.backfill()

    assert (page.done, page.gone, page.left) == (0, 1, 0)
    assert (await sweep.backfill()).gone == 0


async def test_a_batch_that_fails_does_not_hold_up_the_others(spool, sweep):
    first, second = untagged(spool, turn(1)), untagged(spool, turn(2))
    sweep.worker.faults = {first.id: Corrupt("a page is damaged")}

    page = await sweep.backfill()

    assert (page.done, page.failed) == (1, 1)
    assert spool.batch(first.id).tags_version == 0
    assert spool.batch(second.id).tags_version == TAGS_VERSION


async def test_while_the_graph_is_away_nothing_is_summed_up(spool, memory, sweep):
    batch = untagged(spool, turn(1))
    memory.fault = Unavailable("away")

    with pytest.raises(Unavailable):
        await sweep.backfill()
    assert spool.batch(batch.id).tags_version == 0
