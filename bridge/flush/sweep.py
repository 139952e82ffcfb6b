"""The sweep: finds what is due or stuck, flushes it, and never ends before the bridge does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from bridge.flush.messages import Gone
from bridge.flush.policy import Agenda, FlushPolicy, agenda, hopeless, retry_at
from bridge.flush.reports import Backfilled, FlushReport
from memory_manager.errors import MemoryFault, Rejected, Unavailable
from memory_manager.extract.tags import TAGS_VERSION
from memory_manager.spool.batches import Batch, BatchState
from memory_manager.spool.redact import redact
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
#: What the spool says of a batch whose worker it heard nothing of for too long.
_STUCK = "no heartbeat"


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
        if await self.spool.call(lambda spool: spool.stuck(self.policy.stuck)):
            await self._stalled()
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

    async def flush_again(self, batch_id: int) -> FlushReport:
        """Flush this one batch, that was reopened, and nothing else of its session.

        What the sweep has flushed by itself meanwhile counts; what is not in the graph at the end
        counts as failed.

        Raises:
            Unavailable: the graph is away; nothing was claimed.
        """
        if not await self.available():
            raise Unavailable("the graph is unavailable; what is pending stays in the spool")
        async with self._turn:
            batch = await self.spool.call(lambda spool: spool.claim_again(batch_id, owner=OWNER))
            if batch is not None:
                return await self._carry_out(batch)
            found = await self.spool.call(lambda spool: spool.batch(batch_id))
        if found is not None and found.state in {BatchState.COMPLETED, BatchState.SKIPPED}:
            return FlushReport(1)
        why = "it is gone" if found is None else f"it is {found.state}; {found.error}"
        return FlushReport(1, failed=1, errors=(f"batch {batch_id} was not flushed: {why}",))

    async def flush_all(self, group: str | None = None, session: str | None = None) -> FlushReport:
        """Flush everything pending (of one project, of one session in every project, or all)."""
        report = FlushReport()
        for backlog in await self.spool.call(Spool.backlog):
            if group in {None, backlog.group} and session in {None, backlog.session}:
                report = report.plus(await self.flush(backlog.group, backlog.session))
        return report

    async def backfill(self, after: int = 0, limit: int = 100) -> Backfilled:
        """Write the summaries of at most `limit` batches that were flushed without one.

        Those behind batch `after`, in order. Done twice is done once.

        Raises:
            Unavailable: the graph is away; what was done until then stays done.
        """
        if not await self.available():
            raise Unavailable("the graph is unavailable; run the backfill again when it is back")
        found = await self.spool.call(
            lambda spool: spool.batches_to_tag(TAGS_VERSION, after, limit)
        )
        done = gone = failed = 0
        for batch in found:
            try:
                there = await self._summarised(batch)
            except Unavailable:
                raise
            except MemoryFault as fault:
                _log.warning("Memory plugin error: no summary of batch %d: %s", batch.id, fault)
                failed += 1
            else:
                done, gone = done + there, gone + (not there)
        last = found[-1].id if found else after
        left = await self.spool.call(lambda spool: spool.count_to_tag(TAGS_VERSION, last))
        return Backfilled(done, gone, failed, left, last if left else None)

    async def _summarised(self, batch: Batch) -> bool:
        """Have the summary written and note it; False when the batch's events are gone."""
        async with self._turn:
            report = await self.worker.summarise(
                batch.id, beat=lambda: None, silence=self.policy.stuck
            )
        there = not isinstance(report, Gone)
        summary, tags = ("", ()) if isinstance(report, Gone) else (report.summary, report.tags)
        if not isinstance(report, Gone) and report.paths:
            await self.landed(batch, report.paths)
        await self.spool.call(
            lambda spool: spool.note_summary(batch.id, summary, tags, TAGS_VERSION)
        )
        return there

    async def _stalled(self) -> None:
        """Decide on the batches that nobody works on any more: later again, or never."""
        for backlog in await self.spool.call(Spool.backlog):
            batch = backlog.batch
            # What was decided on already is due later than it was last written.
            if batch and batch.error == _STUCK and batch.retry_at == batch.updated_at:
                await self._put_back(batch, _STUCK, "Stuck")

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
        await self.spool.call(
            lambda spool: spool.complete(
                batch,
                state,
                episodes=flushed.episodes,
                summary=flushed.summary,
                tags=flushed.tags,
                tags_version=flushed.tags_version,
            )
        )
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
        state = await self._put_back(batch, reason, type(fault).__name__)
        self._measure(began, str(state))
        return FlushReport(1, failed=1, errors=(reason,))

    async def _put_back(self, batch: Batch, reason: str, error_name: str) -> BatchState:
        """Note that an attempt failed: the batch is due later, waits for a hand, or is given up."""
        gave_up = hopeless(batch, self.policy)
        at = retry_at(batch, self.policy, self.now(), self.chance())
        noted = await self.spool.call(lambda spool: spool.fail(batch, reason, at, gave_up=gave_up))
        if noted and gave_up:
            self._tell(batch, reason, error_name)
        return BatchState.GAVE_UP if gave_up else BatchState.ERROR

    def _tell(self, batch: Batch, reason: str, error_name: str) -> None:
        text = (
            f"{batch.events} events of session {batch.session} could not be stored in "
            f"{batch.attempts} attempts. The last one: {reason}\n"
            "They stay in the spool; try again with "
            f"`opencode-mem raw-events-retry {batch.session} --gave-up`."
        )
        digest = blake2b(batch.session.encode("utf-8", "replace"), digest_size=8).hexdigest()
        self.metrics.event(
            catalog.GAVE_UP,
            redact(text)[0],
            alert_type="error",
            aggregation_key=f"{batch.group}-{digest}",
            tags={"error_name": error_name},
        )

    def _measure(self, began: float, outcome: str) -> None:
        spent = (time.perf_counter() - began) * 1000
        self.metrics.distribution(catalog.FLUSH_DURATION, spent, tags={"outcome": outcome})
