"""What was injected into which message. A row is committed before its reply leaves.

Asked again for the same message, the ledger gives the same bytes, whatever memory holds by then:
the prompt prefix that the model's provider has cached stays as it was. A message that was given
nothing keeps nothing.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.errors import Corrupt, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_SCHEMA = """
PRAGMA journal_mode = WAL;
-- A killed process loses nothing; only a power cut can take the last rows, and with them at worst
-- one provider's cached prefix. A wait for the disk at each question would cost more than that.
PRAGMA synchronous = NORMAL;
-- A checkpoint waits for the disk: `checkpoint` does it, elsewhere than between question and answer.
PRAGMA wal_autocheckpoint = 0;
CREATE TABLE IF NOT EXISTS injections (
    session TEXT NOT NULL,
    message TEXT NOT NULL,
    group_id TEXT NOT NULL,
    at REAL NOT NULL,
    outcome TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    block TEXT NOT NULL,
    PRIMARY KEY (session, message)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS injections_at ON injections (at);
CREATE INDEX IF NOT EXISTS injections_given_group
  ON injections (group_id, at, session, message) WHERE block <> '';
CREATE INDEX IF NOT EXISTS injections_given_session
  ON injections (session, at, message) WHERE block <> '';
PRAGMA user_version = 1;
"""
_INSERT = """
INSERT INTO injections (session, message, group_id, at, outcome, tokens, block)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_WITHHOLD = """
INSERT INTO injections (session, message, group_id, at, outcome, tokens, block)
VALUES (?, ?, ?, ?, 'empty', 0, '')
ON CONFLICT DO UPDATE SET outcome = 'empty', tokens = 0, block = ''
WHERE group_id = excluded.group_id
"""
_SELECT = """
SELECT session, message, group_id, at, outcome, tokens, block FROM injections
WHERE session = ? AND message = ?
"""
# One statement for each way of asking, so that each is answered by its own index.
_NEWEST = """
SELECT session, message, group_id, at, outcome, tokens, block FROM injections
WHERE block <> ''{} AND (at, session, message) < (:at, :before, :message)
ORDER BY at DESC, session DESC, message DESC LIMIT :limit
"""
_OF_GROUP, _OF_SESSION = " AND group_id = :group_id", " AND session = :session"
# The plus keeps the group's index out of it: a session has fewer rows than its project.
_OF_BOTH = " AND session = :session AND +group_id = :group_id"
_PURGE = """
DELETE FROM injections WHERE (session, message) IN (
  SELECT session, message FROM injections WHERE at < ? ORDER BY at LIMIT ?)
"""


@dataclass(frozen=True, slots=True)
class Injection:
    """One row: what this message was given (`block` may be empty)."""

    session: str
    message: str
    group: str
    at: float
    outcome: str
    tokens: int
    block: str


class Ledger:
    """The injection ledger on SQLite, with its newest rows in memory. One thread at a time."""

    def __init__(
        self, path: Path, *, now: Callable[[], float] = time.time, remembered: int = 10_000
    ) -> None:
        self._path = path
        self._now = now
        self._recent: OrderedDict[tuple[str, str], Injection] = OrderedDict()
        self._remembered = remembered
        try:
            self._db = sqlite3.connect(path, autocommit=True, timeout=0.1, check_same_thread=False)
            path.chmod(0o600)
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > 1:
                self._db.close()
                raise Corrupt(f"{path} is of version {version}; this program knows version 1")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise _translated(error) from error

    def get(self, session: str, message: str) -> Injection | None:
        """The row of this message, or None when it was never answered."""
        key = (session, message)
        found = self._recent.get(key)
        if found is not None:
            self._recent.move_to_end(key)
            return found
        try:
            row = self._db.execute(_SELECT, key).fetchone()
        except sqlite3.DatabaseError as error:
            raise _translated(error) from error
        if row is None:
            return None
        return self._remember(Injection(*row))

    def put(self, injection: Injection) -> Injection:
        """Commit the row and return what stands: an earlier row for the same message wins."""
        try:
            cursor = self._db.execute(
                _INSERT,
                (
                    injection.session,
                    injection.message,
                    injection.group,
                    injection.at,
                    injection.outcome,
                    injection.tokens,
                    injection.block,
                ),
            )
        except sqlite3.DatabaseError as error:
            raise _translated(error) from error
        if cursor.rowcount == 0:
            standing = self.get(injection.session, injection.message)
            if standing is not None:
                return standing
        return self._remember(injection)

    def withhold(self, session: str, messages: Sequence[str], group: str) -> None:
        """These messages went without a block, whatever was meant for them: they keep nothing."""
        at = self._now()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(_WITHHOLD, [(session, name, group, at) for name in messages])
            finally:
                self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise _translated(error) from error
        for message in messages:
            self._recent.pop((session, message), None)

    def replay(self, session: str, messages: Sequence[str], group: str) -> dict[str, str]:
        """The non-empty blocks that these messages were given in this project, by message id."""
        rows = ((message, self.get(session, message)) for message in messages)
        return {
            message: row.block
            for message, row in rows
            if row is not None and row.block and row.group == group
        }

    def newest(
        self,
        *,
        group: str | None = None,
        session: str | None = None,
        before: tuple[float, str, str] = (math.inf, "", ""),
        limit: int = 50,
    ) -> list[Injection]:
        """What messages were given, newest first; what was given nothing is left out.

        Over a connection of its own that only reads: from any thread, beside anything.

        Args:
            group: only in this project.
            session: only in this session.
            before: (at, session, message) of the last one that is known already.
            limit: at most so many.
        """
        at, last, message = before
        values = {
            "group_id": group,
            "session": session,
            "at": at,
            "before": last,
            "message": message,
            "limit": limit,
        }
        if session is None:
            asked = "" if group is None else _OF_GROUP
        else:
            asked = _OF_SESSION if group is None else _OF_BOTH
        try:
            address = f"{self._path.resolve().as_uri()}?mode=ro"
            db = sqlite3.connect(address, uri=True, autocommit=True, timeout=0.1)
            try:
                rows = db.execute(_NEWEST.format(asked), values).fetchall()
            finally:
                db.close()
        except sqlite3.DatabaseError as error:
            raise _translated(error) from error
        return [Injection(*row) for row in rows]

    def purge(self, older_than: float, limit: int = 500) -> int:
        """Forget at most `limit` rows from before that time; returns how many went."""
        self._recent.clear()
        try:
            return self._db.execute(_PURGE, (older_than, limit)).rowcount
        except sqlite3.DatabaseError as error:
            raise _translated(error) from error

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database; safe from any thread, beside anything."""
        try:
            db = sqlite3.connect(self._path, autocommit=True, timeout=0.1)
            try:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            finally:
                db.close()
        except sqlite3.DatabaseError as error:
            raise _translated(error) from error

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _remember(self, injection: Injection) -> Injection:
        self._recent[injection.session, injection.message] = injection
        while len(self._recent) > self._remembered:
            self._recent.popitem(last=False)
        return injection


def _translated(error: sqlite3.DatabaseError) -> Unavailable | Rejected | Corrupt:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Unavailable(f"the injection ledger is locked: {error}")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return Corrupt(f"the injection ledger is damaged: {error}")
    return Rejected(f"the injection ledger can't be written: {error}")
