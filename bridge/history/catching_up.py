"""What happened in a project while no plugin listened is read from OpenCode's database, once.

A project is read from the first time on that its plugin says hello: what was before is only
imported when a person asks for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bridge.history.database import History
from bridge.history.marks import Mark
from bridge.history.places import is_opted_out, project_of
from bridge.history.reading import Reading, next_page, trees
from bridge.history.spooling import Count, Spooling
from memory_manager.errors import MemoryFault, Unavailable
from memory_manager.optout import opted_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.history.marks import Marks
    from bridge.history.reading import Tree
    from bridge.parts import Parts
    from memory_manager.project import Project
    from memory_manager.spool.reading import SpoolReader

_log = logging.getLogger(__name__)

#: Seconds that are looked back: what nobody touched since was read before, or never will be.
_LOOK_BACK_S = 14 * 86_400.0


class CatchingUp:
    """Reads for one project at a time."""

    def __init__(  # noqa: PLR0913 - what it stands between
        self,
        parts: Parts,
        database: Path,
        marks: Marks,
        open_reader: Callable[[], SpoolReader],
        *,
        news: Callable[[], None],
        family: Callable[[str, str], None],
    ) -> None:
        """`family` is told which session another one serves: its beginning may have been missed."""
        self._parts = parts
        self._database = database
        self._marks = marks
        self._open_reader = open_reader
        self._news = news
        self._family = family
        self._turn = asyncio.Lock()
        self._asked: set[str] = set()

    async def catch_up(self, directory: str, worktree: str = "") -> None:
        """Spool what the project of `directory` did while nobody listened. Never raises a fault.

        Long: do it behind the answer. Asked again while it waits for its turn, it does it once.
        """
        if self._parts.settings.disabled or opted_out(directory, worktree):
            return
        if not directory or directory in self._asked:
            return
        self._asked.add(directory)
        try:
            async with self._turn:
                self._asked.discard(directory)
                await self._project(directory)
        except Unavailable as fault:
            _log.info("nothing to catch up with: %s", fault)
        except MemoryFault as fault:
            _log.warning("Memory plugin error: could not catch up with OpenCode: %s", fault)
        finally:
            self._asked.discard(directory)

    async def _project(self, directory: str) -> None:
        parts = self._parts
        project = await parts.projects.of(directory)
        if opted_out(project.root):
            return
        since = await asyncio.to_thread(self._marks.since, project.group, parts.now())
        history = await asyncio.to_thread(History.open, self._database)
        try:
            total = Count()
            for tree in await self._trees(history, project, directory):
                if not await is_opted_out(tree.root):
                    total = total.plus(await self._tree(history, tree, since, project))
        finally:
            await asyncio.to_thread(history.close)
        if total.inserted:
            _log.info("caught up with OpenCode in %s: %d events", project.name, total.inserted)

    async def _trees(self, history: History, project: Project, directory: str) -> list[Tree]:
        """The project's sessions that were touched lately; no other project's is looked into."""
        oldest = (self._parts.now() - _LOOK_BACK_S) * 1000
        found: list[Tree] = []
        for tree in trees(await asyncio.to_thread(history.sessions)):
            place = tree.root.directory
            near = place == directory or f"{place}/".startswith(f"{project.root}/")
            if near and tree.updated >= oldest:
                own = await project_of(tree.root, self._parts.projects)
                if own.group == project.group:
                    found.append(tree)
        return found

    async def _tree(self, history: History, tree: Tree, since: float, project: Project) -> Count:
        parts, name = self._parts, tree.root.id
        mark = await asyncio.to_thread(self._marks.get, name)
        stamp = await asyncio.to_thread(history.newest, tree.ids)
        count = Count()
        for session in tree.sessions:
            if session.parent:
                self._family(session.id, session.parent)
        if mark is not None and mark.stamp >= max(stamp, tree.updated):
            return count
        if mark is None:
            first = 0 if tree.root.created >= since * 1000 else int(since * 1000)
            mark = Mark(first, since=first)
        spooling = Spooling(parts, self._open_reader, self._news, counts_tokens=True)
        pages = Reading(history, tree, mark, int(parts.now() * 1000)).pages()
        while (page := await asyncio.to_thread(next_page, pages)) is not None:
            count = count.plus(await spooling.store(page.told, tree.root.directory, project))
            await asyncio.to_thread(self._marks.put, name, page.mark, parts.now())
        return count
