"""What an operator asks of the tables, on a connection. Aggregates only: never a scan of raw events."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from memory_manager.spool.batches import (
    BatchState,
    ProjectEntry,
    SessionEntry,
    SessionStatus,
    Status,
)
from memory_manager.spool.report import (
    Ended,
    Measured,
    Report,
    Sample,
    period,
    reported,
    tokens_used,
)
from memory_manager.spool.rows import session_status_of, tags_of
from memory_manager.spool.statements import SQL

if TYPE_CHECKING:
    import sqlite3

_UNSETTLED = frozenset({BatchState.STARTED, BatchState.ERROR, BatchState.GAVE_UP})
#: Tags of one session that are told.
_TAGS = 20


def status(db: sqlite3.Connection, now: float, limit: int, session: str | None) -> Status:
    totals = db.execute(SQL["totals"]).fetchall()[0]
    states = Counter({BatchState(state): n for state, n in db.execute(SQL["batch_states"])})
    asked = totals["sessions"]
    if session is not None:
        asked = db.execute(SQL["sessions_named"], (session,)).fetchall()[0][0]
    values = {"session": session, "limit": limit}
    rows = db.execute(SQL["foremost_sessions"], values).fetchall() if limit > 0 else []
    oldest = totals["first_pending_at"]
    return Status(
        pending=totals["pending"],
        oldest_age=0.0 if oldest is None else max(0.0, now - oldest),
        batches=states,
        sessions=tuple(_session_status(db, row) for row in rows),
        session_count=totals["sessions"],
        more=asked - len(rows),
    )


def _session_status(db: sqlite3.Connection, row: Any) -> SessionStatus:  # noqa: ANN401 - sqlite3.Row
    key = (row["group_id"], row["session"])
    states = Counter({BatchState(state): n for state, n in db.execute(SQL["session_states"], key)})
    unsettled = None
    if not _UNSETTLED.isdisjoint(states):
        unsettled = next(iter(db.execute(SQL["unsettled_batch"], key).fetchall()), None)
    return session_status_of(row, states, unsettled)


def sessions(
    db: sqlite3.Connection,
    group: str | None,
    before: tuple[float, str, str] | None,
    limit: int,
    text: str | None,
) -> list[SessionEntry]:
    at, after_group, after_session = before or (None, "", "")
    values = {
        "group_id": group,
        "at": at,
        "after_group": after_group,
        "after_session": after_session,
        "text": text.casefold() if text else None,
        "limit": limit,
    }
    return [_session(db, row) for row in db.execute(SQL["sessions"], values).fetchall()]


def _session(db: sqlite3.Connection, row: Any) -> SessionEntry:  # noqa: ANN401 - sqlite3.Row
    key = (row["group_id"], row["session"])
    summaries = db.execute(SQL["session_summary"], key).fetchall()
    tags: dict[str, None] = {}
    for (found,) in db.execute(SQL["session_tags"], key):
        tags.update(dict.fromkeys(tags_of(found)))
    return SessionEntry(
        group=row["group_id"],
        session=row["session"],
        project=row["project"],
        title=row["title"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        events=row["events"],
        pending=row["pending"],
        summary=summaries[0][0] if summaries else "",
        tags=tuple(tags)[:_TAGS],
    )


def projects(db: sqlite3.Connection) -> list[ProjectEntry]:
    return [
        ProjectEntry(
            group=row["group_id"],
            name=row["name"],
            root=row["root"],
            sessions=row["sessions"],
            events=row["events"],
            pending=row["pending"],
            last_at=row["last_at"],
        )
        for row in db.execute(SQL["projects"])
    ]


def report(db: sqlite3.Connection, since: float, until: float, buckets: int) -> Report:
    period(since, until, buckets)
    values = {"since": since, "until": until}
    minutes = {"since": int(since // 60), "until": -int(-until // 60) - 1}
    ended = [
        Ended(at, BatchState(state), took, episodes, tags, summary)
        for name in ("ended", "failed")
        for at, state, took, episodes, tags, summary in db.execute(SQL[name], values)
    ]
    oldest = db.execute(SQL["oldest_batch"]).fetchone()
    measured = Measured(
        arrivals=[(at, count) for at, count in db.execute(SQL["arrived"], minutes)],
        ended=ended,
        samples=[Sample(*row) for row in db.execute(SQL["samples"], values)],
        turns=[
            (at, tokens_used(json.loads(told))) for at, told in db.execute(SQL["turns"], values)
        ],
        oldest=None if oldest is None else oldest[0],
    )
    return reported(since, until, buckets, measured)
