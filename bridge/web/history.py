"""What happened before the start: the timeline is filled with the spool's newest rows, behind the start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.timeline import Timeline
    from memory_manager.spool.batches import Row
    from memory_manager.spool.reading import SpoolReader

#: Rows that are looked at, and of one look: a millisecond of the loop.
MOST, _ROWS = 2000, 100


async def fill(
    timeline: Timeline, open_reader: Callable[[], SpoolReader], most: int = MOST
) -> None:
    """Put the newest rows before what has come in since, newest first.

    Args:
        timeline: the ring; when it is full, that is enough.
        open_reader: gives a connection of its own, so that no append waits for this.
        most: rows at most.
    """

    def look[T](at: Callable[[SpoolReader], T]) -> T:
        reader = open_reader()
        try:
            return at(reader)
        finally:
            reader.close()

    def page(after: int, until: int) -> list[Row]:
        rows = look(lambda spool: spool.tail(after=after, flushed_since=0.0, limit=_ROWS))
        return [row for row in rows if row.seq <= until]

    top = await asyncio.to_thread(look, lambda spool: spool.newest())
    for until in range(top, max(0, top - most), -_ROWS):
        rows = await asyncio.to_thread(page, max(0, until - _ROWS), until)
        for row in reversed(rows):
            if not timeline.add_older(row.seq, row.event, row.flushed_at is None):
                return
