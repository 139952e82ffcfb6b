"""What an operator does: retry, report, audit, reindex, backfill, canary. Methods by name in `table`."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bridge import params as given
from bridge.audit import Audit, Audited, Repaired
from memory_manager.errors import InvalidRequest, MemoryFault, Unavailable
from memory_manager.model import EventKind, Query, RawEvent
from memory_manager.project import group_of
from memory_manager.spool.batches import BatchState
from memory_manager.spool.events import new_event_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.commands import Method
    from bridge.flush.sweep import Sweep
    from bridge.params import Params
    from bridge.parts import Parts
    from memory_manager.memory import Memory, Size
    from memory_manager.model import Json
    from memory_manager.spool.reading import SpoolReader

#: Seconds that a graph which is coming up is waited for.
_ARRIVAL_S = 8.0
#: Batches of one page of an audit, and of a backfill, when nobody says.
_PAGE, _MOST_PAGE = 50, 1000
#: Seconds until a memory that was stored must be found.
_FOUND_S = 5.0
_LOOK_S = 0.02


class Operations:
    """Does what an operator asks for."""

    def __init__(
        self, parts: Parts, sweep: Sweep, open_reader: Callable[[], SpoolReader], data: Path
    ) -> None:
        """`open_reader` gives a connection of its own; `data` is the folder whose size is told."""
        self._parts = parts
        self._sweep = sweep
        self._open_reader = open_reader
        self._data = data
        self._canary = asyncio.Lock()
        self.table: dict[str, Method] = {
            "raw_events_retry": self.raw_events_retry,
            "raw_events_report": self.raw_events_report,
            "audit": self.audit,
            "reindex": self.reindex,
            "tags_backfill": self.tags_backfill,
            "canary": self.canary,
            "stats": self.stats,
            "clock": self.clock,
        }

    async def raw_events_retry(self, params: Params) -> Json:
        """Failed batches are due at once; their ranges stay."""
        session = given.text(params, "session")
        only_error, gave_up = given.flag(params, "only_error"), given.flag(params, "gave_up")
        limit = given.amount(params, "limit")
        if only_error and gave_up:
            raise InvalidRequest("gave_up: contradicts only_error; give one of them")
        states = {BatchState.ERROR, BatchState.GAVE_UP} if gave_up else {BatchState.ERROR}
        spool = self._parts.spool
        if session is not None:
            status = await self._read(lambda reader: reader.status(1, session=session))
            if not status.sessions:
                raise InvalidRequest(f"session: no session {session[:80]!r} in the spool")
        retried = await spool.call(
            lambda store: store.retry(
                session=session, states=states, limit=None if limit is None else int(limit)
            )
        )
        self._sweep.news()
        return {"retried": retried}

    async def raw_events_report(self, params: Params) -> Json:
        """Backlog and flushes over a period, in buckets."""
        now = self._parts.now()
        until = given.number(params, "until")
        until = now if until is None else until
        since = given.number(params, "since")
        since = until - 7 * 86_400 if since is None else since
        if since >= until:
            raise InvalidRequest("since: not before until")
        buckets = given.count(params, "buckets", 24, 1000)
        report = await self._read(lambda reader: reader.report(since, until, buckets))
        return {**asdict(report), "buckets": [asdict(bucket) for bucket in report.buckets]}

    async def audit(self, params: Params) -> Json:
        """One page of completed batches compared with the graph, and mended if that is wanted."""
        memory = await self._memory()
        group = await self._group(params, memory)
        after = int(given.number(params, "after") or 0)
        limit = given.count(params, "limit", _PAGE, _MOST_PAGE)
        repair = given.flag(params, "repair")
        audit = Audit(self._parts.spool, memory, self._sweep)
        page = await audit.page(after, limit, group)
        mended = await audit.repair(page.missing) if repair and page.missing else Repaired()
        return _audited(page, mended)

    async def reindex(self, params: Params) -> Json:
        """Indices, search words and vectors made anew, project by project."""
        memory = await self._memory()
        one = await self._group(params, memory)
        after, limit = given.text(params, "after") or "", given.amount(params, "limit")
        groups = [one] if one else sorted(await memory.groups())
        groups = [group for group in groups if group > after]
        now = groups if limit is None else groups[: int(limit)]
        sizes: list[Size] = []
        for group in now:
            sizes.append(await memory.reindex(group))
            # What was answered from the old indices must not be given out again.
            await self._parts.cache.rotate(group)
        left = len(groups) - len(now)
        return {
            "groups": len(now),
            "episodes": sum(size.episodes for size in sizes),
            "entities": sum(size.entities for size in sizes),
            "facts": sum(size.facts for size in sizes),
            "left": left,
            "next": now[-1] if left else None,
        }

    async def tags_backfill(self, params: Params) -> Json:
        """Summary and tags for batches that were flushed before there were any."""
        after = int(given.number(params, "after") or 0)
        limit = given.count(params, "limit", _PAGE, _MOST_PAGE)
        return asdict(await self._sweep.backfill(after, limit))

    async def canary(self, _params: Params) -> Json:
        """A marked memory goes the whole way (spool, worker, graph, question) and is removed.

        In a project of its own, which is gone afterwards whatever came of it.
        """
        parts, memory = self._parts, await self._memory()
        group = group_of(f"canary:{os.uname().nodename}:{self._data}")
        minted = new_event_id()
        mark = f"canary{minted.replace('-', '')}"
        event = RawEvent(
            event_id=minted,
            group=group,
            session=f"canary_{minted}",
            kind=EventKind.NOTE,
            at=parts.now(),
            content=f"The {mark} still sings.",
            metadata={"type": "note", "source": "doctor"},
        )
        async with self._canary:
            try:
                began = time.perf_counter()
                await parts.spool.call(lambda spool: spool.append([event]))
                spooled = time.perf_counter()
                report = await self._sweep.flush(group, event.session)
                if report.failed:
                    raise Unavailable(f"its flush failed: {report.errors[-1]}")
                stored = time.perf_counter()
                await self._found(memory, Query(group, mark), minted)
                found = time.perf_counter()
            finally:
                await parts.spool.call(lambda spool: spool.discard(group))
                await memory.drop(group)
        return {
            "spooled_ms": _ms(spooled - began),
            "stored_ms": _ms(stored - spooled),
            "found_ms": _ms(found - stored),
            "cleaned": True,
        }

    async def clock(self, _params: Params) -> Json:
        """What time it is here."""
        return {"now": self._parts.now()}

    async def _found(self, memory: Memory, query: Query, event_id: str) -> None:
        until = time.monotonic() + _FOUND_S
        while True:
            answer = await memory.query(query)
            if any(event_id in hit.event_ids for hit in answer.hits):
                return
            if time.monotonic() > until:
                raise Unavailable("it was stored in the graph and is not found again")
            await asyncio.sleep(_LOOK_S)

    async def stats(self, _params: Params) -> Json:
        """How much there is of everything; what the graph holds is null while it is away."""
        projects = await self._read(lambda reader: reader.projects())
        named = {project.group: project for project in projects}
        sizes: dict[str, Size] = {}
        try:
            memory = await self._memory()
            for group in dict.fromkeys((*named, *await memory.groups())):
                sizes[group] = await memory.size(group)
        except MemoryFault:
            sizes = {}
        rows: list[Json] = []
        for group in dict.fromkeys((*named, *sizes)):
            project, size = named.get(group), sizes.get(group)
            rows.append(
                {
                    "group": group,
                    "name": project.name if project else "",
                    "sessions": project.sessions if project else 0,
                    "events": project.events if project else 0,
                    "pending": project.pending if project else 0,
                    "episodes": size.episodes if size else None,
                    "entities": size.entities if size else None,
                    "facts": size.facts if size else None,
                }
            )
        disk: dict[str, Json] = {**await asyncio.to_thread(folder_sizes, self._data)}
        return {"projects": rows, "disk": disk}

    async def _memory(self) -> Memory:
        return await self._parts.graph_soon(_ARRIVAL_S)

    async def _group(self, params: Params, memory: Memory) -> str | None:
        """The project that is asked for, None for all.

        Raises:
            InvalidRequest: there is none of this name.
        """
        named = given.text(params, "group") or given.text(params, "project") or ""
        directory = given.text(params, "cwd") or ""
        if not named and not directory:
            return None
        group = (await self._parts.projects.of(directory, named)).group
        known = await self._read(lambda reader: [each.group for each in reader.projects()])
        if group not in known and group not in await memory.groups():
            raise InvalidRequest(
                f"project: nothing is known of {(named or directory)[:80]!r}; "
                "`opencode-mem stats` lists the projects"
            )
        return group

    async def _read[T](self, look: Callable[[SpoolReader], T]) -> T:
        def looked() -> T:
            reader = self._open_reader()
            try:
                return look(reader)
            finally:
                reader.close()

        return await asyncio.to_thread(looked)


def folder_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each thing in the data folder, and of all; what vanishes meanwhile counts nothing."""
    sizes: dict[str, int] = {}
    for root, _, files in os.walk(folder):
        for file in files:
            path = Path(root, file)
            try:
                size = path.stat(follow_symlinks=False).st_size
            except OSError:
                continue
            first = path.relative_to(folder).parts[0]
            name = first.partition(".sqlite3")[0] if ".sqlite3" in first else first
            sizes[name] = sizes.get(name, 0) + size
    return {**dict(sorted(sizes.items())), "all": sum(sizes.values())}


def _audited(page: Audited, mended: Repaired) -> Json:
    return {
        "checked_batches": page.batches,
        "checked_events": page.events,
        "unverifiable": page.unverifiable,
        "missing": [asdict(lost) for lost in page.missing],
        "repaired_batches": mended.batches,
        "failed": list(mended.failed),
        "next": page.next,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
