"""The sweep: finds what is due or stuck, flushes it, and never ends before the bridge does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.flush.policy import Agenda, FlushPolicy, agenda, pause
from memory_manager.errors import MemoryFault, Rejected, Unavailable
from memory_manager.spool.batches import Batch, BatchState
from memory_manager.spool.store import Spool
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bridge.flush.link import FlushWorker
    from bridge.flush.messages import Flushed
    from memory_manager.spool.thread import SpoolThread
    from metrics.recorder import Metrics

_log = logging.getLogger(__name__)

#: Who claims batches in this process; the lock on the data folder makes it the only one.
OWNER = "bridge"


@dataclass(frozen=True, slots=True)
class FlushReport:
    """What flushing one or more batches came to."""

    batches: int = 0
    episodes: int = 0
    skipped: int = 0
    failed: int = 0
    errors: tuple[str, ...] = ()

    def plus(self, other: FlushReport) -> FlushReport:
        """Both together."""
        return FlushReport(
            self.batches + other.batches,
            self.episodes + other.episodes,
            self.skipped + other.skipped,
            self.failed + other.failed,
            self.errors + other.errors,
        )


@dataclass(slots=True)
class Sweep:
    """Flushes what is due, one batch at a time; a hand may ask for more (`flush`).

    `landed` is told of every batch that reached the graph, with its paths, before the batch is
    called complete: what was cached before must be outdated by then. While `available` says no,
    nothing is claimed: waiting for an engine that is away must not use up a batch's attempts.
    """

    spool: SpoolThread
    worker: FlushWorker
    policy: FlushPolicy
    interval: float
    metrics: Metrics
    landed: Callable[[Batch, Sequence[str]], Awaitable[None]]
    available: Callable[[], Awaitable[bool]]
    now: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def news(self) -> None:
        """Events came in: what is due may have changed."""
        self._news.set()

    async def run(self) -> None:
        """Sweep until cancelled. An unexpected error is logged and the next round tries again."""
        while True:
            wait = self.interval
            try:
                plan = await self.once()
                if plan.next_at is not None:
                    wait = min(wait, max(0.05, plan.next_at - self.now()))
            except MemoryFault as fault:
                _log.warning("Memory plugin error: the sweep has to wait: %s", fault)
            except Exception:  # noqa: BLE001 - the loop outlives any bug; the traceback is logged
                _log.exception("Memory plugin error: the sweep failed; it goes on")
                self.metrics.count(catalog.ERRORS, tags={"where": "sweep"})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()
                    # News comes with every event, and none of it is due at once: one look at the
                    # spool serves all that came in a moment.
                    await asyncio.sleep(self._moment)
            self._news.clear()

    @property
    def _moment(self) -> float:
        return min(1.0, max(0.01, self.policy.debounce / 2))

    async def once(self) -> Agenda:
        """One round: free what is stuck, flush what is due. Returns what is left to wait for."""
        await self.spool.call(lambda spool: spool.stuck(self.policy.stuck))
        plan = agenda(await self.spool.call(Spool.backlog), self.now(), self.policy)
        if plan.due and not await self.available():
            return Agenda((), None)
        for backlog in plan.due:
            await self.flush(backlog.group, backlog.session, by_hand=False)
        if plan.due:
            plan = agenda(await self.spool.call(Spool.backlog), self.now(), self.policy)
        return Agenda((), plan.next_at)

    async def flush(self, group: str, session: str, *, by_hand: bool = True) -> FlushReport:
        """Flush everything of one session that is pending, batch after batch.

        Stops at the first batch that fails: later ones would only fail the same way.

        Raises:
            Unavailable: the graph is away; nothing was claimed.
        """
        if by_hand and not await self.available():
            raise Unavailable("the graph is unavailable; what is pending stays in the spool")
        report = FlushReport()
        while True:
            async with self._turn:
                batch = await self.spool.call(
                    lambda spool: spool.claim(group, session, owner=OWNER, force=by_hand)
                )
                if batch is None:
                    return report
                outcome = await self._carry_out(batch)
            report = report.plus(outcome)
            if outcome.failed:
                return report

    async def flush_all(self, group: str | None = None, session: str | None = None) -> FlushReport:
        """Flush everything pending (of one project, of one session in every project, or all)."""
        report = FlushReport()
        for backlog in await self.spool.call(Spool.backlog):
            if group in {None, backlog.group} and session in {None, backlog.session}:
                report = report.plus(await self.flush(backlog.group, backlog.session))
        return report

    async def _carry_out(self, batch: Batch) -> FlushReport:
        began = time.perf_counter()
        beats: set[asyncio.Task[bool]] = set()

        def beat() -> None:
            task = asyncio.ensure_future(self.spool.call(lambda spool: spool.heartbeat(batch)))
            beats.add(task)
            task.add_done_callback(beats.discard)

        try:
            flushed = await self.worker.flush(batch.id, beat=beat, silence=self.policy.stuck)
            await self.landed(batch, flushed.paths)
        except MemoryFault as fault:
            return await self._failed(batch, fault, began)
        except BaseException:
            # The bridge is ending: the batch goes back as it was, no attempt counted.
            with contextlib.suppress(MemoryFault):
                await asyncio.shield(self.spool.call(lambda spool: spool.release(OWNER)))
            raise
        finally:
            if beats:
                await asyncio.gather(*beats, return_exceptions=True)
        return await self._done(batch, flushed, began)

    async def _done(self, batch: Batch, flushed: Flushed, began: float) -> FlushReport:
        state = BatchState.SKIPPED if flushed.skipped else BatchState.COMPLETED
        await self.spool.call(lambda spool: spool.complete(batch, state))
        self._measure(began, str(state))
        self.metrics.count(catalog.FLUSHED_EPISODES, flushed.episodes)
        _log.info(
            "flushed batch %d of %s: %s, %d episodes",
            batch.id,
            batch.session,
            state,
            flushed.episodes,
        )
        return FlushReport(1, flushed.episodes, int(flushed.skipped))

    async def _failed(self, batch: Batch, fault: MemoryFault, began: float) -> FlushReport:
        hopeless = batch.attempts >= self.policy.max_attempts
        retry_at = self.now() + pause(batch.attempts, self.chance()) if self.policy.retry else None
        reason = f"{type(fault).__name__}: {fault}"
        _log.warning(
            "Memory plugin error: batch %d of %s failed (attempt %d): %s",
            batch.id,
            batch.session,
            batch.attempts,
            reason,
        )
        self.metrics.count(
            catalog.ERRORS, tags={"where": "disk" if isinstance(fault, Rejected) else "flush"}
        )
        self._measure(began, str(BatchState.GAVE_UP if hopeless else BatchState.ERROR))
        await self.spool.call(lambda spool: spool.fail(batch, reason, retry_at, gave_up=hopeless))
        return FlushReport(1, failed=1, errors=(reason,))

    def _measure(self, began: float, outcome: str) -> None:
        spent = (time.perf_counter() - began) * 1000
        self.metrics.distribution(catalog.FLUSH_DURATION, spent, tags={"outcome": outcome})
