"""Between the rows of SQLite and the values of the spool. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.batches import (
    Backlog,
    Batch,
    BatchState,
    Row,
    SessionStatus,
    is_boundary,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Made once: that takes longer than a small event's metadata does.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def columns(event: RawEvent, now: float) -> tuple[str | float, ...]:
    metadata = _encode(dict(event.metadata))
    return (
        event.event_id,
        event.group,
        event.session,
        str(event.kind),
        event.at,
        now,
        int(is_boundary(event)),
        metadata,
        event.content,
    )


def within(rows: Sequence[Any], limit_size: int) -> Sequence[Any]:
    """The first rows (number, size) that fit together; the first always does."""
    size = int(rows[0][1])
    for count, (_, more) in enumerate(rows[1:], 1):
        size += more
        if size > limit_size:
            return rows[:count]
    return rows


def row_of(row: Any) -> Row:  # noqa: ANN401 - sqlite3.Row gives Any for every column
    return Row(row["seq"], event_of(row), row["received_at"], row["flushed_at"])


def event_of(row: Any) -> RawEvent:  # noqa: ANN401 - as above
    return RawEvent(
        row["event_id"],
        row["group_id"],
        row["session"],
        EventKind(row["kind"]),
        row["at"],
        row["content"],
        json.loads(row["metadata"]),
    )


def batch_of(row: Any) -> Batch:  # noqa: ANN401 - as above
    return Batch(
        id=row["id"],
        group=row["group_id"],
        session=row["session"],
        first_seq=row["first_seq"],
        last_seq=row["last_seq"],
        state=BatchState(row["state"]),
        attempts=row["attempts"],
        claims=row["claims"],
        owner=row["owner"],
        error=row["error"],
        claimed_at=row["claimed_at"],
        updated_at=row["updated_at"],
        retry_at=row["retry_at"],
        events=row["events"],
        episodes=row["episodes"],
        finished_at=row["finished_at"],
        summary=row["summary"],
        tags=tags_of(row["tags"]),
        tags_version=row["tags_version"],
    )


def tags_of(text: str) -> tuple[str, ...]:
    """The tags in a list of JSON; nothing in what is none."""
    found = json.loads(text)
    return tuple(tag for tag in found if isinstance(tag, str)) if isinstance(found, list) else ()


def backlog_of(row: Any, batch: Batch | None) -> Backlog:  # noqa: ANN401 - as above
    return Backlog(
        group=row["group_id"],
        session=row["session"],
        pending=row["pending"],
        tools=row["tools"],
        prompts=row["prompts"],
        first_at=row["first_pending_at"],
        last_at=row["last_pending_at"],
        boundary=bool(row["boundary"]),
        batch=batch,
        began=row["first_at"],
    )


def session_status_of(
    row: Any,  # noqa: ANN401 - as above
    batches: Mapping[BatchState, int],
    unsettled: Any | None,  # noqa: ANN401 - as above
) -> SessionStatus:
    return SessionStatus(
        group=row["group_id"],
        session=row["session"],
        cursor=row["cursor"],
        pending=row["pending"],
        first_pending_at=row["first_pending_at"],
        last_pending_at=row["last_pending_at"],
        compacted_at=row["compacted_at"],
        batches=batches,
        project=row["project"],
        title=row["title"],
        events=row["events"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        attempts=unsettled["attempts"] if unsettled else 0,
        error=unsettled["error"] if unsettled else "",
        retry_at=unsettled["retry_at"] if unsettled else None,
    )
