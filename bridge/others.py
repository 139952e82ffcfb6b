"""What other processes wrote to the spool: seen at a look, fetched before a question is answered."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from memory_manager.errors import MemoryFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from memory_manager.spool.batches import Row
    from memory_manager.spool.reading import SpoolReader
    from memory_manager.spool.thread import SpoolThread

_log = logging.getLogger(__name__)

#: Rows fetched in one go.
_ROWS = 200
#: Rows of others that are fetched here and now: the spool's thread may be waiting for the disk.
_FEW = 4
#: Seconds that a question waits for what other processes appended; then it does without the cache.
_PATIENCE_S = 0.1
#: More rows than there can be: the spool could not be looked at.
_UNKNOWN = 2**63


class Others:
    """Knows up to which row everything is known here, and fetches what is not."""

    def __init__(  # noqa: PLR0913 - what it stands between
        self,
        spool: SpoolThread,
        open_reader: Callable[[], SpoolReader],
        take: Callable[[Sequence[Row]], Awaitable[None]],
        *,
        bound: int,
        ttl: float,
        now: Callable[[], float],
    ) -> None:
        """Nothing is known yet.

        Args:
            spool: for what takes long.
            open_reader: gives a connection to the same spool, for looks from this thread.
            take: outdates what rows tell of, and takes them in.
            bound: events that there is room for.
            ttl: seconds that a flushed event still matters.
            now: the clock.
        """
        self._spool = spool
        self._open_reader = open_reader
        self._reader: SpoolReader | None = None
        self._take = take
        self._bound = bound
        self._ttl = ttl
        self._now = now
        # Every row up to here is known, and what was cached before it is outdated.
        self._newest = 0
        # The last row at the last look, and the number of looks.
        self._top = 0
        self._looks = 0
        self._look_due = False
        self._loading = asyncio.Lock()
        self._catching: asyncio.Task[bool] | None = None

    def known(self, seqs: Iterable[int]) -> None:
        """These rows are this process's own.

        Over a gap nothing is known: what is in it is another process's, and `load` has to fetch it.
        """
        for seq in seqs:
            if seq == self._newest + 1:
                self._newest = seq

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
                self._catching = asyncio.create_task(self.refresh(), name="catch up")
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
            if top - after > self._bound:
                # A large backlog: of what the tail has no room for, nothing is fetched. No cached
                # answer is older than it.
                before = self._now() - self._ttl
                after = await self._spool.call(
                    lambda spool: max(self._newest, spool.tail_start(self._bound, before))
                )
            rows = self._rows(self._opened(), after, _FEW) if after < top else []
            limit = _FEW
            while after < top:
                await self._take(rows)
                # Between the rows that were fetched are only old ones.
                last = rows[-1].seq if rows else 0
                after = last if len(rows) == limit else max(top, last)
                self._newest = max(self._newest, after)
                if after < top:
                    limit = _ROWS
                    rows = await self._spool.call(
                        lambda spool, after=after: self._rows(spool, after, _ROWS)  # type: ignore[misc]
                    )

    async def refresh(self) -> bool:
        """`load`; False: the spool could not be read."""
        try:
            await self.load()
        except MemoryFault as fault:
            _log.warning("Memory plugin error: the tail could not be refreshed: %s", fault)
            return False
        return True

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
