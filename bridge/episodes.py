"""A project's episodes as a list and one by one: those in the graph, and those still in the spool.

The spool is read before the graph: what is flushed in between is found in both, never in none, and
the graph's is shown. Episodes of what waits are made on the thread that reads the spool: of a few
hundred large edits that takes seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from bridge import params as given
from bridge import showing
from bridge.reading import looked
from memory_manager.errors import InvalidRequest, Unavailable
from memory_manager.extract.episodes import episode_of, worth_keeping
from memory_manager.model import episode_uuid

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.params import Params
    from bridge.parts import Parts
    from memory_manager.memory import Memory
    from memory_manager.model import Episode, Fact, Json
    from memory_manager.spool.reading import SpoolReader

#: Seconds that a look at the graph may take, and that it may wait for a graph that is coming.
_PATIENCE_S, _ARRIVAL_S = 5.0, 8.0
#: Most episodes of one page, and of what waits.
_MOST = 500


class Episodes:
    """The methods `episodes` and `episode`."""

    def __init__(self, parts: Parts, open_reader: Callable[[], SpoolReader]) -> None:
        self._parts = parts
        self._open_reader = open_reader

    async def episodes(self, params: Params) -> Json:
        """A project's episodes, newest first; what is still in the spool stands among the first."""
        group = given.required(params, "group")
        session, path = given.text(params, "session"), given.text(params, "path")
        text, kind = given.text(params, "text"), showing.kind(given.text(params, "kind"))
        limit = given.count(params, "limit", 100, _MOST)
        before = given.text(params, "before")
        wanted = (text or "").lower()

        def waits(spool: SpoolReader) -> list[dict[str, Json]]:
            rows = spool.unflushed(group, session=session, limit=limit)
            asked = (row for row in rows if kind is None or row.event.kind is kind)
            return [
                showing.listed(each, pending=True)
                for each in showing.episodes_of(asked)
                if (path is None or path in each.paths) and wanted in each.content.lower()
            ]

        waiting = [] if before else await looked(self._open_reader, waits)
        try:
            memory = await self._memory()
            async with asyncio.timeout(_PATIENCE_S):
                page = await memory.episodes(
                    group,
                    session=session,
                    kind=kind,
                    path=path,
                    text=text,
                    before=before,
                    limit=limit,
                )
        except (Unavailable, TimeoutError):
            # The spool knows the newest ones; without the graph there are no older ones.
            if before:
                raise Unavailable("the graph does not answer; try again") from None
            return {"episodes": [*sorted(waiting, key=showing.newest_first)], "next": None}
        graph = [showing.listed(each, pending=False) for each in page.episodes]
        if before:
            return {"episodes": [*graph], "next": page.next}
        known = {each.uuid for each in page.episodes}
        still = (each for each in waiting if each["uuid"] not in known)
        together = sorted([*still, *graph], key=showing.newest_first)
        return {"episodes": [*together], "next": page.next}

    async def episode(self, params: Params) -> Json:
        """One episode, whole, with the facts that were made of it."""
        group, uuid = given.required(params, "group"), given.required(params, "uuid")

        def waits(spool: SpoolReader) -> dict[str, Json] | None:
            for row in spool.unflushed(group, limit=_MOST):
                event = row.event
                if episode_uuid(event.group, event.event_id) == uuid and worth_keeping(event):
                    return showing.whole(episode_of(event), pending=True)
            return None

        found = await self._stored(group, uuid)
        if found is None:
            if (waiting := await looked(self._open_reader, waits)) is not None:
                return {**waiting, "facts": []}
            # It may have been flushed between the two looks.
            found = await self._stored(group, uuid)
        if found is None:
            raise InvalidRequest(f"uuid: no episode {uuid[:60]!r} in this project")
        episode, facts = found
        return {
            **showing.whole(episode, pending=False),
            "facts": [showing.fact(fact) for fact in facts],
        }

    async def _stored(self, group: str, uuid: str) -> tuple[Episode, tuple[Fact, ...]] | None:
        with contextlib.suppress(Unavailable):
            return await (await self._memory()).episode(group, uuid)
        return None

    async def _memory(self) -> Memory:
        return await self._parts.graph_soon(_ARRIVAL_S)
