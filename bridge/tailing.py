"""Keeps the in-memory tail in step with the spool: loaded at start, fed by appends, aged.

And the cache with both: whoever spools a file's change, this bridge or another process, outdates
what depends on that file. Before a question is answered, a look at the spool tells whether
another process has written to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

from bridge.others import Others
from bridge.slices import SLICE, sliced
from memory_manager.errors import Corrupt, MemoryFault, Rejected
from memory_manager.extract.episodes import worth_keeping
from memory_manager.reporting import changed
from memory_manager.spool.tail import Tail
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from bridge.settings import BridgeSettings
    from bridge.timeline import Timeline
    from bridge.windows import Windows
    from memory_manager.model import RawEvent
    from memory_manager.spool.batches import Batch, Receipt, Row
    from memory_manager.spool.reading import SpoolReader
    from memory_manager.spool.thread import SpoolThread
    from metrics.recorder import Metrics

_log = logging.getLogger(__name__)

#: Events up to so many characters are made here and now: that takes less than handing the work
#: to the spool's thread and fighting it for the interpreter. A megabyte takes 50 ms, over there.
_SMALL = 16_384
#: Events indexed in one go: about a millisecond of the loop.
_INDEXED = 4
#: Seconds until what came in is indexed: first its reply goes out.
_INDEX_AFTER_S = 0.005
#: Seconds between two such goes while events come in: 2,000 of them a second are indexed then.
_TURN_S = 0.002

type _Fresh = tuple[int, RawEvent, float | None]


async def _nothing(_group: str, _paths: Iterable[str]) -> None:
    return


class Tailing:
    """The spool's newest events, findable the moment they are acknowledged."""

    def __init__(  # noqa: PLR0913 - what it stands between
        self,
        spool: SpoolThread,
        windows: Windows,
        settings: BridgeSettings,
        metrics: Metrics,
        now: Callable[[], float],
        *,
        timeline: Timeline,
        open_reader: Callable[[], SpoolReader],
    ) -> None:
        """`open_reader` gives a connection to the same spool, for looks from this thread."""
        self._spool = spool
        self._windows = windows
        self._metrics = metrics
        self._now = now
        self._timeline = timeline
        #: Outdates what was cached about some paths of a group.
        self.outdate: Callable[[str, Iterable[str]], Awaitable[None]] = _nothing
        # An event stays until no cached answer can be older than its flush.
        self._ttl = settings.cache_ttl_s + 10.0
        self._bound = settings.max_event_cache
        self.tail = Tail(settings.max_event_cache, settings.max_event_cache_bytes, ttl=self._ttl)
        #: What other processes wrote.
        self.others = Others(
            spool, open_reader, self._take_others, bound=self._bound, ttl=self._ttl, now=now
        )
        # Long lists are taken in one after the other, in slices.
        self._turn = asyncio.Lock()
        self._taking: set[asyncio.Task[None]] = set()
        self._landed: list[tuple[Batch, float]] = []
        self._indexing = False
        self._evicted: Counter[str] = Counter()
        #: Why the disk takes nothing; "" while it does.
        self.fault = ""

    async def append(
        self,
        make: Callable[[Counter[str]], Sequence[RawEvent]],
        size: int,
        group: str = "",
        paths: Iterable[str] = (),
    ) -> Receipt:
        """Append to the spool, and once it is on disk, to the tail; outdate what is cached.

        The files had changed before anybody told, so the disk and the cache are waited for at
        once, and what becomes of the one does not stop the other. A duplicate outdates too.

        Args:
            make: gives the events; redaction runs in it, and is counted in what it is given.
            size: about how many characters they have.
            group: the project of `paths`.
            paths: what changed whatever becomes of the events, beside what they tell.
        """
        made: list[RawEvent] = []
        counted: Counter[str] = Counter()
        small = size <= _SMALL

        def events() -> Sequence[RawEvent]:
            made[:] = make(counted)
            return made

        outdating: asyncio.Task[None] | None = None
        try:
            if small:
                events()
            outdating = self._outdating(made, group, paths)
            receipt = await (
                self._spool.append(made) if small else self._spool.append_from(events, size)
            )
            self.took()
        except (Rejected, Corrupt) as fault:
            self.refused(fault)
            raise
        finally:
            # What is only known by now: large events, and files whose events are refused.
            late = None if outdating and small else self._outdating(made, group, paths)
            for task in filter(None, (outdating, late)):
                await task
        await self._appended(made, receipt)
        self.redacted(counted)
        return receipt

    def redacted(self, counted: Counter[str]) -> None:
        """So often each rule took something out of what was reported."""
        for rule, count in counted.items():
            self._metrics.count(catalog.REDACTIONS, count, tags={"rule": rule})

    def refused(self, fault: MemoryFault) -> None:
        """The disk did not take something; said once, until it takes again."""
        if not self.fault:
            _log.error("Memory plugin error: the spool can't be written: %s", fault)
            self._metrics.count(catalog.ERRORS, tags={"where": "disk"})
        self.fault = str(fault)

    def took(self) -> None:
        """The disk took something."""
        if self.fault:
            _log.info("the spool can be written again")
            self.fault = ""

    def _outdating(
        self, events: Iterable[RawEvent], group: str = "", paths: Iterable[str] = ()
    ) -> asyncio.Task[None] | None:
        """These events are spooled, or about to be: outdate what depends on the files they changed."""
        touched: dict[str, dict[str, None]] = {}
        for path in paths:
            touched.setdefault(group, {})[path] = None
        for event in events:
            for path in changed((event,)):
                touched.setdefault(event.group, {})[path] = None
        if not touched:
            return None
        # Begun at once: the first command is on its way before the append is.
        return asyncio.Task(
            self._outdate(touched), loop=asyncio.get_running_loop(), eager_start=True
        )

    async def _outdate(self, touched: dict[str, dict[str, None]]) -> None:
        for group, paths in touched.items():
            await self.outdate(group, tuple(paths))

    async def _appended(self, events: Sequence[RawEvent], receipt: Receipt) -> None:
        """What of `events` was new is in the tail from now on."""
        self._windows.note(events)
        # They are on disk, and on their way into the tail before anybody is told so.
        self.others.known(receipt.new.values())
        # What only repeats the event before it is in the spool without its text.
        await self._take(
            [
                (receipt.new[event.event_id], event, None)
                for event in events
                if event.event_id in receipt.new and event.event_id not in receipt.folded
            ]
        )

    async def _take_others(self, rows: Sequence[Row]) -> None:
        if (outdating := self._outdating(row.event for row in rows)) is not None:
            await outdating
        self._windows.note(row.event for row in rows)
        await self._take([(row.seq, row.event, row.flushed_at) for row in rows])

    async def _take(self, rows: Sequence[_Fresh]) -> None:
        """Into the tail. Few go at once, past a long list that is under way."""
        if len(rows) <= SLICE:
            self._take_few(rows)
            return
        task = asyncio.Task(
            self._take_many(rows), loop=asyncio.get_running_loop(), eager_start=True
        )
        self._taking.add(task)
        task.add_done_callback(self._taken)
        # Whoever waits may give up; what is on disk comes into the tail all the same.
        await asyncio.shield(task)

    async def _take_many(self, rows: Sequence[_Fresh]) -> None:
        async with self._turn:
            async for some in sliced(rows):
                self._take_few(some)

    def _take_few(self, rows: Sequence[_Fresh]) -> None:
        for seq, event, flushed_at in rows:
            if worth_keeping(event):
                self.tail.add(seq, event)
                self._timeline.add(seq, event, flushed_at is None)
                if flushed_at is not None:
                    self.tail.flushed([seq], flushed_at)
        self._index_soon()

    def _taken(self, task: asyncio.Task[None]) -> None:
        self._taking.discard(task)
        if not self._taking:
            # What was flushed before all of it was here.
            landed, self._landed = self._landed, []
            for batch, at in landed:
                self._flushed(batch, at)

    async def load(self) -> None:
        """Fetch what other processes appended, or what an earlier bridge left, in small pieces."""
        await self.others.load()

    async def close(self) -> None:
        """Give up what is under way."""
        await self.others.close()
        if self._taking:
            await asyncio.wait(self._taking)

    def flushed(self, batch: Batch) -> None:
        """The batch is in the graph: its events leave once no cached answer predates that."""
        at = self._now()
        self._flushed(batch, at)
        if self._taking:
            self._landed.append((batch, at))

    def _flushed(self, batch: Batch, at: float) -> None:
        span = batch.group, batch.session, batch.first_seq, batch.last_seq
        self.tail.flushed_range(*span, at)
        self._timeline.flushed(*span)

    async def upkeep(self) -> None:
        """Let old events go, notice appends by others, tell the numbers."""
        now = self._now()
        while self.tail.overdue(now):
            self.tail.expire(now)
            await asyncio.sleep(0)
        await self.others.refresh()
        self._metrics.gauge(catalog.TAIL_EVENTS, len(self.tail))
        for bound, use, evicted in (
            ("event_cache", len(self.tail) / self._bound, self.tail.evicted),
            ("event_history", self._timeline.use, self._timeline.evicted),
        ):
            self._metrics.gauge(catalog.BOUND_USE, use, tags={"bound": bound})
            if gone := evicted - self._evicted[bound]:
                self._metrics.count(catalog.EVICTIONS, gone, tags={"bound": bound})
            self._evicted[bound] = evicted

    def _index_soon(self) -> None:
        if not self._indexing:
            self._indexing = True
            asyncio.get_running_loop().call_later(_INDEX_AFTER_S, self._index_some)

    def _index_some(self) -> None:
        # A few at a time between other callbacks: a hook never waits behind a flood of words.
        loop = asyncio.get_running_loop()
        if not self.tail.index(_INDEXED):
            self._indexing = False
        elif self._spool.waiting:
            # Somebody waits for the disk: the spool's thread needs the interpreter more than this.
            loop.call_later(_TURN_S, self._index_some)
        else:
            loop.call_soon(self._index_some)
