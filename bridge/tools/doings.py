"""`file` and `changes`: what was done, to one file or since some time."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from bridge.tools import arguments
from bridge.tools.choosing import chosen
from bridge.tools.failing import gist
from bridge.tools.looking import Told, told_by_fact, united
from bridge.tools.notes import budget
from bridge.tools.text import Section, counted, fenced, line, times, when
from memory_manager.browse import EpisodePage, Neighbourhood
from memory_manager.model import EventKind, entity_uuid
from memory_manager.reporting import BY_HAND, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bridge.tools.looking import Asked, Look
    from memory_manager.memory import Memory
    from memory_manager.model import Episode
    from memory_manager.spool.batches import SessionEntry

_LIMIT, _MOST = 10, 50
#: Episodes of one page and of all pages, entities around a file.
_PAGE, _EPISODES, _AROUND = 200, 1000, 60
_TOGETHER = re.compile(r" changed together (?:once|(\d+) times)")


class Doings:
    """What happened."""

    def __init__(self, look: Look) -> None:
        self._look = look

    # A file

    async def file(self, asked: Asked) -> str:
        """A file's changes, errors and companions."""
        given = arguments.required(asked.args, "path", "file")
        limit = arguments.size(asked.args, "limit", _LIMIT, _MOST)
        path = without_secrets(asked.project.spelling(given, asked.cwd))
        edits = await self._edits(asked, path)
        facts = await self._facts(asked, path)
        named = await self._look.namer(asked)
        changes = [_edited(each, facts, named) for each in edits[:limit]]
        sessions = len({each.session for each in edits})
        title = f"{line(path, 40)} changed {times(len(edits))} in {counted(sessions, 'session')}"
        return fenced(
            [
                Section(title, changes, max(0, len(edits) - limit)),
                Section("Moved or deleted", moves(facts, named)[:limit]),
                Section("Errors that occurred in it", errors(facts, named)[:limit]),
                Section("Changed together with", companions(facts, path)[:limit]),
            ],
            budget(asked),
        ) or await self._unknown(asked, path)

    async def _edits(self, asked: Asked, path: str) -> list[Episode]:
        page = await self._look.graph(
            asked,
            lambda memory: memory.episodes(
                asked.group, path=path, kind=EventKind.FILE_EDIT, limit=_PAGE
            ),
            EpisodePage(),
        )
        waiting = (
            each
            for each in await self._look.waiting(asked)
            if each.kind is EventKind.FILE_EDIT and path in each.paths
        )
        return _together(page.episodes, waiting)

    async def _facts(self, asked: Asked, path: str) -> list[Told]:
        center = entity_uuid(asked.group, "File", path)

        async def look(memory: Memory) -> tuple[Told, ...]:
            found: list[Told] = []
            # Each type of its own: the engine gives the newest facts of a picture, and other files'
            # would leave no room for this one's errors.
            for types in (("Error",), ("File",), ("Session",)):
                around = await memory.neighbourhood(
                    asked.group, center=center, types=types, limit=_AROUND
                )
                found += [
                    told_by_fact(fact)
                    for fact in around.edges
                    if center in {fact.source, fact.target}
                ]
            return tuple(found)

        none: tuple[Told, ...] = ()
        stored = await self._look.graph(asked, look, none)
        near = await self._look.facts_near(asked, f"{path} changed together error fixed", path)
        return united(stored, near)

    async def _unknown(self, asked: Asked, path: str) -> str:
        name = path.rpartition("/")[2]
        like = await self._look.graph(
            asked,
            lambda memory: memory.neighbourhood(asked.group, text=name, types=("File",), limit=5),
            Neighbourhood(),
        )
        names = [line(node.entity.name, 60) for node in like.nodes]
        said = "Memory knows nothing about that file in this project."
        known = fenced([Section("Files of that name that it knows", names)], budget(asked))
        return f"{said}\n{known}" if known else said

    # Since

    async def changes(self, asked: Asked) -> str:
        """What was done since a time; without one, since the session before this one began."""
        limit = arguments.size(asked.args, "limit", _LIMIT, _MOST)
        since = arguments.moment(asked.args, "since", asked.now)
        known = await self._look.sessions(asked)
        if since is None:
            since = last_session(known, asked.session)
        if since is None:
            return "There was no session before this one in this project."
        episodes = await self._since(asked, since)
        choices = [each for each in await chosen(self._look, asked) if each.at >= since]
        named = await self._look.namer(asked)
        recent = [each for each in known if each.last_at >= since]
        lists = (
            (f"Sessions since {when(since)}", [_session(each, named) for each in recent]),
            ("Files changed", changed(episodes)),
            ("Decided", [f"{when(each.at)} {line(each.text, 80)}" for each in choices]),
            ("Failed", failures(episodes)),
        )
        return fenced(
            [Section(title, told[:limit], max(0, len(told) - limit)) for title, told in lists],
            budget(asked),
        ) or (f"Nothing has happened in this project since {when(since)} (UTC).")

    async def _since(self, asked: Asked, since: float) -> list[Episode]:
        async def look(memory: Memory) -> tuple[Episode, ...]:
            found: list[Episode] = []
            before: str | None = None
            while len(found) < _EPISODES:
                page = await memory.episodes(asked.group, before=before, limit=_PAGE)
                found += page.episodes
                before = page.next
                if before is None or found[-1].at < since:
                    break
            return tuple(found)

        none: tuple[Episode, ...] = ()
        stored = await self._look.graph(asked, look, none)
        together = _together(stored, await self._look.waiting(asked))
        return [each for each in together if each.at >= since]


def last_session(known: Sequence[SessionEntry], own: str) -> float | None:
    """When the session before `own` began; None: there was none."""
    began = next((each.first_at for each in known if each.session == own), None)
    before = [
        each
        for each in known
        if each.session not in {own, BY_HAND} and (began is None or each.first_at < began)
    ]
    return max(before, key=lambda each: each.last_at).first_at if before else None


def changed(episodes: Iterable[Episode]) -> list[str]:
    """Each file that was changed (newest first), how, how often and when last."""
    last: dict[str, Episode] = {}
    count: Counter[str] = Counter()
    for each in episodes:
        path = each.metadata.get("path")
        if each.kind is EventKind.FILE_EDIT and isinstance(path, str):
            count[path] += 1
            last.setdefault(path, each)
    return [
        f"{line(path, 40)}: {_change(each)}, {times(count[path])}, last {when(each.at)}"
        for path, each in last.items()
    ]


def failures(episodes: Iterable[Episode]) -> list[str]:
    """Errors, and commands that failed, newest first."""
    return [
        f"{when(each.at)} {gist(each)}"
        for each in episodes
        if each.kind is EventKind.ERROR
        or (each.kind is EventKind.COMMAND and each.metadata.get("exit") not in {None, 0})
    ]


def errors(facts: Iterable[Told], named: Callable[[str], str]) -> list[str]:
    """The errors that occurred in a file, newest first, and the fixes that editing it was."""
    words = {"OCCURRED_IN": "", "FIXED_BY": "fixed: "}
    return [
        f"{when(each.at)} {words[each.relation]}{line(each.text, 80)} — {named(each.session)}"
        for each in facts
        if each.relation in words
    ]


def moves(facts: Iterable[Told], named: Callable[[str], str]) -> list[str]:
    """When a file was moved or deleted, newest first."""
    return [
        f"{when(each.at)} {line(each.text, 60)} — {named(each.session)}"
        for each in facts
        if each.relation in {"MOVED", "DELETED"}
    ]


def companions(facts: Iterable[Told], path: str) -> list[str]:
    """The files that change together with a file, the most frequent first."""
    count: Counter[str] = Counter()
    for each in facts:
        if each.relation == "CHANGED_WITH" and (found := _TOGETHER.search(each.text)):
            for other in each.paths:
                if other != path:
                    count[other] += int(found[1] or 1)
    ranked = sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))
    return [f"{line(other, 40)} ({times(number)})" for other, number in ranked]


def _together(stored: Iterable[Episode], waiting: Iterable[Episode]) -> list[Episode]:
    known = {each.uuid: each for each in (*waiting, *stored)}
    return sorted(known.values(), key=lambda each: (-each.at, each.uuid))


def _edited(each: Episode, facts: Iterable[Told], named: Callable[[str], str]) -> str:
    said = next(
        (
            fact.text
            for fact in facts
            if fact.relation == "MODIFIED" and each.event_id in fact.event_ids
        ),
        "",
    )
    first, _, diff = each.content.partition("\n")
    change = line(diff, 70)
    told = f"{line(said or first, 40)} — {named(each.session)}"
    return f"{when(each.at)} {told}" + (f": {change}" if change else "")


def _change(each: Episode) -> str:
    change = each.metadata.get("change")
    return line(change, 8) if isinstance(change, str) and change else "modified"


def _session(each: SessionEntry, named: Callable[[str], str]) -> str:
    summary = f": {line(each.summary, 110)}" if each.summary else ""
    return f"{when(each.first_at)} to {when(each.last_at)} {named(each.session)}{summary}"
