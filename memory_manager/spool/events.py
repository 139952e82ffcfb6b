"""From what somebody reported to a raw event that may be stored: valid, redacted, compact.

Pure but for `new_event_id`. Every path to the disk goes through `raw_event`.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING

from memory_manager.contract import BODY_LIMIT, uuid7
from memory_manager.errors import InvalidRequest
from memory_manager.model import NOTHING, EventKind, Json, RawEvent
from memory_manager.spool.compact import compact, counts
from memory_manager.spool.redact import redact, redact_value
from memory_manager.spool.sound import json_object, moment, sane, valid

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

#: Longest id of an event, a session or a project, in characters.
_LONGEST_ID = 1024

#: Metadata that we add: it must not make a full body too long.
_OURS = frozenset({"type", "directory"})
_OWN_TOOL = re.compile(r"memory(?:_compact)?$|memory_|opencode[-_]mem", re.IGNORECASE)
#: Agents of OpenCode that help it along: their requests are nobody's question.
HELPERS = frozenset({"title", "compaction", "summary"})
_READERS = frozenset({"read", "view"})
_TALK = frozenset({EventKind.PROMPT, EventKind.MESSAGE})
_SILENT = frozenset({EventKind.COMPACTION, EventKind.SESSION, EventKind.SUCCESS})

_REMINDER = re.compile(r"<(/?)system-reminder(?:\s[^<>]{0,64})?>", re.IGNORECASE)
_INJECTED = re.compile(r"\[(/?)Memory Context\]")
_LABEL = "\nReference data"


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

    Raises:
        InvalidRequest: a field is too large or not what it should be.
    """
    event_id = _identifier("event_id", event_id)
    if not event_id:
        raise InvalidRequest("event_id: empty; send the event's id, or mint a UUIDv7")
    if not isinstance(content, str):
        raise InvalidRequest("content: not a string; send text")
    if _ignored(kind, metadata):
        return None
    _check_size(content, metadata)
    safe = json_object(metadata)
    text = _without(_without(valid(content), _REMINDER), _INJECTED, _LABEL)
    kept, in_text = redact(text)
    details, in_details = redact_value(safe)
    if counted is not None:
        counted += in_text + in_details
    if not kept.strip() and kind not in _SILENT and not _tells(safe):
        return None
    details = details if isinstance(details, dict) else {}
    kept, details = _compacted(kind, kept, details)
    named = details.get("type")
    if kind is not EventKind.NOTE or not isinstance(named, str) or not named:
        details["type"] = kind.value
    return RawEvent(
        event_id,
        _identifier("group", group),
        _identifier("session", session),
        kind,
        sane(at, now),
        kept,
        details,
    )


def ingested(
    item: Json, *, group: str, now: float, counted: Counter[str] | None = None
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
        metadata=metadata or {},
        now=now,
        counted=counted,
    )


def _ignored(kind: EventKind, metadata: Mapping[str, Json]) -> bool:
    """Our own tools, synthetic parts, and the talk of helper requests."""
    tool = metadata.get("tool")
    if isinstance(tool, str) and _OWN_TOOL.match(tool):
        return True
    if metadata.get("synthetic") is True:
        return True
    return kind in _TALK and (metadata.get("summary") is True or metadata.get("agent") in HELPERS)


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


def _without(text: str, tags: re.Pattern[str], label: str = "") -> str:
    """`text` without what stands between the tags; an open end counts if `label` follows it."""
    pieces: list[str] = []
    end = 0
    opened: re.Match[str] | None = None
    for tag in tags.finditer(text):
        if not tag[1]:
            opened = opened or tag
        elif opened:
            pieces.append(text[end : opened.start()])
            end, opened = tag.end(), None
    if opened and text.startswith(label, opened.end()):
        pieces.append(text[end : opened.start()])
        end = len(text)
    return text if not end else "".join([*pieces, text[end:]])


def _tells(metadata: Mapping[str, Json]) -> bool:
    return any(metadata.get(name) for name in ("path", "command", "output", "diff"))


def _compacted(
    kind: EventKind, content: str, metadata: dict[str, Json]
) -> tuple[str, dict[str, Json]]:
    output, tool = metadata.get("output"), metadata.get("tool")
    if isinstance(output, str):
        if tool in _READERS:
            # What a file holds stands in the file.
            del metadata["output"]
            metadata |= counts(output)
        else:
            metadata["output"] = compact(output)
    for name, value in metadata.items():
        if isinstance(value, str) and name != "output":
            metadata[name] = compact(value, 16_384)
    if kind is EventKind.NOTE or kind in _TALK:
        return content, metadata
    if tool in _READERS and "\n" in content.strip():
        metadata = counts(content) | metadata
        content = f"Read: {metadata.get('path') or content.strip().partition(chr(10))[0][:200]}"
    return compact(content, 16_384), metadata


def _identifier(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: not a string")
    if len(value) > _LONGEST_ID:
        raise InvalidRequest(f"{name}: longer than {_LONGEST_ID} characters")
    return valid(value)


def _text(item: dict[str, Json], *names: str) -> str:
    for name in names:
        value = item.get(name)
        if isinstance(value, str):
            return value
        if value is not None:
            raise InvalidRequest(f"{name}: not a string")
    return ""


def _kind(name: str) -> EventKind:
    try:
        return EventKind(name or "note")
    except ValueError:
        known = ", ".join(EventKind)
        raise InvalidRequest(f"kind: {name[:40]!r} is unknown; one of {known}") from None
