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

from memory_manager.errors import MemoryFault
from memory_manager.extract.episodes import worth_keeping
from memory_manager.reporting import changed
from memory_manager.spool.tail import Tail
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from bridge.settings import BridgeSettings
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
#: Rows fetched and events indexed in one go: about a millisecond of the loop.
_ROWS, _INDEXED = 200, 4
#: Seconds until what came in is indexed: first its reply goes out.
_INDEX_AFTER_S = 0.005
#: Rows of others that are fetched here and now: the spool's thread may be waiting for the disk.
_FEW = 4
#: Seconds that a question waits for what other processes appended; then it does without the cache.
_PATIENCE_S = 0.1
#: More rows than there can be: the spool could not be looked at.
_UNKNOWN = 2**63


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
        open_reader: Callable[[], SpoolReader],
    ) -> None:
        """`open_reader` gives a connection to the same spool, for looks from this thread."""
        self._spool = spool
        self._windows = windows
        self._metrics = metrics
        self._now = now
        self._open_reader = open_reader
        self._reader: SpoolReader | None = None
        #: Outdates what was cached about some paths of a group.
        self.outdate: Callable[[str, Iterable[str]], Awaitable[None]] = _nothing
        # An event stays until no cached answer can be older than its flush.
        self._ttl = settings.cache_ttl_s + 10.0
        self._bound = settings.max_event_cache
        self.tail = Tail(settings.max_event_cache, settings.max_event_cache_bytes, ttl=self._ttl)
        # Every row up to here is known, and what was cached before it is outdated.
        self._newest = 0
        # The last row at the last look, and the number of looks.
        self._top = 0
        self._looks = 0
        self._look_due = False
        self._loading = asyncio.Lock()
        self._catching: asyncio.Task[bool] | None = None
        self._indexing = False
        self._evicted = 0

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
        finally:
            # What is only known by now: large events, and files whose events are refused.
            late = None if outdating and small else self._outdating(made, group, paths)
            for task in filter(None, (outdating, late)):
                await task
        self.appended(made, receipt)
        for rule, count in counted.items():
            self._metrics.count(catalog.REDACTIONS, count, tags={"rule": rule})
        return receipt

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

    def appended(self, events: Sequence[RawEvent], receipt: Receipt) -> None:
        """What of `events` was new is in the tail from now on."""
        self._windows.note(events)
        for event in events:
            seq = receipt.new.get(event.event_id)
            if seq is None:
                continue
            if worth_keeping(event):
                self.tail.add(seq, event)
            # Over a gap it stays: what is in it is another process's, and `load` has to fetch it.
            if seq == self._newest + 1:
                self._newest = seq
        self._index_soon()

    def look_soon(self) -> int:
        """Look at the spool in the loop's next free moment; gives what `behind` wants to know.

        A look takes 20 µs: less than nothing while the cache is being waited for.
        """
        if not self._look_due:
            self._look_due = True
            asyncio.get_running_loop().call_soon(self._look)
        return self._looks

    def behind(self, looks: int) -> bool:
        """Whether others had appended what is not known here when `look_soon` gave `looks`."""
        if self._looks == looks:
            self._look()
        return self._top > self._newest

    async def catch_up(self) -> bool:
        """Take in what others appended; False: not in time, so no cached answer may be used."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE_S
        while self._top > self._newest:
            if self._catching is None or self._catching.done():
                self._catching = asyncio.create_task(self._refresh(), name="catch up")
            catching = self._catching
            await asyncio.wait({catching}, timeout=max(0.0, until - loop.time()))
            if not catching.done() or not catching.result() or loop.time() >= until:
                return False
            self._look()
        return True

    async def load(self) -> None:
        """Fetch what other processes appended, or what an earlier bridge left, in small pieces."""
        async with self._loading:
            top = self._opened().newest()
            after = self._newest
            rows = self._rows(self._opened(), after, _FEW) if after < top else []
            limit = _FEW
            while after < top:
                if (outdating := self._outdating(row.event for row in rows)) is not None:
                    await outdating
                self._take(rows)
                # Between the rows that were fetched are only old ones.
                last = rows[-1].seq if rows else 0
                after = last if len(rows) == limit else max(top, last)
                self._newest = max(self._newest, after)
                if after < top:
                    limit = _ROWS
                    rows = await self._spool.call(
                        lambda spool, after=after: self._rows(spool, after, _ROWS)  # type: ignore[misc]
                    )

    async def close(self) -> None:
        """Give up what is under way."""
        if self._catching is not None:
            self._catching.cancel()
            await asyncio.wait({self._catching})
        if self._reader is not None:
            self._reader.close()

    def _look(self) -> None:
        self._look_due = False
        self._looks += 1
        try:
            self._top = self._opened().newest()
        except MemoryFault as fault:
            _log.warning("Memory plugin error: the spool could not be looked at: %s", fault)
            self._top = _UNKNOWN

    def _opened(self) -> SpoolReader:
        if self._reader is None:
            self._reader = self._open_reader()
        return self._reader

    def _rows(self, spool: SpoolReader, after: int, limit: int) -> list[Row]:
        return spool.tail(after=after, flushed_since=self._now() - self._ttl, limit=limit)

    def _take(self, rows: Sequence[Row]) -> None:
        self._windows.note(row.event for row in rows)
        for row in rows:
            if worth_keeping(row.event):
                self.tail.add(row.seq, row.event)
                if row.flushed_at is not None:
                    self.tail.flushed([row.seq], row.flushed_at)
        self._index_soon()

    async def _refresh(self) -> bool:
        try:
            await self.load()
        except MemoryFault as fault:
            _log.warning("Memory plugin error: the tail could not be refreshed: %s", fault)
            return False
        return True

    def flushed(self, batch: Batch) -> None:
        """The batch is in the graph: its events leave once no cached answer predates that."""
        self.tail.flushed_range(
            batch.group, batch.session, batch.first_seq, batch.last_seq, self._now()
        )

    async def upkeep(self) -> None:
        """Let old events go, notice appends by others, tell the numbers."""
        self.tail.expire(self._now())
        await self._refresh()
        self._metrics.gauge(catalog.TAIL_EVENTS, len(self.tail))
        self._metrics.gauge(
            catalog.BOUND_USE, len(self.tail) / self._bound, tags={"bound": "event_cache"}
        )
        evicted, self._evicted = self.tail.evicted - self._evicted, self.tail.evicted
        if evicted:
            self._metrics.count(catalog.EVICTIONS, evicted, tags={"bound": "event_cache"})

    def _index_soon(self) -> None:
        if not self._indexing:
            self._indexing = True
            asyncio.get_running_loop().call_later(_INDEX_AFTER_S, self._index_some)

    def _index_some(self) -> None:
        # A few at a time between other callbacks: a hook never waits behind a flood of words.
        if self.tail.index(_INDEXED):
            asyncio.get_running_loop().call_soon(self._index_some)
        else:
            self._indexing = False
