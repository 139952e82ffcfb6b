"""`Memory` on FalkorDB, through Graphiti's driver and in Graphiti's schema.

Graphiti itself is imported with the first driver, that is, with the first store: the flush worker
stores; the resident process only asks, and is up a second sooner and 40 MB smaller without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from memory_manager import browse, rank
from memory_manager.browse import EpisodePage, Filter, Neighbourhood
from memory_manager.errors import InvalidRequest, Rejected
from memory_manager.graph import around, export, indices, pages, reindex, search, write
from memory_manager.graph.around import Looked
from memory_manager.graph.link import Link, NoGraphError
from memory_manager.hits import answer_paths
from memory_manager.model import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    import numpy as np
    import numpy.typing as npt

    from memory_manager.embed import Embedder
    from memory_manager.graph.driver import ProjectDriver
    from memory_manager.memory import Progress, Size
    from memory_manager.model import Entity, Episode, Extraction, Fact, Query
    from memory_manager.portable import Export
    from memory_manager.settings import MemorySettings

#: A graph's name: what `project.py` makes, and what tests may. No syntax of any engine is in it.
_GROUP = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
#: Longest wait for the engine to write, in seconds; Redis holds a write back for two at most.
_PERSIST_S = 5.0
#: Projects remembered; one is made again at no cost.
_PROJECTS = 256


@dataclass(slots=True)
class _Project:
    driver: ProjectDriver | None = None
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: The link's epoch at which the indices were last seen to be usable.
    usable: int = -1
    #: Of the vectors that can be searched for.
    dimension: int = 0
    #: When the newest episode happened, when someone looked last.
    newest: float | None = None


class GraphMemory:
    """A `Memory` for the event loop that first uses it."""

    def __init__(self, link: Link, embedder: Embedder) -> None:
        self._link = link
        self._embedder = embedder
        self._projects: dict[str, _Project] = {}

    @classmethod
    def open(cls, settings: MemorySettings, embedder: Embedder, *, socket: str = "") -> Self:
        """A memory that connects at its first use.

        Args:
            settings: where FalkorDB is, and the limits.
            embedder: what gives the vectors.
            socket: the embedded engine's Unix socket, when there is one.
        """
        return cls(Link.open(settings, socket), embedder)

    def driver(self, group: str) -> ProjectDriver:
        """Graphiti's driver, bound to the group's graph.

        Raises:
            InvalidRequest: that is no group's name.
        """
        project = self._project(group)
        if project.driver is None:
            from memory_manager.graph.driver import ProjectDriver  # noqa: PLC0415 - Graphiti: 1 s

            project.driver = ProjectDriver(self._link, group, self._embedder.dimension)
        return project.driver

    def _project(self, group: str) -> _Project:
        if not _GROUP.fullmatch(group):
            raise InvalidRequest(f"not a group: {group[:80]!r}; expected g_<hex>")
        known = self._projects.pop(group, None)
        if known is None:
            idle = [name for name, each in self._projects.items() if not each.writing.locked()]
            for name in idle[: max(0, len(self._projects) - _PROJECTS + 1)]:
                del self._projects[name]
            known = _Project()
        self._projects[group] = known  # the last in use is the last to go
        return known

    async def store(self, extraction: Extraction) -> None:
        project = self._project(extraction.group)
        async with project.writing:
            await self.driver(extraction.group).build_indices_and_constraints()
            project.usable = -1  # they may be new
            await write.store(self._link, extraction, self._embedder)

    async def query(self, query: Query) -> Answer:
        project = self._project(query.group)
        asked = rank.question(query.text, query.paths, query.at)
        placed = None
        if self._embedder.dimension:
            row = self._embedder.embed([query.text])[0]
            placed = row if row.any() else None
        try:
            found = await self._candidates(project, query, asked, placed)
        except NoGraphError:
            return Answer(paths=answer_paths(query, ()))
        hits = rank.rank(asked, found, query.limit)
        return Answer(hits, answer_paths(query, hits))

    async def _candidates(
        self,
        project: _Project,
        query: Query,
        asked: rank.Question,
        placed: npt.NDArray[np.float32] | None,
    ) -> list[rank.Candidate]:
        def ask() -> Awaitable[list[rank.Candidate]]:
            comparable = project.dimension == self._embedder.dimension
            return search.candidates(self._link, query, asked, placed if comparable else None)

        return await self._whole(project, query.group, ask)

    async def _whole[T](self, project: _Project, group: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until the answer comes from a server whose indices are known to be whole.

        After a restart it builds them again, and meanwhile finds nothing or refuses. That it had
        restarted shows only in that the question came to travel on a new connection. It refuses too
        when another process has made them anew, for vectors of another model.
        """
        for last in (False, False, True):
            if project.usable != self._link.epoch:
                project.dimension = await indices.usable(self._link, group)
                project.usable = self._link.epoch
            try:
                found = await ask()
            except Rejected:
                if last:
                    raise
                project.usable = -1
            else:
                if project.usable == self._link.epoch:
                    return found
        return found

    async def entities(
        self, group: str, type_: str | None = None, limit: int = 1000
    ) -> tuple[Entity, ...]:
        self._project(group)
        return await export.entities(self._link, group, type_, limit)

    async def export(self, group: str) -> Export:
        self._project(group)
        return await export.export(self._link, group)

    async def size(self, group: str) -> Size:
        self._project(group)
        return await export.size(self._link, group)

    async def episodes(  # noqa: PLR0913 - one for each filter
        self,
        group: str,
        *,
        session: str | None = None,
        kind: str | None = None,
        path: str | None = None,
        text: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> EpisodePage:
        project = self._project(group)
        asked = Filter(session, kind, path, browse.wanted(text))
        cursor = browse.cursor_from(before) if before else None
        most = browse.size_of_page(limit)

        def ask() -> Awaitable[EpisodePage]:
            return pages.episodes(self._link, group, asked, cursor, most, project.newest)

        try:
            page = await self._whole(project, group, ask)
        except NoGraphError:
            return EpisodePage()
        if page.episodes and cursor is None and asked == Filter():
            project.newest = page.episodes[0].at
        return page

    async def episode(self, group: str, uuid: str) -> tuple[Episode, tuple[Fact, ...]] | None:
        self._project(group)
        return await pages.episode(self._link, group, uuid)

    async def neighbourhood(  # noqa: PLR0913 - one for each filter
        self,
        group: str,
        *,
        center: str | None = None,
        text: str = "",
        types: Collection[str] = (),
        at: float | None = None,
        limit: int = 150,
    ) -> Neighbourhood:
        project = self._project(group)
        most = browse.size_of_picture(limit)
        asked = Looked(center, browse.wanted(text), tuple(dict.fromkeys(types)), at, most)
        try:
            return await self._whole(
                project, group, lambda: around.neighbourhood(self._link, group, asked)
            )
        except NoGraphError:
            return Neighbourhood()

    async def missing(self, group: str, uuids: Iterable[str]) -> frozenset[str]:
        self._project(group)
        return await pages.missing(self._link, group, uuids)

    async def reindex(self, group: str, progress: Progress | None = None) -> Size:
        project = self._project(group)
        async with project.writing:
            try:
                return await reindex.reindex(self._link, group, self._embedder, progress or _nobody)
            finally:
                project.usable = -1  # vectors may be of another dimension

    async def groups(self) -> tuple[str, ...]:
        known = await self._link.execute("GRAPH.LIST")
        return tuple(sorted(name for name in known if browse.is_group(name)))

    async def drop(self, group: str) -> None:
        project = self._project(group)
        async with project.writing:
            with contextlib.suppress(NoGraphError):
                # A graph that goes while an index of it is built can take the server with it.
                await indices.settled(self._link, group, lambda _: None)
                await self._link.execute("GRAPH.DELETE", group)
            project.usable, project.newest = -1, None

    async def persist(self) -> None:
        await self._link.persisted(_PERSIST_S)

    async def ready(self) -> None:
        await self._link.execute("PING")

    async def close(self) -> None:
        await self._link.close()
        self._projects.clear()


def _nobody(done: int, total: int) -> None:
    """Nobody wants to know."""
