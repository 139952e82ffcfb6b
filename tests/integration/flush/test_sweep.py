"""When sessions are flushed: hands, stalls, boundaries, and back to nothing whatever happens."""

from __future__ import annotations

import asyncio
import tempfile

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_manager.errors import Rejected
from memory_manager.model import EventKind
from memory_manager.spool.batches import BatchState


async def test_with_retry_by_hand_a_failed_batch_waits_for_one(tmp_path, a_bench, broken):
    async with a_bench(tmp_path, retry=False) as bench:
        await bench.happens(EventKind.SUCCESS)
        bench.worker.faults = broken(1)
        await bench.run_until(bench.clock.now + 7200)
        (waiting,) = await bench.batches()
        assert (waiting.state, waiting.attempts, waiting.retry_at) == (BatchState.ERROR, 1, None)

        await bench.spool.call(lambda spool: spool.retry(session="s"))
        await bench.run_until(bench.clock.now + 1)

        (batch,) = await bench.batches()
        assert batch.state is BatchState.COMPLETED


async def test_with_retry_by_hand_a_stall_waits_for_one_too(tmp_path, a_bench):
    async with a_bench(tmp_path, retry=False) as bench:
        await bench.happens(EventKind.SUCCESS)
        await bench.spool.call(lambda spool: spool.claim("g", "s", owner="dead"))
        await bench.run_until(bench.clock.now + 3600)
        (stalled,) = await bench.batches()
        assert (stalled.state, stalled.error) == (BatchState.ERROR, "no heartbeat")

        report = await bench.sweep.flush("g", "s")

        assert (report.batches, report.failed) == (1, 0)


async def test_one_reopened_batch_is_flushed_again_alone(tmp_path, a_bench, broken):
    async with a_bench(tmp_path) as bench:
        for _ in range(2):
            await bench.happens(EventKind.SUCCESS)
            await bench.sweep.flush("g", "s")
        await bench.happens(EventKind.SUCCESS)
        await bench.spool.call(lambda spool: spool.reopen([1, 2]))

        report = await bench.sweep.flush_again(2)

        assert (report.batches, report.failed, bench.worker.flushed) == (1, 0, [1, 2, 2])
        assert [batch.state for batch in await bench.batches()] == ["error", "completed"]
        assert await bench.pending() == 1
        # What the sweep was faster with is done; what is not in the graph is told.
        assert (await bench.sweep.flush_again(2)).failed == 0
        bench.worker.faults = broken(1)
        assert (await bench.sweep.flush_again(1)).failed == 1
        await bench.spool.call(lambda spool: spool.claim("g", "s", owner="else", force=True))
        assert "it is started" in (await bench.sweep.flush_again(1)).errors[0]
        assert "it is gone" in (await bench.sweep.flush_again(99)).errors[0]


async def test_one_stall_is_retried_once_and_after_a_pause(tmp_path, a_bench):
    async with a_bench(tmp_path) as bench:
        await bench.happens(EventKind.SUCCESS)
        lost = await bench.spool.call(lambda spool: spool.claim("g", "s", owner="dead"))
        bench.clock.now += 301

        for _ in range(3):
            await bench.sweep.once()
        (stalled,) = await bench.batches()
        assert (stalled.state, stalled.attempts) == (BatchState.ERROR, 1)
        assert stalled.retry_at == bench.clock.now + 5.0

        await bench.run_until(bench.clock.now + 3600)
        (batch,) = await bench.batches()
        assert (batch.state, batch.attempts, batch.claims) == (BatchState.COMPLETED, 2, 2)
        assert bench.worker.flushed == [batch.id]
        # Whoever was thought dead comes back: what it says does not count any more.
        assert not await bench.spool.call(lambda spool: spool.complete(lost))
        assert not await bench.spool.call(lambda spool: spool.fail(lost, "late", None))


async def test_a_batch_that_stalls_every_time_is_given_up_too(tmp_path, a_bench):
    async with a_bench(tmp_path) as bench:
        await bench.happens(EventKind.SUCCESS)
        for _ in range(5):
            assert await bench.spool.call(
                lambda spool: spool.claim("g", "s", owner="dead", force=True)
            )
            bench.clock.now += 301
            await bench.sweep.once()

        (batch,) = await bench.batches()
        assert (batch.state, batch.attempts) == (BatchState.GAVE_UP, 5)
        assert [event.tags["error_name"] for event in bench.metrics.events] == ["Stuck"]
        assert bench.worker.flushed == []


async def test_a_failure_of_the_session_ends_a_turn_and_a_tools_does_not(tmp_path, a_bench):
    async with a_bench(tmp_path) as bench:
        await bench.happens(EventKind.ERROR, name="APIError")
        await bench.happens(EventKind.ERROR, "other", name="ToolError", tool="read")
        began = bench.clock.now
        await bench.run_until(began + 61)
        assert [batch.session for batch in await bench.batches()] == ["s"]

        await bench.run_until(began + 121)
        assert [batch.session for batch in await bench.batches()] == ["s", "other"]


async def test_a_new_session_of_the_project_ends_the_one_before_it(tmp_path, a_bench):
    async with a_bench(tmp_path) as bench:
        began = bench.clock.now
        await bench.happens(session="old")
        bench.clock.now += 10
        await bench.happens(EventKind.SESSION, "new", change="created")
        await bench.happens(session="new")
        await bench.run_until(began + 61)

        assert [batch.session for batch in await bench.batches()] == ["old"]


STEPS = st.lists(
    st.tuples(
        st.floats(0.0, 200.0),
        st.sampled_from(["a", "b"]),
        st.sampled_from(
            [
                EventKind.PROMPT,
                EventKind.TOOL,
                EventKind.COMMAND,
                EventKind.ERROR,
                EventKind.SUCCESS,
            ]
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(STEPS, st.booleans())
def test_whatever_happens_nothing_is_pending_in_the_end(a_bench, steps, sweeper):
    """Also without any idle marker, in busy sessions, and when the worker fails now and then."""

    async def live():
        with tempfile.TemporaryDirectory() as folder:
            async with a_bench(folder, sweeper=sweeper) as bench:
                for wait, session, kind, fails in steps:
                    await bench.happens(kind, session)
                    if fails and not bench.worker.faults:
                        bench.worker.faults = [Rejected("disk full")]
                    await bench.run_until(bench.clock.now + wait)
                # Every fault costs one pause of at most ten minutes, the rest one longest wait.
                await bench.run_until(bench.clock.now + 600 + 600 + 120)
                assert await bench.pending() == 0
                states = {batch.state for batch in await bench.batches()}
                assert states == {BatchState.COMPLETED}
                rows = await bench.spool.call(lambda spool: spool.tail(flushed_since=9e9, limit=99))
                assert rows == []

    asyncio.run(live())
