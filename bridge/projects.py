"""Which project a directory belongs to, remembered, so that a hook never waits for Git twice."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from memory_manager.project import Project, identify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memory_manager.spool.thread import SpoolThread

#: Seconds that an identity is trusted; then it is looked up again behind the answer.
_FRESH = 60.0
#: Seconds that the registry may take to answer a look-up's thread.
_REGISTRY_S = 5.0
#: Directories remembered at most; the longest unused leave first.
_MOST = 1024


class Projects:
    """Directory to project, through the spool's registry of aliases."""

    def __init__(self, spool: SpoolThread, named: str, now: Callable[[], float]) -> None:
        self._spool = spool
        self._named = named
        self._now = now
        self._known: OrderedDict[tuple[str, str], tuple[Project, float]] = OrderedDict()
        self._looking: dict[tuple[str, str], asyncio.Task[Project]] = {}

    @property
    def fixed(self) -> bool:
        """Whether every directory is of one project, by the settings."""
        return bool(self._named)

    async def of(self, directory: str, named: str = "") -> Project:
        """The project of `directory`; `named` overrides it (as does the bridge's own setting)."""
        key = (directory, named or self._named)
        known = self._known.get(key)
        if known is None:
            return await asyncio.shield(self._look(key))
        self._known.move_to_end(key)
        if self._now() - known[1] > _FRESH:
            self._look(key)
        return known[0]

    def close(self) -> None:
        """Give up look-ups that are under way."""
        for task in self._looking.values():
            task.cancel()

    def _look(self, key: tuple[str, str]) -> asyncio.Task[Project]:
        task = self._looking.get(key)
        if task is None:
            task = asyncio.create_task(self._identified(key))
            self._looking[key] = task
            task.add_done_callback(lambda done: self._looked(key, done))
        return task

    def _looked(self, key: tuple[str, str], task: asyncio.Task[Project]) -> None:
        self._looking.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return
        self._known[key] = (task.result(), self._now())
        while len(self._known) > _MOST:
            self._known.popitem(last=False)

    async def _identified(self, key: tuple[str, str]) -> Project:
        loop = asyncio.get_running_loop()

        def known(aliases: Sequence[str]) -> str | None:
            asking = self._spool.call(lambda spool: spool.group_of(aliases))
            return asyncio.run_coroutine_threadsafe(asking, loop).result(_REGISTRY_S)

        directory, named = key
        found = await asyncio.to_thread(identify, directory, named, known=known)
        group = await self._spool.call(
            lambda spool: spool.register(
                found.aliases, found.group, name=found.name, root=found.root
            )
        )
        return replace(found, group=group)
