"""What an operator and the page may see: methods that only read, by name in `table`.

They read the spool over connections of their own, so that a look never stands in the way of an
append. Times are seconds since the epoch; `next` is an opaque cursor for the page after this one.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bridge import params as given
from bridge import showing
from bridge.context.render import block, fitting, tokens
from bridge.episodes import Episodes
from bridge.reading import looked
from bridge.recall import CANDIDATES, Recall

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
        episodes = Episodes(parts, open_reader)
        self.table: dict[str, Method] = {
            "projects": self.projects,
            "raw_events_status": self.raw_events_status,
            "sessions": self.sessions,
            "episodes": episodes.episodes,
            "episode": episodes.episode,
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
        session, limit = given.text(params, "session"), given.count(params, "limit", 200, 1000)
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
        rows = await asyncio.to_thread(
            self._parts.ledger.newest,
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
        return await looked(self._open_reader, look)


def _names(spool: SpoolReader) -> dict[str, str]:
    return {project.group: project.name for project in spool.projects()}
