"""Rows of OpenCode's database as the events that once told them, in the order they came. Pure.

A message is told when it is begun, its parts as they end, and again when it is complete; what
several sessions did at once (a turn and its subagents) comes as it happened.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memory_manager.stream import GONE
from memory_manager.stream_values import amount, inner, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bridge.history.database import MessageRow, PartRow, SessionRow
    from memory_manager.model import Json

#: What of an answer is not known when it begins.
_LATER = ("error", "finish", "tokens", "cost")


@dataclass(frozen=True, slots=True, order=True)
class Happening:
    """One event. `at` is in ms, `number` keeps the order of what happened at once."""

    at: int
    number: int
    #: When its message was begun.
    begun: int = field(compare=False)
    event: dict[str, Json] = field(compare=False)


@dataclass(slots=True)
class Replay:
    """Puts the rows of messages that overlap in order; bounded by how many of them do."""

    _waiting: list[Happening] = field(default_factory=list)
    _number: int = 0

    def add(self, message: MessageRow, parts: Sequence[PartRow], gone: frozenset[str]) -> None:
        """A message, which began after all that were added before."""
        for at, event in _events(message, parts, gone):
            self._number += 1
            heapq.heappush(self._waiting, Happening(at, self._number, message.created, event))

    @property
    def oldest(self) -> int | None:
        """When the first message was begun of which something is still to be given."""
        return min((each.begun for each in self._waiting), default=None)

    def until(self, at: float) -> Iterator[Happening]:
        """What had happened by then, in order; it is given once."""
        while self._waiting and self._waiting[0].at < at:
            yield heapq.heappop(self._waiting)


def created(session: SessionRow) -> dict[str, Json]:
    """The event of a session's beginning."""
    info: dict[str, Json] = {
        "id": session.id,
        "parentID": session.parent,
        "directory": session.directory,
        "time": {"created": session.created},
    }
    return {"type": "session.created", "properties": {"sessionID": session.id, "info": info}}


def incomplete(message: MessageRow) -> bool:
    """Whether an answer has not come to its end."""
    time = inner(message.info, "time")
    return message.info.get("role") == "assistant" and time.get("completed") is None


def _events(
    message: MessageRow, parts: Iterable[PartRow], gone: frozenset[str]
) -> Iterator[tuple[int, dict[str, Json]]]:
    info: dict[str, Json] = {**message.info, "id": message.id, "sessionID": message.session}
    began = message.created
    if info.get("role") != "assistant":
        yield began, _updated(message, info)
        for part in parts:
            yield began, _part(message, part, gone)
        return
    begun = {name: value for name, value in info.items() if name not in _LATER}
    yield began, _updated(message, {**begun, "time": {"created": began}})
    last = began
    for part in parts:
        ended = _ended(part)
        # A patch does not say when: it is made of what the parts before it did.
        last = max(last, ended)
        yield max(began, ended) if ended else last, _part(message, part, gone)
    if not incomplete(message):
        completed = int(amount(inner(info, "time").get("completed")))
        yield max(last, completed), _updated(message, info)


def _updated(message: MessageRow, info: dict[str, Json]) -> dict[str, Json]:
    return {"type": "message.updated", "properties": {"sessionID": message.session, "info": info}}


def _part(message: MessageRow, row: PartRow, gone: frozenset[str]) -> dict[str, Json]:
    named: dict[str, Json] = {"id": row.id, "messageID": message.id, "sessionID": message.session}
    part: dict[str, Json] = {**row.part, **named}
    if files := texts(part, "files"):
        # A patch says whole paths; what is gone is told from the top of the worktree on.
        root = text(inner(message.info, "path"), "root").rstrip("/")
        part[GONE] = [path for path in files if path.removeprefix(f"{root}/") in gone]
    properties: dict[str, Json] = {
        "sessionID": message.session,
        "part": part,
        "time": row.updated or message.created,
    }
    return {"type": "message.part.updated", "properties": properties}


def _ended(row: PartRow) -> int:
    time = inner(inner(row.part, "state"), "time") or inner(row.part, "time")
    return int(amount(time.get("end")))
