"""How far each session of OpenCode's database was read, and from when on a project is read at all.

Only hints: whatever is read twice has the same ids. A damaged file is made anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS marks (
  session TEXT PRIMARY KEY,
  created INTEGER NOT NULL,
  message TEXT NOT NULL,
  stamp INTEGER NOT NULL,
  since INTEGER NOT NULL,
  at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS baselines (
  group_id TEXT PRIMARY KEY,
  at REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""
_GET = "SELECT created, message, stamp, since FROM marks WHERE session = ?"
_PUT = """
INSERT INTO marks (session, created, message, stamp, since, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (session) DO UPDATE SET created = excluded.created, message = excluded.message,
  stamp = excluded.stamp, since = excluded.since, at = excluded.at
"""
_FORGET = """
DELETE FROM marks WHERE session IN (SELECT session FROM marks ORDER BY at DESC LIMIT -1 OFFSET ?)
"""
_BASELINE = "SELECT at FROM baselines WHERE group_id = ?"
_NEW_BASELINE = """
INSERT INTO baselines (group_id, at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING at
"""
#: Sessions that are remembered.
_MOST = 100_000
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@dataclass(frozen=True, slots=True)
class Mark:
    """Everything up to this message was read (when it was begun, in ms, and its id).

    `stamp` is when the session was last written at that time; 0: it was not read to its end.
    `since` is from when on it was read; 0: from its beginning.
    """

    created: int = 0
    message: str = ""
    stamp: int = 0
    since: int = 0


class Marks:
    """The marks on disk. Blocking; any thread. May raise `Unavailable` or `Rejected`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def get(self, session: str) -> Mark | None:
        """How far this session was read."""
        row = self._row(_GET, (session,))
        return None if row is None else Mark(*row)

    def put(self, session: str, mark: Mark, at: float) -> None:
        """It was read so far."""
        self._row(_PUT, (session, mark.created, mark.message, mark.stamp, mark.since, at))

    def since(self, group: str, now: float) -> float:
        """From when on a project is read; asked for the first time, it is from now on."""
        row = self._row(_BASELINE, (group,)) or self._row(_NEW_BASELINE, (group, now))
        return float(row[0]) if row else now

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _row(self, sql: str, values: tuple[object, ...]) -> tuple[int, str, int, int] | None:
        with self._lock, self._translated():
            rows = self._opened().execute(sql, values).fetchall()
            return rows[0] if rows else None

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            try:
                self._db = self._made()
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
                self._path.unlink()
                self._db = self._made()
        return self._db

    def _made(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, autocommit=True, timeout=1.0, check_same_thread=False)
        try:
            self._path.chmod(0o600)
            db.executescript(_SCHEMA)
            db.execute(_FORGET, (_MOST,))
        except BaseException:
            db.close()
            raise
        return db

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            kind = Unavailable if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} else Rejected
            raise kind(f"{self._path}: {error}") from error
        except OSError as error:
            raise Rejected(f"{self._path}: {error.strerror}; mend its permissions") from error
