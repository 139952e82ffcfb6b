"""Private passages over several reports, in the order in which the reports came.

A report that opens a passage hides what follows, so none may be looked at before another that came
earlier is through. A long one is gone through in slices; only while that lasts does anybody wait.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.slices import SLICE, sliced
from memory_manager.reporting import each_standing_of_hook, each_standing_of_ingest
from memory_manager.spool.opened import Opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memory_manager.hook_events import HookEvent
    from memory_manager.model import Json
    from memory_manager.project import Project
    from memory_manager.spool.private import Standing


class Passages:
    """Where what is reported stands; asked as it arrives."""

    def __init__(self) -> None:
        self._opened = Opened()
        self._turn = asyncio.Lock()
        # Reports under way. The lock alone does not tell of those that it is about to wake.
        self._queued = 0

    async def of_hook(self, events: Sequence[HookEvent], project: Project) -> list[Standing]:
        """In which private passages of their messages the events begin."""
        return await self._all(each_standing_of_hook(events, project, self._opened), len(events))

    def soon(self, events: Sequence[HookEvent], project: Project) -> asyncio.Task[list[Standing]]:
        """As `of_hook`, in turn even if nobody comes back for it."""
        return asyncio.Task(
            self.of_hook(events, project), loop=asyncio.get_running_loop(), eager_start=True
        )

    async def of_ingest(self, items: Sequence[Json], project: Project) -> list[Standing]:
        """The same for the objects of `ingest`, or the parameters of `store`."""
        return await self._all(each_standing_of_ingest(items, project, self._opened), len(items))

    async def _all(self, standings: Iterator[Standing], count: int) -> list[Standing]:
        if not self._queued and count <= SLICE:
            return [*standings]
        self._queued += 1
        try:
            async with self._turn:
                return [each async for some in sliced(standings) for each in some]
        finally:
            self._queued -= 1
