"""What operations look at: a project's graph, what its spool has that the graph has not, sessions.

A graph that does not answer in time leaves an answer incomplete; it never fails one.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge import showing
from bridge.recall import Recall
from bridge.tools.text import line
from memory_manager.errors import InvalidRequest, MemoryFault
from memory_manager.model import Query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bridge.parts import Parts
    from bridge.recall import Recalled
    from bridge.tools.arguments import Args
    from memory_manager.memory import Memory
    from memory_manager.model import Episode, Fact, Hit
    from memory_manager.project import Project
    from memory_manager.spool.batches import SessionEntry
    from memory_manager.spool.reading import SpoolReader

_log = logging.getLogger(__name__)

#: Seconds that the graph may take for one look, and that one which is coming is waited for.
_PATIENCE_S, _ARRIVAL_S = 5.0, 5.0
#: Events without an episode yet, and sessions, that are looked at.
_WAITING, _SESSIONS = 500, 500


@dataclass(slots=True)
class Asked:
    """One call of an operation. `complete` turns False when the graph did not answer."""

    args: Args
    project: Project
    cwd: str
    session: str
    now: float
    event_id: str = ""
    complete: bool = field(default=True)

    @property
    def group(self) -> str:
        """The project's partition."""
        return self.project.group


@dataclass(frozen=True, slots=True)
class Told:
    """A fact, from wherever it was found. `until`: when it ended. `chain`: of a choice, its topic."""

    uuid: str
    relation: str
    text: str
    at: float
    until: float | None = None
    session: str = ""
    chain: str = ""
    event_ids: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


def told_by_fact(fact: Fact) -> Told:
    """A fact of the graph."""
    return Told(
        fact.uuid, fact.relation, fact.text, fact.valid_at, fact.invalid_at, fact.session,
        fact.closes, fact.event_ids, fact.paths, (fact.source, fact.target),
    )  # fmt: skip


def told_by_hits(hits: Iterable[Hit]) -> list[Told]:
    """The facts among an answer's hits."""
    return [
        Told(
            hit.uuid, hit.source, hit.text, hit.at, hit.invalid_at, hit.session,
            event_ids=hit.event_ids, paths=hit.paths,
        )
        for hit in hits
        if hit.kind == "fact"
    ]  # fmt: skip


def united(*lists: Iterable[Told]) -> list[Told]:
    """Each fact once, newest first; what an earlier list says of it counts."""
    known: dict[str, Told] = {}
    for told in lists:
        for each in told:
            known.setdefault(each.uuid, each)
    return sorted(known.values(), key=lambda each: (-each.at, each.uuid))


class Look:
    """Looks for the operations; holds nothing."""

    def __init__(self, parts: Parts, open_reader: Callable[[], SpoolReader]) -> None:
        """`open_reader` gives a connection of its own to the spool."""
        self._parts = parts
        self._open_reader = open_reader
        self._recall = Recall(parts)

    async def graph[T](self, asked: Asked, look: Callable[[Memory], Awaitable[T]], none: T) -> T:
        """What `look` finds in the graph; `none` when it does not answer."""
        try:
            memory = await self._parts.graph_soon(_ARRIVAL_S)
            async with asyncio.timeout(_PATIENCE_S):
                return await look(memory)
        except InvalidRequest:
            raise
        except (MemoryFault, TimeoutError) as fault:
            _log.warning("Memory plugin error: a tool could not ask the graph: %s", fault)
            asked.complete = False
            return none

    async def recalled(
        self, asked: Asked, text: str, most: int, at: float | None = None
    ) -> Recalled:
        """The best hits for a text, graph and spool together, the asking session's own too."""
        recalled = await self._recall.answer(
            asked.group,
            text,
            asked.project.paths_in(text, asked.cwd),
            patience=_PATIENCE_S,
            at=at,
            most=most,
        )
        asked.complete = asked.complete and recalled.complete
        return recalled

    async def facts_near(self, asked: Asked, text: str, path: str) -> list[Told]:
        """Facts that hold, about a file, those that the text asks for first."""
        query = Query(asked.group, text, 50, paths=(path,))
        answer = await self.graph(asked, lambda memory: memory.query(query), None)
        return [each for each in told_by_hits(answer.hits if answer else ()) if path in each.paths]

    async def waiting(self, asked: Asked) -> list[Episode]:
        """What happened and is not in the graph yet, newest first."""
        return await self._read(
            # Made over there too: of large edits that takes long.
            lambda spool: showing.episodes_of(spool.unflushed(asked.group, limit=_WAITING))
        )

    async def sessions(self, asked: Asked) -> list[SessionEntry]:
        """The project's sessions, the one with the latest event first."""
        return await self._read(lambda spool: spool.sessions(group=asked.group, limit=_SESSIONS))

    async def namer(self, asked: Asked) -> Callable[[str], str]:
        """How a session is called in a text: its id and, the first time, what it was about."""
        titles = {each.session: each.title for each in await self.sessions(asked)}

        def named(session: str) -> str:
            if not session:
                return "no session"
            title = line(titles.pop(session, ""), 16)
            own = ", this one" if session == asked.session else ""
            about = f" “{title}”" if title else ""
            return f"session {line(session, 24)}{own}{about}"

        return named

    async def _read[T](self, look: Callable[[SpoolReader], T]) -> T:
        def looked() -> T:
            reader = self._open_reader()
            try:
                return look(reader)
            finally:
                reader.close()

        return await asyncio.to_thread(looked)
