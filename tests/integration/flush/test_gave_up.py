"""A batch that cannot be stored: tried again, given up after five attempts, told once, brought back."""

from __future__ import annotations

from itertools import pairwise

from memory_manager.model import EventKind
from memory_manager.spool.batches import BatchState
from metrics import catalog


async def test_a_batch_that_never_succeeds_is_given_up_and_told_once(tmp_path, a_bench, broken):
    async with a_bench(tmp_path) as bench:
        await bench.happens()
        await bench.happens(EventKind.SUCCESS)
        bench.worker.faults = broken(5)
        await bench.run_until(bench.clock.now + 3600)

        (batch,) = await bench.batches()
        assert (batch.state, batch.attempts) == (BatchState.GAVE_UP, 5)
        (event,) = bench.metrics.events
        assert event.event is catalog.GAVE_UP
        assert event.alert_type == "error"
        assert event.aggregation_key.startswith("g-")
        assert event.tags == {"error_name": "Unavailable"}
        assert "2 events of session s" in event.text
        assert "raw-events-retry s --gave-up" in event.text
        assert "no graph" in event.text
        assert "ghp_a1B2" not in event.text


async def test_attempts_come_at_growing_distances(tmp_path, a_bench, broken):
    async with a_bench(tmp_path) as bench:
        await bench.happens(EventKind.SUCCESS)
        bench.worker.faults = broken(4)
        tried = []
        bench.metrics.distribution = lambda *_args, **_more: tried.append(bench.clock.now)
        await bench.run_until(bench.clock.now + 3600)

        pauses = [round(later - one, 1) for one, later in pairwise(tried)]
        assert pauses == [5.0, 10.0, 20.0, 40.0]
        assert await bench.pending() == 0
        assert bench.metrics.events == []


async def test_what_comes_after_a_batch_that_was_given_up_goes_on(tmp_path, a_bench, broken):
    async with a_bench(tmp_path) as bench:
        await bench.happens(EventKind.SUCCESS)
        bench.worker.faults = broken(5)
        await bench.run_until(bench.clock.now + 3600)
        await bench.happens(EventKind.SUCCESS)
        await bench.run_until(bench.clock.now + 3600)

        first, second = await bench.batches()
        assert (first.state, second.state) == (BatchState.GAVE_UP, BatchState.COMPLETED)
        assert await bench.pending() == 0
        status = await bench.spool.call(lambda spool: spool.status(10))
        assert status.sessions[0].cursor == second.last_seq
        assert status.batches[BatchState.GAVE_UP] == 1


async def test_a_hand_brings_a_given_up_batch_back_with_its_range(tmp_path, a_bench, broken):
    async with a_bench(tmp_path) as bench:
        await bench.happens(EventKind.SUCCESS)
        bench.worker.faults = broken(5)
        await bench.run_until(bench.clock.now + 3600)
        (given_up,) = await bench.batches()
        unflushed = await bench.spool.call(lambda spool: spool.tail(flushed_since=9e9, limit=9))
        assert [row.event.event_id for row in unflushed] == ["e1"]

        retried = await bench.spool.call(lambda spool: spool.retry(session="s"))
        await bench.run_until(bench.clock.now + 60)

        (batch,) = await bench.batches()
        assert retried == 1
        assert batch.state is BatchState.COMPLETED
        assert (batch.first_seq, batch.last_seq) == (given_up.first_seq, given_up.last_seq)
        assert bench.worker.flushed == bench.landed == [batch.id]
        assert len(bench.metrics.events) == 1


async def test_what_a_flush_said_stands_in_the_spool(tmp_path, a_bench):
    async with a_bench(tmp_path) as bench:
        await bench.happens(EventKind.SUCCESS)
        await bench.run_until(bench.clock.now + 60)

        (batch,) = await bench.batches()
        assert (batch.summary, batch.tags, batch.tags_version) == ("Asked: x", ("bugfix",), 1)
        assert batch.episodes == 1
