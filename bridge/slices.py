"""Long lists on the event loop: a slice at a time, and everybody else's turn in between."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

#: Items that are worked off in one go: a few milliseconds of the loop.
SLICE = 50


async def sliced[T](items: Iterable[T]) -> AsyncIterator[list[T]]:
    """The items, at most `SLICE` at once; before each but the first the loop takes a turn."""
    rest = iter(items)
    while some := [*islice(rest, SLICE)]:
        yield some
        await asyncio.sleep(0)
