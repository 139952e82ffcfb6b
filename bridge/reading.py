"""Looks at the spool on a thread of their own, over a connection of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from memory_manager.spool.reading import SpoolReader


async def looked[T](open_reader: Callable[[], SpoolReader], look: Callable[[SpoolReader], T]) -> T:
    """What `look` gives; it runs on another thread, so it may also work on what it has read.

    Raises:
        MemoryFault: the spool can't be read.
    """

    def run() -> T:
        reader = open_reader()
        try:
            return look(reader)
        finally:
            reader.close()

    return await asyncio.to_thread(run)
