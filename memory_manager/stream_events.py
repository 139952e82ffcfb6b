"""From what a stream tells to raw events of a project, each on its own: a bad one harms no other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from memory_manager import contract, reporting
from memory_manager.errors import InvalidRequest
from memory_manager.hook_payload import LONGEST_PROMPT, HookEvent, Told
from memory_manager.model import EventKind
from memory_manager.spool.events import new_event_id
from memory_manager.spool.opened import Opened
from memory_manager.spool.private import settled
from memory_manager.spool.redact import redacted
from memory_manager.spool.sound import moment, sane
from memory_manager.stream import GONE, Stream
from memory_manager.stream_told import Call
from memory_manager.stream_values import inner, kind_of, text, texts

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from memory_manager.model import Json, RawEvent
    from memory_manager.project import Project
    from memory_manager.spool.private import Standing
    from memory_manager.stream_told import Item
    from memory_manager.stream_told import Told as Telling

#: Hooks that are called; a question is only recorded, for whoever asked waits no longer.
CALLED, _ASKED = frozenset({"file:write", "error", "completion"}), "chat:start"
#: Files of one patch that are looked for.
_FILES = 200
#: Most characters of what the assistant says in one piece.
_LONGEST_TEXT = 64 * 1024


def told_by(stream: Stream, entry: Json, now: float) -> Sequence[Telling]:
    """What `{event, at}` or `{hook, payload, at}` tells; nothing when it is neither."""
    if not isinstance(entry, dict):
        return ()
    at = _at(entry.get("at"), now)
    if hook := text(entry, "hook"):
        if contract.HOOKS.get(hook) not in {*CALLED, _ASKED}:
            return ()
        payload = inner(entry, "payload")
        # It comes with the same request whenever that is sent: the call's own event is no news.
        stream.seen(payload)
        return (Call(hook, payload, at),)
    return stream.tell(_looked_for(entry.get("event")), at)


def overheard(
    entries: Sequence[Json], cwd: str, project: Project, now: float, counted: Counter[str]
) -> list[RawEvent]:
    """All that some entries tell, for whoever has nothing but them."""
    stream = Stream()
    told: dict[object, Telling] = {}
    for entry in entries:
        for item in told_by(stream, entry, now):
            told.setdefault(item.key or id(item), item)
    events = [
        event for item in told.values() for event in reported(item, cwd, project, now, counted)
    ]
    standings = reporting.standings_of_hook(events, project, Opened())
    return raw_events(events, standings, project, now, counted)


def reported(
    telling: Telling, cwd: str, project: Project, now: float, counted: Counter[str]
) -> tuple[HookEvent, ...]:
    """What it reports, not redacted; nothing when it is malformed.

    Args:
        telling: a hook call or a raw event.
        cwd: where OpenCode stands.
        project: whose event it is.
        now: the time, for what does not say when it was.
        counted: gets what was redacted before something was cut, by rule.
    """
    if not isinstance(telling, Call):
        return (_event(telling, now, counted),)
    params: dict[str, Json] = {"payload": telling.payload, "cwd": cwd}
    minted, at = new_event_id(), telling.at
    try:
        return reporting.hooked(
            telling.hook, params, project, minted=minted, at=at, counted=counted
        )
    except InvalidRequest:
        return ()


def raw_events(
    events: Sequence[HookEvent],
    standings: Sequence[Standing],
    project: Project,
    now: float,
    counted: Counter[str],
) -> list[RawEvent]:
    """The raw events; what is too large or not worth keeping is left out."""
    made: list[RawEvent] = []
    for event, standing in zip(events, standings, strict=True):
        try:
            made += reporting.from_hook((event,), project, now, counted, standings=(standing,))
        except InvalidRequest:
            continue
    return made


def _event(item: Item, now: float, counted: Counter[str]) -> HookEvent:
    event, kind = item.event, EventKind(text(item.event, "kind"))
    at, content = event.get("at"), text(event, "content")
    shortened = Told((), item.key, now, lambda part: redacted(part, counted), settled)
    limit = LONGEST_PROMPT if kind is EventKind.PROMPT else _LONGEST_TEXT
    return HookEvent(
        item.key,
        item.session,
        kind,
        float(at) if isinstance(at, int | float) else now,
        shortened.cut(content, limit),
        {"type": str(kind), **inner(event, "metadata")},
    )


def _at(value: Json, now: float) -> float:
    try:
        return sane(moment(value, now), now)
    except InvalidRequest:
        return now


def _looked_for(event: Json) -> Json:
    """The event; a patch with which of its files are there no longer."""
    if not isinstance(event, dict) or kind_of(event) != "message.part.updated":
        return event
    properties = inner(event, "properties")
    part = inner(properties, "part")
    if text(part, "type") != "patch":
        return event
    gone: list[Json] = [
        path
        for path in texts(part, "files")[:_FILES]
        if path.startswith("/") and not os.path.lexists(path.replace("\0", ""))
    ]
    return {**event, "properties": {**properties, "part": {**part, GONE: gone}}}
