"""From what somebody reported to a raw event that may be stored: valid, redacted, compact.

Pure but for `new_event_id`. Every path to the disk goes through `raw_event`.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING

from memory_manager.contract import BODY_LIMIT, uuid7
from memory_manager.errors import InvalidRequest
from memory_manager.model import NOTHING, EventKind, Json, RawEvent
from memory_manager.spool.compact import compacted
from memory_manager.spool.filters import filtered, no_news
from memory_manager.spool.folding import SAME_AS
from memory_manager.spool.private import START, Standing
from memory_manager.spool.redact import Budget, redact, redacted, redacted_value
from memory_manager.spool.sound import json_object, moment, sane, valid

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Longest id of an event, a session or a project, in characters.
_LONGEST_ID = 1024

#: Metadata that we add: it must not make a full body too long.
_OURS = frozenset({"type", "directory"})
_SILENT = frozenset({EventKind.COMPACTION, EventKind.SESSION, EventKind.SUCCESS})
#: Kinds that nobody may report: they are made here.
_MADE_HERE = frozenset({"summary"})
#: What an object of NDJSON may say of itself beside its metadata, as OpenCode's parts do.
_MARKS = ("synthetic", "ignored", "summary")


def new_event_id() -> str:
    """A UUIDv7 for an event that brings no id of its own."""
    return uuid7(time.time(), os.urandom(10))


def raw_event(  # noqa: PLR0913 - the fields of an event, by name only
    *,
    event_id: str,
    group: str,
    session: str,
    kind: EventKind,
    at: float,
    content: str,
    now: float,
    metadata: Mapping[str, Json] = NOTHING,
    counted: Counter[str] | None = None,
    standing: Standing = START,
) -> RawEvent | None:
    """The event as it may be stored, or None when nothing of it is worth keeping.

    Args:
        event_id: OpenCode's id of what happened, else a minted one.
        group: the project.
        session: the session, "" when there is none.
        kind: what happened.
        at: when, in seconds since the epoch; nonsense and the far future become `now`.
        content: what to remember, up to 1 MiB of UTF-8 with the metadata.
        now: the time.
        metadata: what belongs to it; made JSON-safe and bounded.
        counted: how often each redaction rule found something is added here.
        standing: in which private passage of its message it begins; see `opened.py`.

    Raises:
        InvalidRequest: a field is too large or not what it should be.
    """
    rules: Counter[str] = Counter() if counted is None else counted
    event_id = _identifier("event_id", event_id, rules)
    if not event_id:
        raise InvalidRequest("event_id: empty; send the event's id, or mint a UUIDv7")
    if not isinstance(content, str):
        raise InvalidRequest("content: not a string; send text")
    if no_news(kind, content, metadata):
        return None
    _check_size(content, metadata)
    clear, fields = filtered(kind, valid(content), json_object(metadata), standing, rules)
    budget = Budget()
    kept = redacted(clear, rules, budget)
    details = redacted_value(fields, rules, budget)
    details = details if isinstance(details, dict) else {}
    # Whether an event repeats another is the spool's to say.
    details.pop(SAME_AS, None)
    if not kept.strip() and kind not in _SILENT and not _tells(details):
        return None
    kept, details = compacted(kind, kept, details)
    named = details.get("type")
    if kind is not EventKind.NOTE or not isinstance(named, str) or not named:
        details["type"] = kind.value
    return RawEvent(
        event_id,
        _identifier("group", group, rules),
        _identifier("session", session, rules),
        kind,
        sane(at, now),
        kept,
        details,
    )


def ingested(
    item: Json,
    *,
    group: str,
    now: float,
    counted: Counter[str] | None = None,
    standing: Standing = START,
) -> RawEvent | None:
    """A raw event from one object of NDJSON; None when nothing of it is worth keeping.

    Fields: `event_id` or `id` (minted when missing), `session_id` or `session`, `kind` or `type`
    (default `note`), `at` (seconds, milliseconds or ISO 8601; default now), `content`, `metadata`.

    Raises:
        InvalidRequest: names the field and the mend.
    """
    if not isinstance(item, dict):
        raise InvalidRequest("event: not an object; send one JSON object for each event")
    metadata = item.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise InvalidRequest('metadata: not an object; write it like {"path": "src/app.py"}')
    content = item.get("content")
    if not isinstance(content, str):
        raise InvalidRequest("content: missing or not a string; send the text to remember")
    return raw_event(
        event_id=_text(item, "event_id", "id") or new_event_id(),
        group=group,
        session=_text(item, "session_id", "session"),
        kind=_kind(_text(item, "kind", "type")),
        at=moment(item.get("at"), now),
        content=content,
        metadata=(metadata or {}) | {name: True for name in _MARKS if item.get(name) is True},
        now=now,
        counted=counted,
        standing=standing,
    )


def _check_size(content: str, metadata: Mapping[str, Json]) -> None:
    size = _bytes(content)
    if size > BODY_LIMIT:
        raise InvalidRequest(f"content: {size} bytes, the limit is {BODY_LIMIT}; send less of it")
    for name, value in metadata.items():
        if name in _OURS:
            continue
        if isinstance(value, str):
            size += _bytes(value)
        elif isinstance(value, list | dict):
            size += _bytes(_dumped(name, value))
        if size > BODY_LIMIT:
            raise InvalidRequest(
                f"metadata.{name}: with it the event has {size} bytes, the limit is {BODY_LIMIT}; "
                "send less of it"
            )


def _dumped(name: str, value: Json) -> str:
    try:
        return json.dumps(value, default=str)
    except (RecursionError, ValueError) as error:
        raise InvalidRequest(f"metadata.{name}: nested too deeply; send it flatter") from error


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _tells(metadata: Mapping[str, Json]) -> bool:
    return any(metadata.get(name) for name in ("path", "command", "output", "diff"))


def _identifier(name: str, value: str, rules: Counter[str]) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: not a string")
    if len(value) > _LONGEST_ID:
        raise InvalidRequest(f"{name}: longer than {_LONGEST_ID} characters")
    known = valid(value)
    kept, found = redact(known)
    if not found:
        return known
    rules.update(found)
    # Two ids stay two; so few bits tell nobody what the secret was.
    mark = blake2b(known.encode(), digest_size=4).hexdigest()
    return f"{kept}~{mark}"


def _text(item: dict[str, Json], *names: str) -> str:
    for name in names:
        value = item.get(name)
        if isinstance(value, str):
            return value
        if value is not None:
            raise InvalidRequest(f"{name}: not a string")
    return ""


def _kind(name: str) -> EventKind:
    known = [kind for kind in EventKind if kind not in _MADE_HERE]
    try:
        return known[known.index(EventKind(name or "note"))]
    except ValueError:
        raise InvalidRequest(f"kind: {name[:40]!r} is unknown; one of {', '.join(known)}") from None
