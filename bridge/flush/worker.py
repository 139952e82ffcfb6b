"""The flush worker: a process beside the bridge that extracts, embeds and writes the graph.

It reads batches from the spool by itself (read-only), reports on standard output, and ends when
its standard input does, so it never outlives the bridge. Its death costs nothing: the batch is
tried again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, override

from bridge.flush.messages import (
    Beat,
    Failed,
    Flushed,
    Gone,
    Order,
    Ready,
    Report,
    failed,
    order_from,
    report_line,
)
from bridge.log_lines import to_log
from memory_manager.embed import open_embedder
from memory_manager.errors import InvalidRequest, MemoryFault
from memory_manager.extract.batch import Flush, extract, flushed, summed_up
from memory_manager.extract.sessions import HISTORY_KINDS
from memory_manager.extract.tags import TAGS_VERSION
from memory_manager.graph.memory import GraphMemory
from memory_manager.settings import MemorySettings
from memory_manager.spool.batches import BatchState
from memory_manager.spool.store import Spool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memory_manager.memory import Memory
    from memory_manager.model import RawEvent
    from memory_manager.spool.batches import Batch

_log = logging.getLogger("flush worker")

#: Seconds between signs of life during one order.
_BEAT_S = 2.0
#: Less important than the bridge that answers people.
_NICENESS = 5


class Worker:
    """Carries out one order after the other."""

    def __init__(self, spool: Spool, memory: Memory) -> None:
        self._spool = spool
        self._memory = memory

    async def flush(self, order: Order) -> Flushed:
        """Write one batch.

        Raises:
            MemoryFault: it is not, or not wholly, in the graph.
        """
        batch = self._batch(order)
        events = self._spool.read(batch)
        history = self._spool.history(batch.group, batch.session, HISTORY_KINDS)
        if self._whole(batch, events):
            found = await asyncio.to_thread(flushed, batch.group, events, history)
        else:
            # Flushed once more after some rows were purged: the summary that stands knew them all.
            left = await asyncio.to_thread(extract, batch.group, events, history)
            found = Flush(left, batch.summary, batch.tags)
        if not found.extraction.episodes and not found.extraction.facts:
            return Flushed(order.id, skipped=True, tags_version=TAGS_VERSION)
        return await self._written(order, found)

    async def summarise(self, order: Order) -> Flushed | Gone:
        """Write the summary of a batch whose events are in the graph, and nothing else.

        Raises:
            MemoryFault: it is not in the graph.
        """
        batch = self._batch(order)
        if batch.state is not BatchState.COMPLETED:
            raise InvalidRequest(f"batch {batch.id} is {batch.state}; only completed ones have one")
        events = self._spool.read(batch)
        if not self._whole(batch, events):
            return Gone(order.id)
        history = self._spool.history(batch.group, batch.session, HISTORY_KINDS)
        found = await asyncio.to_thread(summed_up, batch.group, events, history)
        return await self._written(order, found)

    def _batch(self, order: Order) -> Batch:
        batch = self._spool.batch(order.batch)
        if batch is None:
            raise InvalidRequest(f"there is no batch {order.batch}")
        return batch

    def _whole(self, batch: Batch, events: Sequence[RawEvent]) -> bool:
        """Whether all rows are there, above all the first, which names the summary."""
        before = self._spool.session_events(
            batch.group, batch.session, before=batch.first_seq + 1, limit=1
        )
        return len(events) >= batch.events and any(row.seq == batch.first_seq for row in before)

    async def _written(self, order: Order, found: Flush) -> Flushed:
        extraction = found.extraction
        if extraction.episodes or extraction.facts:
            await self._memory.store(extraction)
            await self._memory.persist()
        paths = {path for episode in extraction.episodes for path in episode.paths}
        paths.update(path for fact in extraction.facts for path in fact.paths)
        return Flushed(
            order.id,
            len(extraction.episodes),
            len(extraction.entities),
            len(extraction.facts),
            tuple(sorted(paths)),
            summary=found.summary,
            tags=found.tags,
            tags_version=TAGS_VERSION,
        )


async def _beats(order: Order) -> None:
    while True:
        await asyncio.sleep(_BEAT_S)
        _say(Beat(order.id))


def _say(report: Report) -> None:
    sys.stdout.buffer.write(report_line(report))
    sys.stdout.buffer.flush()


async def _carry_out(worker: Worker, order: Order) -> Flushed | Gone | Failed:
    beats = asyncio.create_task(_beats(order))
    try:
        return await (worker.summarise(order) if order.work == "summary" else worker.flush(order))
    except MemoryFault as fault:
        _log.warning("order %d: %s: %s", order.id, type(fault).__name__, fault)
        return failed(order.id, fault)
    finally:
        beats.cancel()


class Orders(asyncio.Protocol):
    """Standard input: orders line by line, and the moment when it ends."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.queue: asyncio.Queue[Order] = asyncio.Queue()
        self._buffer = bytearray()

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            self.queue.put_nowait(order_from(bytes(self._buffer[:end])))
            del self._buffer[: end + 1]

    @override
    def eof_received(self) -> None:
        self.ended.set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def main() -> None:
    """Serve orders until standard input ends."""
    settings = MemorySettings()
    orders = Orders()
    await asyncio.get_running_loop().connect_read_pipe(lambda: orders, sys.stdin)
    ended = asyncio.create_task(orders.ended.wait())
    memory = GraphMemory.open(
        settings,
        open_embedder(settings.embedder),
        socket=os.environ.get("OPENCODE_MEM_GRAPH_SOCKET", ""),
    )
    spool = Spool.open(settings.spool_path, readonly=True)
    # Graphiti, before the first order rather than in it.
    import_module("memory_manager.graph.driver")
    worker = Worker(spool, memory)
    _say(Ready(os.getpid()))
    while True:
        order = asyncio.create_task(orders.queue.get())
        await asyncio.wait({order, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not order.done():
            break
        carrying = asyncio.create_task(_carry_out(worker, order.result()))
        await asyncio.wait({carrying, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not carrying.done():
            # The bridge is gone in the middle of an order. Half a batch in the graph is
            # harmless: the same range is written again, to the same identifiers.
            os._exit(1)
        _say(carrying.result())
    order.cancel()
    spool.close()
    await memory.close()


if __name__ == "__main__":
    to_log(logging.WARNING, [logging.StreamHandler()])
    os.nice(_NICENESS)
    try:
        asyncio.run(main())
    except BrokenPipeError:
        os._exit(1)
