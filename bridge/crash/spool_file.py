"""The spool's file as it lies on disk, read with SQL of its own: what the product says is not asked.

Read-only, beside a bridge that may be dead or in the middle of a transaction.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memory_manager.model import EventKind, RawEvent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds that a reader waits for a writer (the first opener after a crash recovers the log).
_BUSY_S = 10.0

_EVENTS = (
    "SELECT seq, event_id, group_id, session, kind, at, content, metadata, flushed_at"
    " FROM raw_events ORDER BY seq"
)
_BATCHES = (
    "SELECT id, group_id, session, first_seq, last_seq, state, attempts, claims, error"
    " FROM batches ORDER BY id"
)
_SESSIONS = "SELECT group_id, session, cursor, pending FROM sessions"
_SUMMARIES = (
    "SELECT b.group_id, 'summary:' || b.session || ':' || r.event_id, b.summary"
    " FROM batches AS b JOIN raw_events AS r ON r.seq = b.first_seq"
    " WHERE b.state = 'completed' AND b.summary <> ''"
)
_PRAGMAS = ("user_version", "application_id", "auto_vacuum")
_BOOKS = ("sessions", "batches", "projects", "groups", "arrivals", "marks")
_RUNNING = "SELECT id, claims, group_id FROM batches WHERE state = 'started'"


@dataclass(frozen=True, slots=True)
class Stored:
    """A raw event and its place."""

    seq: int
    event: RawEvent
    flushed: bool


@dataclass(frozen=True, slots=True)
class Range:
    """A batch."""

    id: int
    group: str
    session: str
    first: int
    last: int
    state: str
    attempts: int
    claims: int
    error: str

    @property
    def fixed(self) -> tuple[str, str, int, int]:
        """What never changes."""
        return self.group, self.session, self.first, self.last


@dataclass(frozen=True, slots=True)
class View:
    """All of it at one moment. `sessions`: cursor and count of what waits, by group and name."""

    events: list[Stored] = field(default_factory=list)
    batches: list[Range] = field(default_factory=list)
    sessions: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    damage: str = ""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S, autocommit=True
    )
    try:
        yield db
    finally:
        db.close()


def running(db: sqlite3.Connection) -> dict[tuple[int, int], str]:
    """Claims under way, by batch and claim: their groups."""
    return {(id_, claims): group for id_, claims, group in db.execute(_RUNNING).fetchall()}


def view(path: Path) -> View:
    """Everything, in one read transaction, with SQLite's own opinion of the file."""
    with reading(path) as db:
        db.execute("BEGIN")
        said = [row[0] for row in db.execute("PRAGMA integrity_check").fetchall()]
        return View(
            [_stored(row) for row in db.execute(_EVENTS).fetchall()],
            [Range(*row) for row in db.execute(_BATCHES).fetchall()],
            {(row[0], row[1]): (row[2], row[3]) for row in db.execute(_SESSIONS).fetchall()},
            "" if said == ["ok"] else "; ".join(said[:3]),
        )


def summaries(path: Path) -> dict[tuple[str, str], str]:
    """What the batches came to, by group and the id that the summary's episode has to have."""
    with reading(path) as db:
        rows = db.execute(_SUMMARIES).fetchall()
    return {(group, event_id): text for group, event_id, text in rows}


def tables(path: Path) -> list[tuple[object, ...]]:
    """Everything but the events, row by row: what migrations and purges keep books in."""
    with reading(path) as db:
        made = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
        found: list[tuple[object, ...]] = [tuple(row) for row in db.execute(made).fetchall()]
        found += [(name, db.execute(f"PRAGMA {name}").fetchone()[0]) for name in _PRAGMAS]
        for name in _BOOKS:
            rows = db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()  # noqa: S608 - ours
            found += [(name, *row) for row in rows]
    return found


def _stored(row: tuple[int, str, str, str, str, float, str, str, float | None]) -> Stored:
    seq, event_id, group, session, kind, at, content, metadata, flushed_at = row
    event = RawEvent(event_id, group, session, EventKind(kind), at, content, json.loads(metadata))
    return Stored(seq, event, flushed_at is not None)
