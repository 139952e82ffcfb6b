"""OpenCode's SQLite file, read while OpenCode writes to it: short reads, in pages, nothing else.

Its schema is OpenCode's own and moves: what is not as expected is `Rejected` with its name, and a
row that can't be read is left out.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Self

from memory_manager.errors import Corrupt, MemoryFault, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from memory_manager.model import Json

#: What is read: a database that lacks any of it is not one that this program knows.
_READ = {
    "project": ("id", "worktree"),
    "session": (
        *("id", "parent_id", "project_id", "directory", "title", "time_created", "time_updated"),
    ),
    "message": ("id", "session_id", "time_created", "time_updated", "data"),
    "part": ("id", "message_id", "time_updated", "data"),
}
#: Sessions that are looked at, parts of a message, and characters of one row.
_SESSIONS, _PARTS, _LARGEST = 50_000, 5000, 4 * 1024 * 1024
#: Seconds that a writer may hold the file.
_PATIENCE_S = 1.0


def location(environment: Mapping[str, str]) -> Path:
    """Where OpenCode keeps its database: `OPENCODE_DB`, else in its data folder."""
    share = environment.get("XDG_DATA_HOME", "")
    if not share.startswith("/"):
        share = f"{environment.get('HOME') or '/'}/.local/share"
    return Path(share, "opencode", environment.get("OPENCODE_DB") or "opencode.db")


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session. `worktree` is its repository's main folder; times are OpenCode's, in ms."""

    id: str
    parent: str
    directory: str
    worktree: str
    title: str
    created: int
    updated: int


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message; `gone` are the files that were there no longer after it."""

    id: str
    session: str
    created: int
    info: dict[str, Json]
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartRow:
    """A part of a message, as it was left."""

    id: str
    updated: int
    part: dict[str, Json]
    #: Characters that it takes.
    size: int


class History:
    """One connection. Methods may raise `Unavailable`, `Rejected` or `Corrupt`."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """The database at `path`.

        Raises:
            Unavailable: there is none (yet), or OpenCode holds it too long.
            Rejected: it may not be read, or has another shape.
            Corrupt: it is no database, or a damaged one.
        """
        with _translated(path):
            if not path.is_file():
                raise Unavailable(f"{path}: not there; has OpenCode been started once?")
            db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=_PATIENCE_S,
                autocommit=True,
                check_same_thread=False,
            )
        try:
            with _translated(path):
                db = _readable(db, path)
                db.execute("PRAGMA trusted_schema = OFF")
                _check(db, path)
        except BaseException:
            db.close()
            raise
        return cls(db, path)

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def sessions(self) -> list[SessionRow]:
        """Every session, newest first."""
        return [_session(row) for row in self._rows("sessions", most=_SESSIONS)]

    def family(self, root: str) -> list[SessionRow]:
        """A session and all that serve it; nothing when there is no such session."""
        return [_session(row) for row in self._rows("family", root=root, most=_SESSIONS)]

    def newest(self, sessions: Sequence[str]) -> int:
        """When something in these sessions was last written, in ms; 0 for never."""
        rows = self._rows("newest", sessions=json.dumps([*sessions]))
        return _int(rows[0][0]) if rows else 0

    def messages(
        self, sessions: Sequence[str], after: tuple[int, str], limit: int
    ) -> list[MessageRow]:
        """Messages of these sessions after one of them (when it was begun, its id)."""
        rows = self._rows(
            "messages",
            sessions=json.dumps([*sessions]),
            created=after[0],
            id=after[1],
            limit=limit,
            most=_LARGEST,
        )
        return [
            MessageRow(str(row[0]), str(row[1]), _int(row[2]), _object(row[3]), _strings(row[4]))
            for row in rows
        ]

    def parts(self, message: str) -> list[PartRow]:
        """The parts of a message that tell something, in order."""
        rows = self._rows("parts", message=message, most=_LARGEST, limit=_PARTS)
        return [
            PartRow(str(row[0]), _int(row[1]), _object(row[2]), len(str(row[2]))) for row in rows
        ]

    def _rows(self, name: str, **values: str | int) -> list[tuple[object, ...]]:
        with _translated(self._path):
            # Read to the end at once: nobody's checkpoint waits for us.
            return self._db.execute(SQL[name], values).fetchall()


def _session(row: tuple[object, ...]) -> SessionRow:
    name, parent, directory, worktree, title, created, updated = row
    words = (str(name), str(parent), str(directory), str(worktree), str(title))
    return SessionRow(*words, _int(created), _int(updated))


def _readable(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """The connection; one that ignores the log where there is none and none can be made."""
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError as error:
        alone = not path.with_name(f"{path.name}-wal").exists()
        if _primary(error) not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY} or not alone:
            raise
        db.close()
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(uri, uri=True, autocommit=True, check_same_thread=False)
    return db


def _check(db: sqlite3.Connection, path: Path) -> None:
    for table, columns in _READ.items():
        known = {row[0] for row in db.execute(SQL["columns"], {"name": table}).fetchall()}
        lacking = [column for column in columns if column not in known]
        if lacking:
            what = f"no column {table}.{lacking[0]}" if known else f"no table {table}"
            raise Rejected(f"{path}: {what}; it is not of a version of OpenCode that is known here")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Rejected(f"{path}: {error.strerror}; mend its permissions") from error
    except sqlite3.Error as error:
        raise _fault(path, error) from error


def _fault(path: Path, error: sqlite3.Error) -> MemoryFault:
    code = _primary(error)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Unavailable(f"{path}: {error}; try again")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}:
        return Corrupt(f"{path}: {error}; OpenCode's database is damaged")
    return Rejected(f"{path}: {error}; mend its permissions")


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _object(text: object) -> dict[str, Json]:
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _strings(text: object) -> tuple[str, ...]:
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return ()
    items = value if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, str))


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _statements() -> dict[str, str]:
    text = resources.files(__package__).joinpath("history.sql").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for part in text.split("-- name: ")[1:]:
        name, _, sql = part.partition("\n")
        found[name.strip()] = sql.strip()
    return found


SQL = _statements()
