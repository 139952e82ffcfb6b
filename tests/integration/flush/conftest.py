"""A sweep on a real spool, with a clock of its own and a worker that fails as often as it is told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bridge.flush.messages import Flushed
from bridge.flush.policy import FlushPolicy
from bridge.flush.sweep import Sweep
from memory_manager.errors import Unavailable
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.store import Spool
from memory_manager.spool.thread import SpoolThread
from metrics.recorder import RecordedMetrics

SECRET = "ghp_" + "a1B2c3D4e5" * 4


@dataclass
class Clock:
    now: float = 10_000.0

    def __call__(self):
        return self.now


@dataclass
class FlakyWorker:
    """Flushes, or fails as often as it is told to."""

    faults: list[Exception] = field(default_factory=list)
    flushed: list[int] = field(default_factory=list)

    async def flush(self, batch, *, beat, silence):
        beat()
        if self.faults:
            raise self.faults.pop(0)
        self.flushed.append(batch)
        return Flushed(1, episodes=1, summary="Asked: x", tags=("bugfix",), tags_version=1)


class Bench:
    """A sweep with everything it works on."""

    def __init__(self, spool, clock, **policy):
        self.spool, self.clock, self.worker = spool, clock, FlakyWorker()
        self.metrics, self.landed, self.count = RecordedMetrics(), [], 0

        async def landed(batch, _paths):
            self.landed.append(batch.id)

        async def available():
            return True

        self.sweep = Sweep(
            spool=spool,
            worker=self.worker,
            policy=replace(FlushPolicy(), **policy),
            interval=30.0,
            metrics=self.metrics,
            landed=landed,
            available=available,
            now=clock,
            chance=lambda: 1.0,
        )

    async def happens(self, kind=EventKind.PROMPT, session="s", **metadata):
        self.count += 1
        event = RawEvent(
            f"e{self.count}", "g", session, kind, self.clock.now, f"Do it {self.count}", metadata
        )
        await self.spool.append([event])

    async def batches(self):
        return await self.spool.call(
            lambda spool: [batch for n in range(1, 99) if (batch := spool.batch(n)) is not None]
        )

    async def pending(self):
        return sum(one.pending for one in await self.spool.call(Spool.backlog))

    async def run_until(self, end):
        """Sweep whenever the sweep wants to be woken, up to a time."""
        while True:
            plan = await self.sweep.once()
            wake = min(end, plan.next_at or end, self.clock.now + 30.0)
            if self.clock.now >= end:
                return
            self.clock.now = max(wake, self.clock.now + 0.05)


@asynccontextmanager
async def _bench(folder, **policy):
    clock = Clock()
    path = Path(folder) / "spool.sqlite3"
    spool = await SpoolThread.start(lambda: Spool.open(path, now=clock))
    try:
        yield Bench(spool, clock, **policy)
    finally:
        await spool.close()


@pytest.fixture
def a_bench():
    """Makes a bench in a folder; its keywords change the policy."""
    return _bench


@pytest.fixture
def broken():
    """So many faults of a graph that is away, each naming a secret."""
    return lambda times: [Unavailable(f"no graph, {SECRET}, {n}") for n in range(times)]
