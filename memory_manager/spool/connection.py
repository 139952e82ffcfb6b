"""Opens the spool's SQLite file and speaks its errors in ours. The only importer of `sqlite3` here.

Durability is the point: write-ahead log, `synchronous=FULL`, so that a committed transaction
survives a power loss. `auto_vacuum` only takes before the first page is written, hence the order.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING

from memory_manager.errors import Corrupt, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Version of the tables in `spool.sql`, kept in the file's `user_version`.
SCHEMA = 1

#: Marks the file as a spool ("ogms"), so that nobody's database is taken for one.
APPLICATION_ID = 0x6F676D73

_PART = re.compile(r"^-- name: (\w+)\n-- .+\n", re.MULTILINE)

_TRY_LATER = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
}
_REFUSED = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_TOOBIG,
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


def statements() -> dict[str, str]:
    """The statements of `spool.sql` by name."""
    text = resources.files(__package__).joinpath("spool.sql").read_text(encoding="utf-8")
    _, *parts = _PART.split(text)
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}


SQL = statements()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises `Unavailable`, `Rejected` or `Corrupt` for what SQLite says about `path`."""
    try:
        yield
    except sqlite3.Error as error:
        # Extended codes carry the primary one in their low byte; errors of the module have none.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _TRY_LATER:
            raise Unavailable(f"spool {path}: {error}; try again") from error
        if code in _REFUSED:
            raise Rejected(f"spool {path}: {error}; free space or mend permissions") from error
        if code in _DAMAGED:
            raise Corrupt(f"spool {path}: {error}; move the file away or restore it") from error
        raise


def connect(path: Path, *, readonly: bool, timeout: float) -> sqlite3.Connection:
    """A connection to the spool at `path`, which is created (0600) unless `readonly`.

    Args:
        path: the file; its folder is created (0700) unless `readonly`.
        readonly: open for reading only; another connection must have created the file.
        timeout: longest wait for another writer, in seconds.

    Raises:
        Unavailable: there is no spool yet (`readonly`), or others hold it.
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
            if not readonly:
                _prepare(connection, path)
            _check(connection, path)
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


def _create(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise Rejected(f"spool {path}: {error.strerror}; mend the folder or its owner") from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    # Checkpoints happen when idle (`Spool.checkpoint`); this is the bound if that never comes.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    if _number(connection, "user_version"):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _number(connection, "user_version"):
            _create_tables(connection, path)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create_tables(connection: sqlite3.Connection, path: Path) -> None:
    if (
        _number(connection, "application_id")
        or connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    ):
        raise Corrupt(f"{path} is not a spool; name another file in SPOOL_URL")
    for statement in (*SQL["schema"].split(";\n"), SQL["counting"]):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    version = _number(connection, "user_version")
    if version == 0:
        raise Unavailable(f"spool {path}: not created yet")
    if _number(connection, "application_id") != APPLICATION_ID:
        raise Corrupt(f"{path} is not a spool; name another file in SPOOL_URL")
    if version != SCHEMA:
        raise Corrupt(
            f"spool {path} has schema {version}, this version knows {SCHEMA}: "
            "upgrade opencode-graph-memory, or name another file in SPOOL_URL"
        )


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
