"""The memory: what it promises, and a small one in memory that keeps the same promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from memory_manager import browse, rank
from memory_manager.hits import answer_paths
from memory_manager.model import Answer
from memory_manager.portable import exported
from memory_manager.small_graph import SmallGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from memory_manager.browse import EpisodePage, Neighbourhood
    from memory_manager.embed import Embedder
    from memory_manager.errors import Unavailable
    from memory_manager.model import Entity, Episode, Extraction, Fact, Query
    from memory_manager.portable import Export

    type Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How much one group's graph holds."""

    episodes: int = 0
    entities: int = 0
    facts: int = 0
    mentions: int = 0


class Memory(Protocol):
    """Episodes, entities and temporal facts, partitioned by group (one for each project).

    Nothing of one group is ever seen from another. Nothing in a text, name or question is ever
    interpreted. Every method may raise `Unavailable` (try again: a store that was interrupted is
    repeated whole) and `Rejected` (a limit or a permission of the engine).
    """

    async def store(self, extraction: Extraction) -> None:
        """Make the graph hold `extraction`; once done, stored twice is stored once.

        The graph is a function of the set of batches, not of their order: stored scoped facts of
        `extraction.scopes` that are not among its facts go; in each chain (`Fact.closes`) every
        fact ends where the next one begins (ties by uuid); a fact seen again keeps its earliest
        `valid_at` and unites its sources (`merge.PROVENANCE` of each). One at a time for a group.
        """
        ...

    async def query(self, query: Query) -> Answer:
        """What the group's memory knows about the question, best first.

        By words, meaning, neighbourhood in the graph and time. Superseded facts are left out;
        with `query.at`, what was known to be true then is given and nothing newer. An empty
        answer when nothing is relevant or the group is unknown (which creates nothing).
        `Answer.paths` has the hits' paths and the query's. A hit's text is at most `TEXT_LIMIT`
        characters long.
        """
        ...

    async def entities(
        self, group: str, type_: str | None = None, limit: int = 1000
    ) -> tuple[Entity, ...]:
        """The group's entities, of one type or all, ordered by type and name."""
        ...

    async def export(self, group: str) -> Export:
        """Everything of the group, in an order that depends on the content alone."""
        ...

    async def size(self, group: str) -> Size:
        """Counts; all 0 for an unknown group."""
        ...

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
        """The group's episodes, newest first, a page at a time; none for an unknown group.

        Every filter that is given has to suit. What is stored meanwhile never makes an episode come
        twice. A content is at most `TEXT_LIMIT` characters long; `episode` has all of it.

        Args:
            group: whose.
            session: only this session's.
            kind: only of this kind.
            path: only those that are about this file, spelled as `paths.normalise` does.
            text: only those that have all the words in it. Blank is no filter; a text without
                a searchable word (`?!`, `the`) is in no episode.
            before: `next` of the page before this one.
            limit: of the page, at most `browse.MOST_EPISODES`.

        Raises:
            InvalidRequest: `before` is no cursor.
        """
        ...

    async def episode(self, group: str, uuid: str) -> tuple[Episode, tuple[Fact, ...]] | None:
        """One episode, whole, and the facts that it is a source of, oldest first.

        `invalid_at` of such a fact is the end that counts.
        """
        ...

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
        """A part of the graph to look at: up to `limit` entities, and the facts between them.

        Without a center the group's best-connected ones, files and errors before all others. With
        one it and what is up to two hops from it: the nearer first, then what more facts lead to,
        then by type and name. A hub beside the center is not passed (`browse.STEPS`). Of facts from
        one entity to another the newest `browse.PARALLEL` are given, newest first in all.

        Args:
            group: whose; nothing is there in an unknown one.
            center: an entity's uuid; an unknown one has no neighbourhood.
            text: only entities whose name has all the words in it. The center always stands.
            types: only entities of these types (empty: of all). The center always stands.
            at: only facts that were true then, and, without a center, entities that had any.
                None: all facts, those that have ended too.
            limit: of entities, at most `browse.MOST_NODES`.
        """
        ...

    async def missing(self, group: str, uuids: Iterable[str]) -> frozenset[str]:
        """Which of these episodes are not in the group's graph; all of them for an unknown one."""
        ...

    async def reindex(self, group: str, progress: Progress | None = None) -> Size:
        """Make everything anew that can be derived: indices, searched words, digests, vectors.

        Vectors that are missing or of another model are computed. Nothing that was stored changes.
        Questions are answered meanwhile from what is there, and other processes may store.
        Interrupted, it is simply called again: what is right already is not written.

        Args:
            group: whose; an unknown one is not made.
            progress: told now and then how much is done, and of how much; last that all is.

        Returns:
            How much was gone over.
        """
        ...

    async def groups(self) -> tuple[str, ...]:
        """The groups that are known here, sorted. Graphs of any other name are none of ours."""
        ...

    async def drop(self, group: str) -> None:
        """Forget everything of the group. Nothing happens when it is unknown."""
        ...

    async def persist(self) -> None:
        """Return once the engine has written everything stored so far, where it can tell.

        A killed process then loses nothing. A power cut may: the engine synchronises its disk
        once a second, and what is missing afterwards is found by comparison with the spool.
        `Rejected` when the engine can't write.
        """
        ...

    async def ready(self) -> None:
        """Return when the engine answers; raise `Unavailable` when it does not."""
        ...

    async def close(self) -> None:
        """Let go of connections. Nothing is usable afterwards."""
        ...


class FakeMemory:
    """A `Memory` in this process, for tests and trials. Set `fault` to have every call raise it."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder
        self._groups: dict[str, SmallGraph] = {}
        self.fault: Unavailable | None = None

    async def store(self, extraction: Extraction) -> None:
        self._check()
        self._groups.setdefault(extraction.group, SmallGraph()).store(extraction)

    async def query(self, query: Query) -> Answer:
        asked = rank.question(query.text, query.paths, query.at)
        candidates = list(self._of(query.group).candidates(query, asked.words, self._embedder))
        hits = rank.rank(asked, candidates, query.limit)
        return Answer(hits, answer_paths(query, hits))

    async def entities(
        self, group: str, type_: str | None = None, limit: int = 1000
    ) -> tuple[Entity, ...]:
        known = self._of(group).entities.values()
        found = [entity for entity in known if type_ is None or entity.type == type_]
        return tuple(sorted(found, key=lambda e: (e.type, e.name, e.uuid))[:limit])

    async def export(self, group: str) -> Export:
        known = self._of(group)
        return exported(
            group,
            known.episodes.values(),
            known.entities.values(),
            ((fact, known.untils[fact.uuid]) for fact in known.facts.values()),
            known.mentions,
        )

    async def size(self, group: str) -> Size:
        known = self._of(group)
        counted = (known.episodes, known.entities, known.facts, known.mentions)
        return Size(*(len(things) for things in counted))

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
        asked = browse.Filter(session, kind, path, browse.wanted(text))
        cursor = browse.cursor_from(before) if before else None
        return self._of(group).page(asked, cursor, browse.size_of_page(limit))

    async def episode(self, group: str, uuid: str) -> tuple[Episode, tuple[Fact, ...]] | None:
        known = self._of(group)
        if uuid not in known.episodes:
            return None
        facts = (fact for fact in known.facts.values() if uuid in fact.episodes)
        return known.episodes[uuid], known.told(facts)

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
        most = browse.size_of_picture(limit)
        words = browse.wanted(text)
        return self._of(group).neighbourhood(center, words, frozenset(types), at, most)

    async def missing(self, group: str, uuids: Iterable[str]) -> frozenset[str]:
        return frozenset(uuids) - self._of(group).episodes.keys()

    async def reindex(self, group: str, progress: Progress | None = None) -> Size:
        size = await self.size(group)
        if progress is not None and group in self._groups:
            total = size.episodes + size.entities + size.facts
            progress(total, total)
        return size

    async def groups(self) -> tuple[str, ...]:
        self._check()
        return tuple(sorted(group for group in self._groups if browse.is_group(group)))

    async def drop(self, group: str) -> None:
        self._check()
        self._groups.pop(group, None)

    async def persist(self) -> None:
        self._check()

    async def ready(self) -> None:
        self._check()

    async def close(self) -> None:
        self._groups.clear()

    def _of(self, group: str) -> SmallGraph:
        self._check()
        return self._groups.get(group) or SmallGraph()

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault
