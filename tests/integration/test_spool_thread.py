"""The spool's thread: group commit, order, bounds, cancellation, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from memory_manager.errors import Corrupt, InvalidRequest, Unavailable
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.store import Spool
from memory_manager.spool.thread import SpoolThread


def event(name, content="x"):
    return RawEvent(name, "g", "s", EventKind.TOOL, 1.0, content, {"type": "tool"})


@contextlib.asynccontextmanager
async def running(path, **bounds):
    thread = await SpoolThread.start(lambda: Spool.open(path), **bounds)
    try:
        yield thread
    finally:
        await thread.close()


@contextlib.asynccontextmanager
async def held(thread):
    """The thread waits inside an operation, so that what follows is queued."""
    gate, begun = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(_):
        loop.call_soon_threadsafe(begun.set)
        gate.wait(30)

    waiting = asyncio.ensure_future(thread.call(hold))
    await begun.wait()
    try:
        yield gate
    finally:
        gate.set()
        await waiting


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool.sqlite3"


async def test_an_append_is_on_disk_when_it_returns(path):
    async with running(path) as thread:
        receipt = await thread.append([event("a"), event("a")])

        assert (receipt.inserted, receipt.duplicates) == (1, 1)
        other = Spool.open(path, readonly=True)
        assert other.backlog()[0].pending == 1
        other.close()
        assert (await thread.append([])).received == 0


async def test_what_queues_up_is_committed_together(path):
    commits = []

    class Counting(Spool):
        def append_many(self, lists):
            commits.append(len(lists))
            return super().append_many(lists)

    thread = await SpoolThread.start(lambda: Counting.open(path))
    async with held(thread) as gate:
        appends = [asyncio.ensure_future(thread.append([event(f"e{n}")])) for n in range(50)]
        await asyncio.sleep(0)
        gate.set()
        receipts = await asyncio.gather(*appends)
    await thread.close()

    assert commits == [50]
    assert [list(receipt.new) for receipt in receipts] == [[f"e{n}"] for n in range(50)]


async def test_operations_keep_their_order(path):
    async with running(path) as thread, held(thread) as gate:
        first = asyncio.ensure_future(thread.append([event("a")]))
        await asyncio.sleep(0)
        count = asyncio.ensure_future(thread.call(lambda spool: spool.status().pending))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(thread.append([event("b")]))
        await asyncio.sleep(0)
        gate.set()

        assert await count == 1
        assert (await first).inserted == (await second).inserted == 1


async def test_a_full_queue_refuses_and_recovers(path):
    async with running(path, most_waiting=3, most_text=10_000) as thread:
        async with held(thread) as gate:
            queued = [asyncio.ensure_future(thread.append([event(f"e{n}")])) for n in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Unavailable, match="full"):
                await thread.append([event("x")])
            gate.set()
            await asyncio.gather(*queued)
        with pytest.raises(Unavailable, match="full"):
            await thread.append([event("x", "y" * 10_000)])
        assert (await thread.append([event("x", "y" * 9_000)])).inserted == 1
        assert thread.waiting == 0


async def test_a_cancelled_append_is_neither_lost_nor_repeated(path):
    async with running(path) as thread:
        async with held(thread) as gate:
            doomed = asyncio.ensure_future(thread.append([event("a")]))
            await asyncio.sleep(0)
            doomed.cancel()
            with pytest.raises(asyncio.CancelledError):
                await doomed
            gate.set()
        receipt = await thread.append([event("a")])

        assert (receipt.inserted, receipt.duplicates) == (0, 1)
        assert thread.waiting == 0


async def test_events_are_made_on_the_spools_thread(path):
    made_on = []

    def make():
        made_on.append(threading.current_thread().name)
        return [event("a")]

    async with running(path) as thread:
        assert (await thread.append_from(make, 10)).inserted == 1
    assert made_on == ["spool"]


async def test_one_bad_event_does_not_fail_its_neighbours(path):
    def refuse():
        raise InvalidRequest("content: too large")

    async with running(path) as thread, held(thread) as gate:
        good = asyncio.ensure_future(thread.append([event("a")]))
        await asyncio.sleep(0)
        refused = asyncio.ensure_future(thread.append_from(refuse, 1))
        await asyncio.sleep(0)
        unstorable = asyncio.ensure_future(thread.append([event("b", "\ud800")]))
        await asyncio.sleep(0)
        gate.set()

        assert (await good).inserted == 1
        with pytest.raises(InvalidRequest):
            await refused
        with pytest.raises(UnicodeEncodeError):
            await unstorable


async def test_what_an_operation_raises_is_raised_to_its_caller(path):
    async with running(path) as thread:
        with pytest.raises(ZeroDivisionError):
            await thread.call(lambda _: 1 // 0)
        assert await thread.call(lambda _: 5) == 5


async def test_a_spool_that_does_not_open_says_why(path):
    path.write_bytes(b"no database" * 100)
    with pytest.raises(Corrupt):
        await SpoolThread.start(lambda: Spool.open(path))


async def test_closing_finishes_what_is_queued_and_refuses_more(path):
    thread = await SpoolThread.start(lambda: Spool.open(path))
    async with held(thread) as gate:
        queued = [asyncio.ensure_future(thread.append([event(f"e{n}")])) for n in range(20)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(thread.close())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="closing"):
            await thread.append([event("late")])
        gate.set()
        assert await closing == 0
        await asyncio.gather(*queued)
    assert await thread.close() == 0

    spool = Spool.open(path, readonly=True)
    assert spool.status().pending == 20
    spool.close()


async def test_closing_gives_up_at_its_deadline(path):
    thread = await SpoolThread.start(lambda: Spool.open(path))
    async with held(thread) as gate:
        queued = asyncio.ensure_future(thread.append([event("a")]))
        await asyncio.sleep(0)
        assert await thread.close(deadline=0.0) == 2
        gate.set()
        with pytest.raises(Unavailable, match="closed"):
            await queued
