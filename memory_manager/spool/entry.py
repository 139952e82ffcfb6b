"""One event as the tail keeps it, bounded, and as a hit. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.model import EventKind, Hit, Json, RawEvent, episode_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Characters of an event that are kept and indexed: of its content or its change, of its output.
_CONTENT, _OUTPUT = 4096, 1024
#: Rough bytes of an entry without its text.
_ENTRY = 700


@dataclass(slots=True)
class Entry:
    """An event. `extra` and `bulk` (what was changed) are there until they are indexed."""

    event_id: str
    group: str
    session: str
    kind: EventKind
    at: float
    text: str
    extra: str
    bulk: str
    paths: tuple[str, ...]
    source: str
    size: int
    flushed_at: float | None = None
    words: tuple[str, ...] | None = None
    hit: Hit | None = None


def entry_of(event: RawEvent) -> Entry:
    """The event without what the tail has no use for."""
    metadata = event.metadata
    paths = [metadata.get("path"), metadata.get("old_path")]
    extra = _joined(metadata, ("command", "name", "output"), _OUTPUT)
    bulk = _joined(metadata, ("diff", "content"), _CONTENT)[:_CONTENT]
    source = metadata.get("source")
    text = event.content[:_CONTENT]
    return Entry(
        event.event_id,
        event.group,
        event.session,
        event.kind,
        event.at,
        text,
        extra,
        bulk,
        tuple(dict.fromkeys(path for path in paths if isinstance(path, str) and path)),
        source if isinstance(source, str) else "",
        _ENTRY + 2 * len(text) + len(extra) + len(bulk),
    )


def hit_of(entry: Entry) -> Hit:
    """The event as an answer, without a score; made once."""
    if entry.hit is None:
        entry.hit = _hit(entry)
    return entry.hit


def _hit(entry: Entry) -> Hit:
    return Hit(
        uuid=episode_uuid(entry.group, entry.event_id),
        kind=entry.kind.value,
        text=entry.text,
        at=entry.at,
        score=0.0,
        session=entry.session,
        event_ids=(entry.event_id,),
        paths=entry.paths,
        source=entry.source,
    )


def _joined(metadata: Mapping[str, Json], names: tuple[str, ...], most: int) -> str:
    return " ".join(value[:most] for name in names if isinstance(value := metadata.get(name), str))
