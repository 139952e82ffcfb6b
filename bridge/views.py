"""What an operator and the page may see: methods that only read, by name in `table`.

They read the spool over connections of their own, so that a look never stands in the way of an
append. Times are seconds since the epoch; `next` is an opaque cursor for the page after this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from bridge import params as given
from bridge import showing
from bridge.context.render import block, fitting, tokens
from bridge.recall import CANDIDATES, Recall
from memory_manager.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.commands import Method
    from bridge.params import Params
    from bridge.parts import Parts
    from memory_manager.memory import Memory
    from memory_manager.model import Json
    from memory_manager.spool.reading import SpoolReader
    from metrics.totals import Totals

#: Seconds that a look at the graph may take, and that it may wait for a graph that is coming.
_PATIENCE_S, _ARRIVAL_S = 5.0, 8.0
#: Most items of one page.
_MOST = 500


class Views:
    """Looks at everything, changes nothing."""

    def __init__(
        self,
        parts: Parts,
        totals: Totals,
        open_reader: Callable[[], SpoolReader],
        degradation: Callable[[], str],
    ) -> None:
        self._parts = parts
        self._totals = totals
        self._open_reader = open_reader
        self._degradation = degradation
        self._recall = Recall(parts)
        self._since = parts.now()
        self.table: dict[str, Method] = {
            "projects": self.projects,
            "raw_events_status": self.raw_events_status,
            "sessions": self.sessions,
            "episodes": self.episodes,
            "episode": self.episode,
            "explain": self.explain,
            "graph": self.graph,
            "injections": self.injections,
            "metrics": self.metrics,
        }

    async def projects(self, _params: Params) -> Json:
        """Every project that has told anything, the most recent first."""
        found = await self._read(lambda spool: spool.projects())
        return {
            "projects": [
                {
                    "group": project.group,
                    "name": project.name,
                    "root": project.root,
                    "sessions": project.sessions,
                    "events": project.events,
                    "pending": project.pending,
                    "last_at": project.last_at,
                }
                for project in found
            ]
        }

    async def raw_events_status(self, params: Params) -> Json:
        """What waits, how long, and the batches by state, for each session."""
        session, limit = given.text(params, "session"), given.count(params, "limit", 200, 5000)
        status, names = await self._read(
            lambda spool: (spool.status(limit, session=session), _names(spool))
        )
        now = self._parts.now()
        return {
            "pending": status.pending,
            "oldest_age_s": round(status.oldest_age, 3),
            "degradation": self._degradation(),
            "disk": self._parts.tailing.fault or "ok",
            "batches": showing.states(status.batches),
            "sessions": [
                {
                    "group": each.group,
                    "project": names.get(each.group, ""),
                    "session": each.session,
                    "title": each.title,
                    "pending": each.pending,
                    "oldest_age_s": showing.age(each.first_pending_at, now),
                    "cursor": each.cursor,
                    "batches": showing.states(each.batches),
                    "attempts": each.attempts,
                    "error": each.error,
                    "retry_at": each.retry_at,
                }
                for each in status.sessions
            ],
            "more": status.more,
        }

    async def sessions(self, params: Params) -> Json:
        """Sessions, the most recent first."""
        group, text = given.text(params, "group"), given.text(params, "text")
        limit = given.count(params, "limit", 50, _MOST)
        before = showing.uncursor(params)
        found, names = await self._read(
            lambda spool: (
                spool.sessions(group=group, before=before, limit=limit, text=text),
                _names(spool),
            )
        )
        last = found[-1] if len(found) == limit else None
        return {
            "sessions": [
                {
                    "group": each.group,
                    "project": names.get(each.group, ""),
                    "session": each.session,
                    "title": each.title,
                    "first_at": each.first_at,
                    "last_at": each.last_at,
                    "events": each.events,
                    "pending": each.pending,
                    "summary": each.summary,
                    "tags": list(each.tags),
                }
                for each in found
            ],
            "next": None
            if last is None
            else showing.cursor(last.last_at, last.group, last.session),
        }

    async def episodes(self, params: Params) -> Json:
        """A project's episodes, newest first; what is still in the spool stands among the first."""
        group = given.required(params, "group")
        session, path = given.text(params, "session"), given.text(params, "path")
        text, kind = given.text(params, "text"), showing.kind(given.text(params, "kind"))
        limit = given.count(params, "limit", 100, _MOST)
        before = given.text(params, "before")
        graph: list[Json] = []
        cursor: str | None = None
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
            graph = [showing.listed(each, pending=False) for each in page.episodes]
            cursor = page.next
            known = {each.uuid for each in page.episodes}
        except (Unavailable, TimeoutError):
            # The spool knows the newest ones; without the graph there are no older ones.
            if before:
                raise Unavailable("the graph does not answer; try again") from None
            known = set()
        if before:
            return {"episodes": graph, "next": cursor}
        rows = await self._read(lambda spool: spool.unflushed(group, session=session, limit=limit))
        wanted = (text or "").lower()
        waiting = [
            showing.listed(each, pending=True)
            for each in showing.episodes_of(rows)
            if each.uuid not in known
            and (kind is None or each.kind is kind)
            and (path is None or path in each.paths)
            and wanted in each.content.lower()
        ]
        together = sorted([*waiting, *graph], key=showing.newest_first)
        return {"episodes": together, "next": cursor}

    async def episode(self, params: Params) -> Json:
        """One episode, whole, with the facts that were made of it."""
        group, uuid = given.required(params, "group"), given.required(params, "uuid")
        found = None
        with contextlib.suppress(Unavailable):
            found = await (await self._memory()).episode(group, uuid)
        if found is None:
            rows = await self._read(lambda spool: spool.unflushed(group, limit=_MOST))
            waiting = next((each for each in showing.episodes_of(rows) if each.uuid == uuid), None)
            if waiting is None:
                raise InvalidRequest(f"uuid: no episode {uuid[:60]!r} in this project")
            return {**showing.whole(waiting, pending=True), "facts": []}
        episode, facts = found
        return {
            **showing.whole(episode, pending=False),
            "facts": [showing.fact(fact) for fact in facts],
        }

    async def explain(self, params: Params) -> Json:
        """What a new session would be told for this question, and why."""
        parts = self._parts
        text = given.required(params, "text")
        named = given.text(params, "group") or given.text(params, "project") or ""
        directory = given.text(params, "cwd") or ""
        project = await parts.projects.of(directory, named)
        budget = given.count(params, "budget", parts.settings.context_tokens, 100_000)
        limit = given.count(params, "limit", CANDIDATES, 200)
        began = time.perf_counter()
        recalled = await self._recall.answer(
            project.group,
            text,
            project.paths_in(text, directory),
            patience=_PATIENCE_S,
            at=given.number(params, "at"),
            most=max(CANDIDATES, limit),
        )
        hits = recalled.hits[:limit]
        told = block(hits, budget)
        spent = (time.perf_counter() - began) * 1000
        shown = fitting(hits, budget)
        return {
            "cache": str(recalled.cache),
            "complete": recalled.complete,
            "ms": round(spent, 3),
            "tokens": tokens(told),
            "budget": budget,
            "block": told,
            "hits": [
                showing.explained(hit, included=number < shown) for number, hit in enumerate(hits)
            ],
        }

    async def graph(self, params: Params) -> Json:
        """A part of a project's graph: its best-connected entities, or what surrounds one."""
        group = given.required(params, "group")
        memory = await self._memory()
        found = await memory.neighbourhood(
            group,
            center=given.text(params, "center"),
            text=given.text(params, "text") or "",
            types=given.texts(params, "types"),
            at=given.number(params, "at"),
            limit=given.count(params, "limit", 150, 1000),
        )
        return {
            "nodes": [
                {
                    "uuid": node.entity.uuid,
                    "type": node.entity.type,
                    "name": node.entity.name,
                    "degree": node.degree,
                    "attributes": dict(node.entity.attributes),
                }
                for node in found.nodes
            ],
            "edges": [showing.fact(fact) for fact in found.edges],
            "first_at": found.first_at,
            "last_at": found.last_at,
            "truncated": found.truncated,
        }

    async def injections(self, params: Params) -> Json:
        """What messages were given, newest first."""
        limit = given.count(params, "limit", 50, _MOST)
        before = showing.uncursor(params)
        rows = self._parts.ledger.newest(
            group=given.text(params, "group"),
            session=given.text(params, "session"),
            limit=limit,
            **({"before": before} if before else {}),
        )
        names = await self._read(_names)
        last = rows[-1] if len(rows) == limit else None
        return {
            "injections": [showing.injection(row, names) for row in rows],
            "next": None if last is None else showing.cursor(last.at, last.session, last.message),
        }

    async def metrics(self, _params: Params) -> Json:
        """What this bridge has counted since it started."""
        told = self._totals.told()
        return {
            "since": self._since,
            "counters": [
                {**showing.series(key), "value": value} for key, value in told.counters.items()
            ],
            "gauges": [
                {**showing.series(key), "value": value} for key, value in told.gauges.items()
            ],
            "distributions": [
                {
                    **showing.series(key),
                    "count": spread.count,
                    "p50": spread.p50,
                    "p95": spread.p95,
                    "p99": spread.p99,
                    "max": spread.max,
                }
                for key, spread in told.distributions.items()
            ],
        }

    async def _memory(self) -> Memory:
        return await self._parts.graph_soon(_ARRIVAL_S)

    async def _read[T](self, look: Callable[[SpoolReader], T]) -> T:
        def looked() -> T:
            reader = self._open_reader()
            try:
                return look(reader)
            finally:
                reader.close()

        return await asyncio.to_thread(looked)


def _names(spool: SpoolReader) -> dict[str, str]:
    return {project.group: project.name for project in spool.projects()}
