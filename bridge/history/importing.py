"""The history that OpenCode has already: listed, and read session by session when a person asks.

A request takes in as much of a session as a moment allows, so that whoever asks can show how far
it is and stop; asked again, it goes on.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bridge import params as given
from bridge.history.database import History
from bridge.history.marks import Mark
from bridge.history.places import is_opted_out, project_of
from bridge.history.reading import Reading, Tree, next_page, trees
from bridge.history.spooling import Count, Spooling
from memory_manager.errors import InvalidRequest, Rejected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bridge.history.marks import Marks
    from bridge.params import Params
    from bridge.parts import Parts
    from memory_manager.model import Json
    from memory_manager.spool.reading import SpoolReader

#: Sessions of one answer, when nobody says.
_SESSIONS, _MOST_SESSIONS = 500, 2000
#: Seconds after which a request says how far it is.
_MOMENT_S = 1.0


class Importing:
    """The methods by name in `table`."""

    def __init__(
        self,
        parts: Parts,
        database: Path,
        marks: Marks,
        open_reader: Callable[[], SpoolReader],
        news: Callable[[], None],
    ) -> None:
        """`database` is read when the request names no other."""
        self._parts = parts
        self._database = database
        self._marks = marks
        self._open_reader = open_reader
        self._news = news
        self._turn = asyncio.Lock()
        self.table: Mapping[str, Callable[[Params], Awaitable[Json]]] = {
            "import_sessions": self.sessions,
            "import_session": self.session,
        }

    async def sessions(self, params: Params) -> Json:
        """What there is: `{database?, since?, directory?, after?, limit?}`, newest first.

        `next` is the next request's `after`; None: that is all.
        """
        path, since = self._path(params), given.number(params, "since") or 0.0
        after = int(given.number(params, "after") or 0)
        limit = given.count(params, "limit", _SESSIONS, _MOST_SESSIONS)
        directory = given.text(params, "directory")
        only = (await self._parts.projects.of(directory)).group if directory else None
        history = await asyncio.to_thread(History.open, path)
        try:
            found = trees(await asyncio.to_thread(history.sessions))
        finally:
            await asyncio.to_thread(history.close)
        wanted = [tree for tree in found if tree.updated >= since * 1000]
        rows: list[Json] = []
        for tree in wanted[after : after + limit]:
            row = await self._listed(tree)
            if only in {None, row["group"]}:
                rows.append(row)
        more = after + limit < len(wanted)
        return {"database": str(path), "sessions": rows, "next": after + limit if more else None}

    async def _listed(self, tree: Tree) -> dict[str, Json]:
        root = tree.root
        out = await is_opted_out(root)
        project = None if out else await project_of(root, self._parts.projects)
        return {
            "session": root.id,
            "title": root.title[:200],
            "directory": root.directory,
            "group": project.group if project else "",
            "project": project.name if project else Path(root.directory).name,
            "at": tree.updated / 1000,
            "opted_out": out,
        }

    async def session(self, params: Params) -> Json:
        """Take in a session with its subagents: `{session, database?, again?, dry_run?}`.

        Answers `{messages, inserted, known, ignored, done}`; while it is not done, ask again
        (without `again`).
        """
        if self._parts.settings.disabled:
            raise Rejected("memory is disabled; unset OPENCODE_MEM_DISABLED and restart the bridge")
        name, path = given.required(params, "session"), self._path(params)
        again, dry = given.flag(params, "again"), given.flag(params, "dry_run")
        async with self._turn:
            history = await asyncio.to_thread(History.open, path)
            try:
                sessions = await asyncio.to_thread(history.family, name)
                root = next((each for each in sessions if each.id == name), None)
                if root is None:
                    raise InvalidRequest(f"session: no session {name[:80]!r} in {path}")
                tree = Tree(root, tuple(sessions))
                if await is_opted_out(tree.root):
                    return _answer(0, Count(), done=True)
                return await self._read(history, tree, again=again, dry=dry)
            finally:
                await asyncio.to_thread(history.close)

    async def _read(self, history: History, tree: Tree, *, again: bool, dry: bool) -> Json:
        parts, name = self._parts, tree.root.id
        project = await project_of(tree.root, parts.projects)
        # What is imported now is read on from here when its plugin says hello.
        if not dry:
            await asyncio.to_thread(self._marks.since, project.group, parts.now())
        mark = None if again else await asyncio.to_thread(self._marks.get, name)
        if mark is None or mark.since:
            # What was only read from a later moment on has its beginning still to come.
            mark = Mark()
        spooling = Spooling(parts, self._open_reader, self._news)
        pages = Reading(history, tree, mark, int(parts.now() * 1000)).pages()
        count, messages, until = Count(), 0, time.monotonic() + _MOMENT_S
        while (page := await asyncio.to_thread(next_page, pages)) is not None:
            some = await spooling.store(page.told, tree.root.directory, project, dry=dry)
            count, messages = count.plus(some), messages + page.messages
            if dry:
                continue
            await asyncio.to_thread(self._marks.put, name, page.mark, parts.now())
            onwards = (page.mark.created, page.mark.message) > (mark.created, mark.message)
            if time.monotonic() > until and onwards and not page.last:
                return _answer(messages, count, done=False)
        return _answer(messages, count, done=True)

    def _path(self, params: Params) -> Path:
        named = given.text(params, "database")
        if not named:
            return self._database
        path = Path(named)
        if "\0" in named or not path.is_absolute():
            raise InvalidRequest("database: not an absolute path")
        return path


def _answer(messages: int, count: Count, *, done: bool) -> Json:
    return {
        "messages": messages,
        "inserted": count.inserted,
        "known": count.known,
        "ignored": count.ignored,
        "done": done,
    }
