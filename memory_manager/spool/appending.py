"""Puts events into the tables: each id once, repeats as stubs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_manager.spool.batches import Receipt
from memory_manager.spool.folding import FOLDED, repeated_by, repeats, stub
from memory_manager.spool.rows import columns, event_of
from memory_manager.spool.statements import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from memory_manager.model import RawEvent

#: By project and session: what its newest row says, None when that can't be repeated.
type Newest = dict[tuple[str, str], RawEvent | None]


def store(db: sqlite3.Connection, lists: Sequence[Sequence[RawEvent]], now: float) -> list[Receipt]:
    """Stores several callers' events; the caller holds the transaction."""
    newest: Newest = {}
    return [_stored(db, events, now, newest) for events in lists]


def store_lone(
    db: sqlite3.Connection, lists: Sequence[Sequence[RawEvent]], now: float
) -> list[Receipt] | None:
    """Stores the only event of all lists by a single statement, which is a transaction too.

    None: it repeats the event before it, so that it takes a transaction to store it. (If another
    process appends between the look and the statement, a repeat is stored whole: a little
    longer, and as right.)
    """
    if any(_may_repeat(db, event) for events in lists for event in events if event.kind in FOLDED):
        return None
    return [_unfolded(db, events, now) for events in lists]


def _may_repeat(db: sqlite3.Connection, event: RawEvent) -> bool:
    newest = _newest(db, event) if _alike(db, event) else None
    return newest is not None and repeats(event, newest)


def _alike(db: sqlite3.Connection, event: RawEvent) -> bool:
    """Costs next to nothing, and says no to nearly all that repeats nothing."""
    asked = (event.group, event.session, event.kind, event.event_id, event.content)
    return bool(db.execute(SQL["alike"], asked).fetchall())


def _unfolded(db: sqlite3.Connection, events: Sequence[RawEvent], now: float) -> Receipt:
    new: dict[str, int] = {}
    for event in events:
        cursor = db.execute(SQL["append"], columns(event, now))
        if cursor.rowcount == 1 and cursor.lastrowid is not None:
            new[event.event_id] = cursor.lastrowid
    return Receipt(len(events), new)


def _stored(
    db: sqlite3.Connection, events: Sequence[RawEvent], now: float, newest: Newest
) -> Receipt:
    new: dict[str, int] = {}
    folded: set[str] = set()
    for event in events:
        first = _repeated(db, event, newest)
        row = event if first is None else stub(event, first)
        cursor = db.execute(SQL["append"], columns(row, now))
        if cursor.rowcount != 1 or cursor.lastrowid is None:
            continue
        new[event.event_id] = cursor.lastrowid
        if first is None:
            newest[event.group, event.session] = event
        else:
            folded.add(event.event_id)
    return Receipt(len(events), new, frozenset(folded))


def _repeated(db: sqlite3.Connection, event: RawEvent, newest: Newest) -> RawEvent | None:
    """The event that this one repeats."""
    if event.kind not in FOLDED:
        return None
    key = (event.group, event.session)
    if key not in newest:
        if not _alike(db, event):
            return None
        newest[key] = _newest(db, event)
    first = newest[key]
    return first if first is not None and repeats(event, first) else None


def _newest(db: sqlite3.Connection, event: RawEvent) -> RawEvent | None:
    """What the newest row of the event's session says, if the event may repeat that."""
    rows = db.execute(SQL["last_row"], (event.group, event.session)).fetchall()
    return _said(db, rows[0]) if rows and rows[0]["kind"] in FOLDED else None


def _said(db: sqlite3.Connection, row: sqlite3.Row) -> RawEvent | None:
    """What a row says, or the row that it repeats, if that is still there."""
    last = event_of(row)
    first = repeated_by(last.metadata)
    if not first or last.content:
        return last
    known = db.execute(SQL["known_row"], (last.group, first)).fetchall()
    return event_of(known[0]) if known else None
