"""What leaves the spool, in small transactions on a connection: by age, by size, or by hand.

Two kinds of rows. Tool calls, messages, notes and the like are read once, when their batch is
flushed, and go by age alone. Prompts, edits, commands, errors and ends of turns are the history
that every later flush of their session reads again (`SpoolReader.history`): facts of the session
that a flush does not find any more leave the graph, so half a history would cost facts. They go
all together, when the session has been quiet for as long and owes nothing.

Unflushed rows never go, whatever their age.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.spool.migrations import number
from memory_manager.spool.statements import SQL

if TYPE_CHECKING:
    import sqlite3

_log = logging.getLogger(__name__)

#: Seconds without an event after which a session may lose its rows to a full spool.
QUIET_S = 3600.0
#: Sessions that one transaction looks at.
_SESSIONS = 200
#: Pages of one small step that gives space back, and steps of one call: together 8 MiB.
_PAGES, _STEPS = 256, 8
#: Samples and counts of arrivals: the length of a slot, and how long they are kept, in seconds.
SLOT_S, MINUTE_S, KEPT_S = 30.0, 60.0, 90 * 86_400.0


@dataclass(frozen=True, slots=True)
class Purged:
    """What one transaction deleted."""

    rows: int = 0
    batches: int = 0
    sessions: int = 0


def aged(db: sqlite3.Connection, before: float, limit: int) -> Purged:
    """Deletes at most about `limit` rows from before a time, with the books that are left empty."""
    _counted(db)
    rows = db.execute(SQL["fading"], {"before": before, "limit": limit}).rowcount
    if rows >= limit:
        return Purged(rows)
    batches = sessions = 0
    values = {"before": before, "limit": _SESSIONS}
    for group, session in db.execute(SQL["past_sessions"], values).fetchall():
        if rows >= limit:
            break
        key = {"group_id": group, "session": session}
        rows += db.execute(SQL["rows_of_session"], {**key, "limit": limit - rows}).rowcount
        if not db.execute(SQL["has_rows"], key).fetchall()[0][0]:
            batches += db.execute(SQL["batches_of_session"], key).rowcount
            sessions += db.execute(SQL["session"], key).rowcount
    if rows < limit:
        batches += db.execute(SQL["past_batches"], {"before": before, "limit": limit}).rowcount
    return Purged(rows, batches, sessions)


def used(db: sqlite3.Connection) -> int:
    """Bytes of the pages that hold something, the write-ahead log not counted."""
    pages = number(db, "page_count") - number(db, "freelist_count")
    return pages * number(db, "page_size")


def crowded(db: sqlite3.Connection, now: float, limit: int) -> Purged:
    """Deletes at most `limit` flushed rows to make room: those that are missed least go first.

    The oldest quiet sessions; then whatever no flush reads again; as a last resort any.
    """
    _counted(db)
    values = {"before": now - QUIET_S, "limit": _SESSIONS}
    rows = 0
    for group, session in db.execute(SQL["quiet_sessions"], values).fetchall():
        key = {"group_id": group, "session": session}
        rows += db.execute(SQL["rows_of_session"], {**key, "limit": limit - rows}).rowcount
        if rows >= limit:
            break
    if not rows:
        rows = db.execute(SQL["fading"], {"before": now + 1, "limit": limit}).rowcount
    if not rows:
        rows = db.execute(SQL["flushed_earliest"], {"limit": limit}).rowcount
    return Purged(rows)


def discarded(db: sqlite3.Connection, group: str) -> Purged:
    """Deletes everything of one project, flushed or not."""
    rows = db.execute(SQL["discard_rows"], (group,)).rowcount
    batches = db.execute(SQL["discard_batches"], (group,)).rowcount
    sessions = db.execute(SQL["discard_sessions"], (group,)).rowcount
    db.execute(SQL["discard_aliases"], (group,))
    db.execute(SQL["discard_group"], (group,))
    return Purged(rows, batches, sessions)


def reclaim(db: sqlite3.Connection) -> None:
    """Gives free pages back to the disk, in small steps that others can write between.

    What is left over is given back by the next call.
    """
    for _ in range(_STEPS):
        if not number(db, "freelist_count"):
            return
        db.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()


def settle(db: sqlite3.Connection) -> bool:
    """Makes a file able to shrink that was made without; False: it is able.

    Rewrites the whole file (it needs its size again in free space), outside a transaction; other
    writers wait meanwhile.
    """
    if number(db, "auto_vacuum"):
        return False
    began = time.monotonic()
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("VACUUM")
    spent = time.monotonic() - began
    _log.info("spool: rewritten in %.1f s, so that it can shrink from now on", spent)
    return True


def checkpointed(db: sqlite3.Connection) -> bool:
    """Moves the write-ahead log into the database, if nobody has to be waited for."""
    timeout = number(db, "busy_timeout")
    db.execute("PRAGMA busy_timeout = 0")
    try:
        return bool(db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    finally:
        db.execute(f"PRAGMA busy_timeout = {timeout:d}")


def sampled(db: sqlite3.Connection, now: float) -> None:
    """Notes how much waits and what came in; lets go of what was noted too long ago."""
    slot = int(now // SLOT_S)
    db.execute(SQL["sample"], {"slot": slot, "now": now, "bytes": used(db)})
    _counted(db)
    db.execute(SQL["old_samples"], (int((now - KEPT_S) // SLOT_S),))
    db.execute(SQL["old_arrivals"], (int((now - KEPT_S) // MINUTE_S),))


def _counted(db: sqlite3.Connection) -> None:
    """Counts what came in since the last count: before any of it can go."""
    db.execute(SQL["count_arrivals"])
    db.execute(SQL["mark_arrivals"])


def told(purged: Purged, why: str) -> None:
    """One line, if anything went. For who looks closely: a round of retention is many of these."""
    if purged != Purged():
        _log.debug(
            "spool: purged %d rows, %d batches, %d sessions: %s",
            purged.rows,
            purged.batches,
            purged.sessions,
            why,
        )
