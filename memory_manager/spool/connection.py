"""Opens the spool's SQLite file and speaks its errors in ours.

Durability is the point: write-ahead log, and `synchronous=FULL`, so that a committed transaction
survives a power loss and not only a crash (`NORMAL`, the usual choice beside a write-ahead log,
would lose the last acknowledged events then). It costs one wait for the disk a transaction, which
is why `thread.py` commits what comes from many callers in groups. `auto_vacuum` only takes before
the first page is written, hence the order.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from memory_manager.errors import Corrupt, MemoryFault, Rejected, Unavailable
from memory_manager.spool.migrations import SCHEMA, check, migrate
from memory_manager.spool.statements import SQL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SCHEMA", "SQL", "connect", "translated"]

_TRY_LATER = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
#: Extended codes first, then primary ones, each with its mend.
_REFUSED = {
    sqlite3.SQLITE_FULL: "no space left: free some, or lower OPENCODE_MEM_MAX_STORAGE_MB",
    # The log's index could not be made larger.
    sqlite3.SQLITE_IOERR_SHMSIZE: "no space left: free some, or lower OPENCODE_MEM_MAX_STORAGE_MB",
    sqlite3.SQLITE_IOERR: "the disk fails: free space, look at its health, or move the file",
    sqlite3.SQLITE_READONLY: "not writable: mend its permissions or remount the disk",
    sqlite3.SQLITE_PERM: "not allowed: mend its permissions",
    sqlite3.SQLITE_CANTOPEN: "can't be opened: mend its folder and permissions, or free space",
    sqlite3.SQLITE_AUTH: "not allowed: mend its permissions",
    sqlite3.SQLITE_TOOBIG: "too large: send less at once",
}
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises `Unavailable`, `Rejected` or `Corrupt` for what SQLite says about `path`.

    A full or failing disk is `Rejected`: trying again at once is useless, a person has to make
    room. The connection stays usable and goes on by itself when there is some again.
    """
    try:
        yield
    except sqlite3.Error as error:
        fault = _fault(path, error)
        if fault is None:
            raise
        raise fault from error


def _fault(path: Path, error: sqlite3.Error) -> MemoryFault | None:
    # Extended codes carry the primary one in their low byte; errors of the module have none.
    code = getattr(error, "sqlite_errorcode", 0)
    primary = code & 0xFF
    if primary in _TRY_LATER:
        return Unavailable(f"spool {path}: {error}; try again")
    if mend := _REFUSED.get(code) or _REFUSED.get(primary):
        return Rejected(f"spool {path}: {error}; {mend}")
    if primary in _DAMAGED:
        return Corrupt(f"spool {path}: {error}; move the file away or restore it")
    return None


def connect(path: Path, *, readonly: bool, timeout: float) -> sqlite3.Connection:
    """A connection to the spool at `path`, which is created (0600) unless `readonly`.

    A file of an earlier version is brought up to date, unless `readonly`.

    Args:
        path: the file; its folder is created (0700) unless `readonly`.
        readonly: open for reading only; another connection must have created the file.
        timeout: longest wait for another writer, in seconds.

    Raises:
        Unavailable: there is no spool of this version yet (`readonly`), or others hold it.
        Rejected: no permission, no space.
        Corrupt: not a spool, or one of an unknown version.
    """
    if readonly:
        if not path.exists():
            raise Unavailable(f"spool {path}: not created yet")
    else:
        _create(path)
    with translated(path):
        # Statements are cached, which takes a seventh off an append. CPython's cache has given
        # wrong results where a cursor was left half read (issue 118172): read each to its end.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rw'}",
            uri=True,
            timeout=timeout,
            autocommit=True,
        )
    try:
        with translated(path):
            # First of all: nothing of somebody else's is touched.
            check(connection, path, writable=not readonly)
            if not readonly:
                _prepare(connection)
                migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    connection.create_function("holds", 2, _holds, deterministic=True)
    return connection


def _holds(text: str, wanted: str) -> bool:
    # SQLite's own LIKE folds the case of ASCII alone.
    return wanted in text.casefold()


def _create(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise Rejected(f"spool {path}: {error.strerror}; mend the folder or its owner") from error


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    # Checkpoints happen when idle (`Spool.checkpoint`); this is the bound if that never comes.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
