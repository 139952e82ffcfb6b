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
    Order,
    Ready,
    Report,
    failed,
    order_from,
    report_line,
)
from memory_manager.embed import open_embedder
from memory_manager.errors import InvalidRequest, MemoryFault
from memory_manager.extract.batch import extract
from memory_manager.extract.sessions import HISTORY_KINDS
from memory_manager.graph.memory import GraphMemory
from memory_manager.settings import MemorySettings
from memory_manager.spool.store import Spool

if TYPE_CHECKING:
    from memory_manager.memory import Memory

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
        batch = self._spool.batch(order.batch)
        if batch is None:
            raise InvalidRequest(f"there is no batch {order.batch}")
        events = self._spool.read(batch)
        history = self._spool.history(batch.group, batch.session, HISTORY_KINDS)
        found = await asyncio.to_thread(extract, batch.group, events, history)
        if not found.episodes and not found.facts:
            return Flushed(order.id, skipped=True)
        await self._memory.store(found)
        await self._memory.persist()
        paths = {path for episode in found.episodes for path in episode.paths}
        paths.update(path for fact in found.facts for path in fact.paths)
        return Flushed(
            order.id,
            len(found.episodes),
            len(found.entities),
            len(found.facts),
            tuple(sorted(paths)),
        )


async def _beats(order: Order) -> None:
    while True:
        await asyncio.sleep(_BEAT_S)
        _say(Beat(order.id))


def _say(report: Report) -> None:
    sys.stdout.buffer.write(report_line(report))
    sys.stdout.buffer.flush()


async def _carry_out(worker: Worker, order: Order) -> Flushed | Failed:
    beats = asyncio.create_task(_beats(order))
    try:
        return await worker.flush(order)
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
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    os.nice(_NICENESS)
    try:
        asyncio.run(main())
    except BrokenPipeError:
        os._exit(1)
