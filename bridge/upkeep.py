"""What the bridge does by itself every few seconds: gauges, retention, the idle end.

Each round is a task of its own, so that a failed one is logged and the next comes. Nothing here
holds the loop or the spool's thread for long: what is large is done in small transactions with
room between them for whoever waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Protocol

from bridge.arrivals import LADDER
from memory_manager.errors import MemoryFault
from memory_manager.memory import Size
from memory_manager.spool.batches import BatchState
from memory_manager.spool.store import Spool
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.arrivals import Arrivals
    from bridge.parts import Parts
    from memory_manager.spool.batches import Status

_log = logging.getLogger(__name__)

#: Seconds between rounds.
_ROUND_S = 10.0
#: Rounds between looks for what is older than it may be: a quarter of an hour.
_RETENTION_ROUNDS = 90
#: Rows of one small transaction, and seconds until the next one.
_ROWS, _BREATH_S = 100, 0.02
_MIB = 1024 * 1024
#: Seconds that the graph may take to say how large it is.
_PROBE_S = 2.0


class Bounded(Protocol):
    """A memory with a bound."""

    @property
    def use(self) -> float:
        """How full it is, from 0 to 1."""
        ...

    def expire(self) -> int:
        """Let go of what was not used for too long."""
        ...


class Upkeep:
    """Looks after spool, ledger, tail and engines until it is cancelled."""

    def __init__(
        self,
        parts: Parts,
        arrivals: Arrivals,
        clients: Callable[[], int],
        end: Callable[[], None],
        remembered: Mapping[str, Bounded],
    ) -> None:
        """`clients`: how many are connected. `end` is called when nobody needs the bridge.

        `remembered`: bounded memories by name, to be let go of in time.
        """
        self._parts = parts
        self._arrivals = arrivals
        self._clients = clients
        self._end = end
        self._remembered = remembered
        self._sizes: dict[str, Size] = {}
        self._active = time.monotonic()
        self._rounds = 0

    def touched(self) -> None:
        """Somebody needs the bridge."""
        self._active = time.monotonic()

    async def run(self) -> None:
        """A round, a pause, for ever."""
        limit = self._parts.settings.idle_exit_s
        pause = min(_ROUND_S, limit or _ROUND_S)
        while True:
            self._parts.background(self.round(), "upkeep round")
            await asyncio.sleep(pause)

    async def settle(self) -> None:
        """Once, behind the start: what an older version left in a shape that can't shrink."""
        await self._parts.spool.call(Spool.settle)
        await self._retain()

    async def round(self) -> None:
        """Everything that is due now."""
        parts = self._parts
        self._rounds += 1
        await parts.tailing.upkeep()
        for kept in self._remembered.values():
            kept.expire()
        await asyncio.to_thread(parts.ledger.checkpoint)
        await self._arrivals.look()
        parts.metrics.gauge(catalog.DEGRADATION, LADDER[self._arrivals.degradation])
        self._measure(await parts.spool.call(lambda spool: spool.status(0)))
        await self._sampled()
        await self._weigh()
        if await self._idle():
            _log.info("idle for %d s: ending", parts.settings.idle_exit_s)
            self._end()
            return
        if self._rounds % _RETENTION_ROUNDS == 0:
            await self._retain()

    async def _sampled(self) -> None:
        # A write: it also tells whether the disk takes any.
        try:
            await self._parts.spool.call(Spool.sample)
        except MemoryFault as fault:
            self._parts.tailing.refused(fault)
            return
        self._parts.tailing.took()

    async def _weigh(self) -> None:
        """How full the bounded memories are, how large the processes, and one project's graph."""
        parts = self._parts
        uses = {name: kept.use for name, kept in self._remembered.items()}
        uses["spool_queue"] = parts.spool.use
        for bound, use in uses.items():
            parts.metrics.gauge(catalog.BOUND_USE, use, tags={"bound": bound})
        for process, size in self._arrivals.resident().items():
            parts.metrics.gauge(catalog.MEMORY, size, tags={"process": process})
        if parts.memory is None:
            return
        with contextlib.suppress(MemoryFault, TimeoutError):
            async with asyncio.timeout(_PROBE_S):
                groups = await parts.memory.groups()
                if groups:
                    # One of them each time: with many projects a round stays short.
                    group = groups[self._rounds % len(groups)]
                    self._sizes = {name: self._sizes.get(name, Size()) for name in groups}
                    self._sizes[group] = await parts.memory.size(group)
        for part in ("episodes", "entities", "facts"):
            total = sum(getattr(size, part) for size in self._sizes.values())
            parts.metrics.gauge(catalog.GRAPH_SIZE, total, tags={"part": part})

    async def _retain(self) -> None:
        """Let go of what is older or more than it may be, in small transactions."""
        parts = self._parts
        settings = parts.settings
        oldest = parts.now() - settings.retention
        gone = 0
        while count := await parts.spool.call(
            lambda spool: spool.purge(parts.now(), settings.retention, _ROWS)
        ):
            gone += count
            await asyncio.sleep(_BREATH_S)
        while count := await parts.spool.call(
            lambda spool: spool.shrink(settings.max_storage_mb * _MIB, _ROWS)
        ):
            gone += count
            await asyncio.sleep(_BREATH_S)
        forgotten = 0
        while count := parts.ledger.purge(oldest, _ROWS):
            forgotten += count
            await asyncio.sleep(_BREATH_S)
        if gone or forgotten:
            _log.info("retention: %d raw events and %d injections were purged", gone, forgotten)
            parts.metrics.count(catalog.PURGED, gone)
        await parts.spool.call(Spool.checkpoint)

    def _measure(self, status: Status) -> None:
        metrics = self._parts.metrics
        metrics.gauge(catalog.SPOOL_WRITABLE, 0 if self._parts.tailing.fault else 1)
        metrics.gauge(catalog.SPOOL_PENDING, status.pending)
        metrics.gauge(catalog.SPOOL_OLDEST_AGE, status.oldest_age)
        for state in BatchState:
            metrics.gauge(catalog.BATCHES, status.batches.get(state, 0), tags={"state": str(state)})

    async def _idle(self) -> bool:
        limit = self._parts.settings.idle_exit_s
        if limit == 0 or self._clients() or time.monotonic() - self._active < limit:
            return False
        return not await self._parts.spool.call(Spool.backlog)
