"""`python -m bridge.bench.forgetful SPOOL`: flushes a spool into a memory that forgets each batch.

What runs is the bridge's own: the spool's thread, the sweep, and the worker's code in the same
process. Prints `[seconds, events done, resident MB]` a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, override

from bridge.bench.work import resident
from bridge.flush.link import FlushWorker
from bridge.flush.messages import Flushed, Order
from bridge.flush.policy import FlushPolicy
from bridge.flush.sweep import Sweep
from bridge.flush.worker import Worker
from memory_manager.memory import FakeMemory
from memory_manager.spool.store import Spool
from memory_manager.spool.thread import SpoolThread
from metrics.recorder import NullMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memory_manager.model import Extraction
    from memory_manager.spool.batches import Batch

#: Batches from one sample to the next.
_BATCHES = 20


class Forgetful(FakeMemory):
    """Does all the work of storing and keeps nothing."""

    @override
    async def store(self, extraction: Extraction) -> None:
        await super().store(extraction)
        await self.close()


class _Here(FlushWorker):
    """The worker's code without its process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    @override
    async def flush(self, batch: int, *, beat: Callable[[], None], silence: float) -> Flushed:
        return await self._worker.flush(Order(1, batch))


async def main(path: Path) -> None:
    """Flush everything that waits."""
    spool = await SpoolThread.start(lambda: Spool.open(path))
    reader = Spool.open(path, readonly=True)
    began = time.monotonic()
    done = batches = 0

    async def landed(batch: Batch, _paths: Sequence[str]) -> None:
        nonlocal done, batches
        done += batch.last_seq - batch.first_seq + 1
        batches += 1
        if batches % _BATCHES == 0:
            _say(began, done)

    async def available() -> bool:
        return True

    sweep = Sweep(
        spool=spool,
        worker=_Here(Worker(reader, Forgetful())),
        policy=FlushPolicy(),
        interval=1.0,
        metrics=NullMetrics(),
        landed=landed,
        available=available,
    )
    try:
        report = await sweep.flush_all()
        _say(began, done)
    finally:
        reader.close()
        await spool.close()
    if report.failed:
        raise SystemExit("; ".join(report.errors[:3]))


def _say(began: float, done: int) -> None:
    print(json.dumps([time.monotonic() - began, done, resident(os.getpid())]), flush=True)


if __name__ == "__main__":
    sys.setswitchinterval(0.0005)
    asyncio.run(main(Path(sys.argv[1])))
