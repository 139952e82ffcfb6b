"""OpenCode's events as they come; what they tell is on disk before the reply.

One stream for each way they come by, for what was missed comes beside what happens now. Nothing is
half acknowledged: what could not be stored is counted, and told anew when it is sent again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from bridge import params as given
from bridge.hooks import Outcome
from memory_manager import contract
from memory_manager.errors import InvalidRequest, MemoryFault
from memory_manager.optout import opted_out
from memory_manager.stream import Call, Stream
from memory_manager.stream_events import CALLED, raw_events, reported, told_by

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

    from bridge.params import Params
    from bridge.parts import Parts
    from memory_manager.hook_events import HookEvent
    from memory_manager.model import Json
    from memory_manager.project import Project
    from memory_manager.stream import Told

    type _Dispatch = Callable[
        [str, dict[str, Json]], Awaitable[tuple[Json, dict[str, Json] | None]]
    ]

#: Most events of one request.
MOST_EVENTS = 5000
#: The ways that events come by.
_ORIGINS = ("live", "catch-up")
#: Characters that take as long as the rest of an event does.
_EVENT = 1000
#: Seconds that the loop is kept from others, and hook calls that are under way at once.
_TURN_S, _AT_ONCE = 0.001, 16


@dataclass(slots=True)
class _Way:
    stream: Stream = field(default_factory=Stream)
    #: Events are told in the order they came.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class _Tally:
    """What became of one request. `failed` are the numbers of its events."""

    accepted: int = 0
    duplicates: int = 0
    failed: set[int] = field(default_factory=set)
    notes: Counter[str] = field(default_factory=Counter)

    def json(self, received: int, note: str = "") -> dict[str, Json]:
        """As it is answered."""
        answer: dict[str, Json] = {
            "received": received,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "failed": len(self.failed),
        }
        if note or self.notes:
            answer["note"] = contract.one_line(note or "; ".join(self.notes), 500)
        return answer


class Streaming:
    """The method `event`, and what hooks tell about the events that follow them."""

    def __init__(self, parts: Parts, dispatch: _Dispatch, news: Callable[[], None]) -> None:
        """`dispatch` answers a hook call; `news` is called when something came in."""
        self._parts = parts
        self._dispatch = dispatch
        self._news = news
        self._ways = {origin: _Way() for origin in _ORIGINS}

    def seen(self, payload: Json) -> None:
        """A tool's hook is on disk: the event that comes of the same call tells nothing new."""
        for way in self._ways.values():
            way.stream.seen(payload)

    def family(self, session: str, parent: str) -> None:
        """A subagent's session, whose beginning may have been missed."""
        for way in self._ways.values():
            way.stream.family(session, parent)

    async def event(self, params: Params) -> Json:
        """Take in `{events: [{event, at} | {hook, payload, at}], cwd, origin}`.

        Answers `{received, accepted, duplicates, failed, note?}`: `received` and `failed` count
        what was sent, the others what it told. While `failed` is not 0, send all of it again.
        """
        entries = params.get("events")
        if not isinstance(entries, list) or len(entries) > MOST_EVENTS:
            raise InvalidRequest(f"events: not a list of at most {MOST_EVENTS} objects")
        origin = given.text(params, "origin") or _ORIGINS[0]
        if origin not in self._ways:
            raise InvalidRequest(f"origin: neither {' nor '.join(_ORIGINS)}")
        cwd = given.text(params, "cwd") or ""
        if self._parts.settings.disabled:
            return _Tally().json(len(entries), "memory is disabled: nothing was stored")
        named = given.text(params, "group") or given.text(params, "project") or ""
        project = await self._parts.projects.of(cwd, named)
        if opted_out(cwd, project.root):
            return _Tally().json(len(entries), "this project has opted out: nothing was stored")
        way, tally = self._ways[origin], _Tally()
        async with way.turn:
            told = await self._told(way.stream, entries)
            # Whoever comes next is told behind this one; for the disk both may wait at once.
            storing = {_task(self._record(told, cwd, project, tally))}
            for number, call in _calls(told):
                storing.add(_task(self._called(number, call, params, tally)))
                await asyncio.sleep(0)
                if len(storing) >= _AT_ONCE:
                    _, storing = await asyncio.wait(storing, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*storing)
        for number, item in told:
            if number not in tally.failed:
                way.stream.keep(item)
        return tally.json(len(entries))

    async def _told(self, stream: Stream, entries: Sequence[Json]) -> list[tuple[int, Told]]:
        """What the events tell, each thing once, with the number of the event that did."""
        now = self._parts.now()
        found: dict[object, tuple[int, Told]] = {}
        began = time.perf_counter()
        for number, entry in enumerate(entries):
            for item in told_by(stream, entry, now):
                found.setdefault(item.key or id(item), (number, item))
            if time.perf_counter() - began > _TURN_S:
                await asyncio.sleep(0)
                began = time.perf_counter()
        return list(found.values())

    async def _record(
        self, told: Iterable[tuple[int, Told]], cwd: str, project: Project, tally: _Tally
    ) -> None:
        """What no hook stands for, in one append."""
        parts = self._parts
        items = [(number, item) for number, item in told if not _is_called(item)]
        events: list[HookEvent] = []
        counted: Counter[str] = Counter()
        for _, item in items:
            events += reported(item, cwd, project, parts.now(), counted)
            await asyncio.sleep(0)
        parts.tailing.redacted(counted)
        if not events:
            return

        standings = await parts.passages.of_hook(events, project)
        make = partial(raw_events, events, standings, project, parts.now())
        size = sum(len(event.content) + _EVENT for event in events)
        try:
            receipt = await parts.tailing.append(make, size)
        except MemoryFault as fault:
            tally.failed.update(number for number, _ in items)
            tally.notes[str(fault)] += 1
            return
        self._news()
        tally.accepted += receipt.inserted
        tally.duplicates += receipt.duplicates

    async def _called(self, number: int, call: Call, params: Params, tally: _Tally) -> None:
        """A hook call like any other: with its deadline, its metrics, and all that it does."""
        asked: dict[str, Json] = {"name": call.hook, "payload": call.payload, "at": call.at}
        asked |= {name: params.get(name) for name in ("cwd", "project", "group")}
        reply, _ = await self._dispatch("hook", asked)
        outcome = reply.get("outcome") if isinstance(reply, dict) else None
        note = reply.get("note") if isinstance(reply, dict) else None
        if outcome == Outcome.ACCEPTED:
            tally.accepted += 1
        elif outcome == Outcome.DUPLICATE:
            tally.duplicates += 1
        elif outcome == Outcome.FAILED:
            tally.failed.add(number)
        if isinstance(note, str) and note:
            tally.notes[note] += 1


def _task(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    return asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)


def _calls(told: Iterable[tuple[int, Told]]) -> list[tuple[int, Call]]:
    return [(number, item) for number, item in told if _is_called(item) and isinstance(item, Call)]


def _is_called(item: Told) -> bool:
    return isinstance(item, Call) and contract.HOOKS.get(item.hook) in CALLED
