"""One coroutine for each method of the line protocol that is not a hook."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bridge import params as given
from bridge.context.render import bullets, neutral
from bridge.params import Params
from bridge.recall import CANDIDATES, Recall
from memory_manager.errors import InvalidRequest, MemoryFault, Rejected, Unavailable
from memory_manager.model import Hit, Json, RawEvent, iso
from memory_manager.reporting import (
    bulk,
    from_ingest,
    from_store,
    stored,
    taken_in,
)
from memory_manager.spool.events import new_event_id

if TYPE_CHECKING:
    from collections import Counter

    from bridge.flush.sweep import Sweep
    from bridge.parts import Parts
    from memory_manager.portable import Export
    from memory_manager.project import Project

type Method = Callable[[Params], Awaitable[Json]]

#: Seconds that a question by command may wait for the graph; the process outside waits longer.
_PATIENCE_S = 5.0
#: Seconds that a command waits for the graph of a bridge that has just been started.
_ARRIVAL_S = 8.0
#: Characters that take as long as the rest of an event does.
_EVENT = 1000
#: Tokens of a query's answer when nobody names a budget.
_BUDGET = 4000


class Resident(Protocol):
    """What commands want of the process itself."""

    def identity(self) -> dict[str, Json]:
        """Who answers, and where."""
        ...

    async def health(self) -> dict[str, Json]:
        """The degradation word and the state of every part, as they are now."""
        ...

    def end(self) -> None:
        """Ask for an orderly end."""
        ...


class Commands:
    """Methods by name in `table`; each takes the request's params and gives its result."""

    def __init__(self, parts: Parts, sweep: Sweep, resident: Resident) -> None:
        self._parts = parts
        self._sweep = sweep
        self._resident = resident
        self._recall = Recall(parts)
        self.table: dict[str, Method] = {
            "store": self.store,
            "query": self.query,
            "entities": self.entities,
            "export": self.export,
            "ingest": self.ingest,
            "flush": self.flush,
            "status": self.status,
            "ping": self.ping,
            "stop": self.stop,
        }

    async def store(self, params: Params) -> Json:
        """Spool first; then flush at once and wait for that, unless told otherwise."""
        parts = self._parts
        project = await self._project(params)
        minted, now = new_event_id(), parts.now()
        made: list[RawEvent] = []
        (standing,) = await parts.passages.of_ingest([params], project)

        def make(counted: Counter[str]) -> list[RawEvent]:
            made[:] = from_store(
                params, project, now, counted, minted=minted, at=now, standing=standing
            )
            return made

        receipt = await parts.tailing.append(make, bulk(params))
        event, result = made[0], stored(made, receipt)
        if params.get("wait", True):
            note = await self._flushed(event)
            if note:
                result["note"] = note
        else:
            self._sweep.news()
        return result

    async def _flushed(self, event: RawEvent) -> str:
        try:
            await self._parts.graph_soon(_ARRIVAL_S)
            report = await self._sweep.flush(event.group, event.session)
        except MemoryFault as fault:
            return f"it is safe in the spool and findable; not in the graph yet: {fault}"
        if report.failed:
            return f"it is safe in the spool and findable; its flush failed: {report.errors[-1]}"
        return ""

    async def query(self, params: Params) -> Json:
        """A bullet list within a budget, and the hits behind it."""
        text = given.required(params, "text")
        project = await self._project(params)
        limit = int(given.amount(params, "limit") or 5)
        budget = int(given.amount(params, "budget") or _BUDGET)
        directory = given.text(params, "cwd") or ""
        with contextlib.suppress(Unavailable):
            await self._parts.graph_soon(_ARRIVAL_S)
        recalled = await self._recall.answer(
            project.group,
            text,
            project.paths_in(text, directory),
            patience=_PATIENCE_S,
            most=max(CANDIDATES, limit),
            at=given.number(params, "at"),
        )
        if not recalled.complete and not recalled.hits:
            raise Unavailable("the graph does not answer and the spool knows nothing of it")
        hits = recalled.hits[:limit]
        lines = bullets(hits, budget)
        return {
            "text": neutral("\n".join(lines)),
            "hits": [_hit(hit) for hit in hits[: len(lines)]],
            "cache": str(recalled.cache),
            "complete": recalled.complete,
        }

    async def entities(self, params: Params) -> Json:
        """The project's entities, of one type or of all."""
        project = await self._project(params)
        graph = await self._parts.graph_soon(_ARRIVAL_S)
        found = await graph.entities(project.group, given.text(params, "type"))
        return {
            "entities": [
                {**entity.attributes, "name": entity.name, "type": entity.type, "uuid": entity.uuid}
                for entity in found
            ]
        }

    async def export(self, params: Params) -> Json:
        """Write the project's graph to a file that only its owner can read."""
        project = await self._project(params)
        path = Path(given.required(params, "path"))
        if not path.is_absolute():
            raise InvalidRequest("path: not absolute; the client names the whole path")
        graph = await self._parts.graph_soon(_ARRIVAL_S)
        # What is still in the spool belongs to the memory too.
        await self._sweep.flush_all(project.group)
        dump = await graph.export(project.group)
        await asyncio.to_thread(_write, path, dump)
        counts: dict[str, Json] = {
            key: len(value) for key, value in dump.items() if isinstance(value, list)
        }
        return {"path": str(path), "counts": counts}

    async def ingest(self, params: Params) -> Json:
        """Raw events, many at once, one durable append."""
        parts = self._parts
        items = params.get("events")
        if not isinstance(items, list):
            raise InvalidRequest("events: not a list of objects")
        placed = any(given.text(params, name) for name in ("cwd", "project", "group"))
        if not placed and not parts.projects.fixed:
            # Without a place they would be of the folder `/`, where nobody looks for them.
            raise InvalidRequest("cwd: missing; say whose events these are: cwd, project or group")
        project = await self._project(params)
        standings = await parts.passages.of_ingest(items, project)
        make = partial(from_ingest, items, params, project, parts.now(), standings=standings)
        receipt = await parts.tailing.append(make, bulk(items) + _EVENT * len(items))
        self._sweep.news()
        return taken_in(items, receipt)

    async def flush(self, params: Params) -> Json:
        """Flush one session, or everything."""
        parts = self._parts
        session = given.text(params, "session")
        if session is None:
            report = await self._sweep.flush_all()
        else:
            known = await parts.spool.call(lambda spool: spool.status(1, session=session))
            if not known.sessions:
                raise InvalidRequest(f"session: no session {session[:80]!r} in the spool")
            report = await self._sweep.flush_all(session=session)
        return {
            "batches": report.batches,
            "episodes": report.episodes,
            "skipped": report.skipped,
            "failed": report.failed,
            "errors": list(report.errors),
        }

    async def status(self, _params: Params) -> Json:
        """How the bridge is."""
        parts = self._parts
        spool = await parts.spool.call(lambda store: store.status(0))
        return {
            **await self._resident.health(),
            "spool": {
                "pending": spool.pending,
                "oldest_age_s": round(spool.oldest_age, 3),
                "batches": {str(state): count for state, count in spool.batches.items()},
                "sessions": spool.session_count,
            },
            "tail": {"events": len(parts.tailing.tail), "evicted": parts.tailing.tail.evicted},
        }

    async def ping(self, _params: Params) -> Json:
        """Who answers, and where."""
        return self._resident.identity()

    async def stop(self, _params: Params) -> Json:
        """End in order; the answer leaves first."""
        asyncio.get_running_loop().call_soon(self._resident.end)
        return {}

    async def _project(self, params: Params) -> Project:
        named = given.text(params, "group") or given.text(params, "project") or ""
        return await self._parts.projects.of(given.text(params, "cwd") or "", named)


def _hit(hit: Hit) -> Json:
    return {
        "uuid": hit.uuid,
        "kind": hit.kind,
        "text": hit.text,
        "time": iso(hit.at),
        "score": round(hit.score, 4),
        "session": hit.session,
        "event_ids": list(hit.event_ids),
        "paths": list(hit.paths),
        "source": hit.source,
        "invalid_at": None if hit.invalid_at is None else iso(hit.invalid_at),
    }


def _write(path: Path, dump: Export) -> None:
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=".opencode-mem.", delete=False
        ) as file:
            try:
                json.dump(dump, file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Rejected(f"path: {path} can't be written: {reason}") from error
