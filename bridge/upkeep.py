"""What the bridge does by itself every few seconds: gauges, retention, the idle end.

Each round is a task of its own, so that a failed one is logged and the next comes. Nothing here
holds the loop or the spool's thread for long: what is large is done in small transactions with
room between them for whoever waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from bridge.arrivals import LADDER
from memory_manager.errors import MemoryFault
from memory_manager.spool.batches import BatchState
from memory_manager.spool.store import Spool
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

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


class Upkeep:
    """Looks after spool, ledger, tail and engines until it is cancelled."""

    def __init__(
        self,
        parts: Parts,
        arrivals: Arrivals,
        clients: Callable[[], int],
        end: Callable[[], None],
    ) -> None:
        """`clients` tells how many are connected; `end` is called when nobody needs the bridge."""
        self._parts = parts
        self._arrivals = arrivals
        self._clients = clients
        self._end = end
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
        await asyncio.to_thread(parts.ledger.checkpoint)
        await self._arrivals.look()
        parts.metrics.gauge(catalog.DEGRADATION, LADDER[self._arrivals.degradation])
        self._measure(await parts.spool.call(lambda spool: spool.status(0)))
        await self._sampled()
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
        metrics.gauge(catalog.SPOOL_PENDING, status.pending)
        metrics.gauge(catalog.SPOOL_OLDEST_AGE, status.oldest_age)
        for state in BatchState:
            metrics.gauge(catalog.BATCHES, status.batches.get(state, 0), tags={"state": str(state)})

    async def _idle(self) -> bool:
        limit = self._parts.settings.idle_exit_s
        if limit == 0 or self._clients() or time.monotonic() - self._active < limit:
            return False
        return not await self._parts.spool.call(Spool.backlog)
