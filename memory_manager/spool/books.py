"""The books of batches and projects: claims, outcomes, names; within a transaction that the caller holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.spool.batches import OPEN, Batch, BatchState
from memory_manager.spool.rows import batch_of, within
from memory_manager.spool.sound import valid
from memory_manager.spool.statements import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

#: Most characters of a new batch's text; a single larger row is a batch of its own.
LARGEST_BATCH = 4 * 1024 * 1024
#: Most characters of an error and of a summary; most tags of a batch, and characters of one.
_ERROR, _SUMMARY, _TAGS, _TAG = 2000, 16_384, 50, 100
#: Seconds that "seen last" may be behind.
_SEEN_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Which session's next batch is claimed, and how; see `Spool.claim`."""

    group: str
    session: str
    owner: str
    limit: int
    force: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a claim came to, at a time."""

    state: BatchState
    at: float
    error: str = ""
    retry_at: float | None = None
    episodes: int = 0
    summary: str = ""
    tags: Sequence[str] = ()
    version: int = 0


def claim(db: sqlite3.Connection, asked: Asked, now: float) -> Batch | None:
    """Starts the open batch, or without one a new range after the cursor."""
    key = (asked.group, asked.session)
    for standing in db.execute(SQL["open_batch"], key).fetchall():
        batch = batch_of(standing)
        ready = asked.force or (batch.retry_at is not None and batch.retry_at <= now)
        if batch.state is BatchState.STARTED or not ready:
            return None
        values = {"id": batch.id, "owner": asked.owner, "now": now}
        return batch_of(db.execute(SQL["reclaim"], values).fetchall()[0])
    waiting = db.execute(SQL["unclaimed"], (*key, asked.limit)).fetchall()
    if not waiting:
        return None
    rows = within(waiting, LARGEST_BATCH)
    fixed = {
        "group_id": asked.group,
        "session": asked.session,
        "first_seq": rows[0][0],
        "last_seq": rows[-1][0],
        "events": len(rows),
        "owner": asked.owner,
        "now": now,
    }
    return batch_of(db.execute(SQL["new_batch"], fixed).fetchall()[0])


def claim_again(db: sqlite3.Connection, batch_id: int, owner: str, now: float) -> Batch | None:
    """Starts one `error` batch, unless another of its session runs."""
    for row in db.execute(SQL["batch"], (batch_id,)).fetchall():
        batch = batch_of(row)
        first = db.execute(SQL["open_batch"], (batch.group, batch.session)).fetchall()
        if batch.state is BatchState.ERROR and batch_of(first[0]).state is not BatchState.STARTED:
            values = {"id": batch.id, "owner": owner, "now": now}
            return batch_of(db.execute(SQL["reclaim"], values).fetchall()[0])
    return None


def finish(db: sqlite3.Connection, batch: Batch, outcome: Outcome) -> bool:
    """Notes the outcome of this claim; False: it is not the last one, or the batch has ended."""
    terminal = outcome.state not in OPEN
    flushed = outcome.state in {BatchState.COMPLETED, BatchState.SKIPPED}
    said = _said(outcome.summary, outcome.tags, outcome.version)
    values = {
        "id": batch.id,
        "claims": batch.claims,
        "state": str(outcome.state),
        "error": valid(outcome.error[:_ERROR]),
        "retry_at": outcome.retry_at,
        "finished_at": outcome.at if terminal else None,
        "group_id": batch.group,
        "session": batch.session,
        "first_seq": batch.first_seq,
        "last_seq": batch.last_seq,
        "now": outcome.at,
        # A failure says nothing new about what an earlier flush of the range came to.
        "episodes": outcome.episodes if flushed else None,
        **(said if flushed else dict.fromkeys(said)),
    }
    if db.execute(SQL["finish"], values).rowcount != 1:
        return False
    if terminal:
        if flushed:
            db.execute(SQL["mark_flushed"], values)
        db.execute(SQL["move_cursor"], values)
        db.execute(SQL["recount_session"], values)
    return True


def note_summary(
    db: sqlite3.Connection, batch_id: int, summary: str, tags: Sequence[str], version: int
) -> bool:
    """Notes what a completed batch was about."""
    values = {"id": batch_id, **_said(summary, tags, version)}
    return db.execute(SQL["note_summary"], values).rowcount == 1


def reopen(db: sqlite3.Connection, batch_ids: Iterable[int], now: float) -> int:
    """Makes completed batches due again, their rows unflushed."""
    count = 0
    for batch_id in batch_ids:
        for row in db.execute(SQL["reopen"], {"id": batch_id, "now": now}).fetchall():
            batch = batch_of(row)
            rows = (batch.group, batch.session, batch.first_seq, batch.last_seq)
            db.execute(SQL["mark_unflushed"], rows)
            count += 1
    return count


@dataclass(frozen=True, slots=True)
class Place:
    """What people call a project and where it is; "" where that is not told."""

    group: str
    name: str
    root: str


def stands(db: sqlite3.Connection, aliases: Sequence[str], place: Place, now: float) -> bool:
    """Whether `register` would change nothing that matters."""
    for alias in aliases:
        if not db.execute(SQL["alias"], (valid(alias),)).fetchall():
            return False
    values = _place(place)
    return any(
        (not values["name"] or name == values["name"])
        and (not values["root"] or root == values["root"])
        and seen_at > now - _SEEN_S
        for name, root, seen_at in db.execute(SQL["group"], (place.group,)).fetchall()
    )


def register(db: sqlite3.Connection, aliases: Sequence[str], place: Place, now: float) -> None:
    """Ties aliases to a project, and notes what people call it."""
    db.executemany(SQL["register"], [(valid(alias), place.group) for alias in aliases])
    db.execute(SQL["register_group"], {**_place(place), "now": now})


def _place(place: Place) -> dict[str, str]:
    # A project that was asked for by its group has no other name for the asker.
    name = "" if place.name == place.group else valid(place.name)
    return {"group_id": place.group, "name": name, "root": valid(place.root)}


def _said(summary: str, tags: Sequence[str], version: int) -> dict[str, str | int]:
    kept = [valid(tag[:_TAG]) for tag in list(tags)[:_TAGS]]
    return {
        "summary": valid(summary[:_SUMMARY]),
        "tags": json.dumps(kept, ensure_ascii=False),
        "tags_version": version,
    }
