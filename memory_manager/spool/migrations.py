"""Brings a spool's file to the schema of this version, step by step.

A step is one transaction: killed in the middle, the file is as it was before the step or as it is
after it, and whoever opens it next goes on. Another process may keep the file open meanwhile: it
waits for the step like for any other writer, and statements of an earlier schema go on working,
because a step adds and does not take away.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.errors import Corrupt, Unavailable
from memory_manager.spool.statements import SQL, each

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_log = logging.getLogger(__name__)

#: Marks the file as a spool ("ogms"), so that nobody's database is taken for one.
APPLICATION_ID = 0x6F676D73


@dataclass(frozen=True, slots=True)
class Step:
    """From the version before to `version`, which the file's `user_version` tells."""

    version: int
    name: str
    statements: tuple[str, ...]


STEPS = (
    Step(1, "raw events and batches", tuple(each(SQL["step_1"]))),
    Step(2, "what an operator asks, and retention", tuple(each(SQL["step_2"]))),
)

#: Version of the tables that this version knows.
SCHEMA = STEPS[-1].version


def check(db: sqlite3.Connection, path: Path, *, writable: bool) -> int:
    """The file's version, 0 for an empty one that may be filled. Changes nothing.

    Raises:
        Corrupt: not a spool, or one of a newer version.
        Unavailable: there is nothing in it yet, or it has to be brought to this version first.
    """
    version = number(db, "user_version")
    if not version and writable and not number(db, "application_id"):
        if not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall():
            return 0
    elif not version:
        raise Unavailable(f"spool {path}: not created yet")
    if number(db, "application_id") != APPLICATION_ID:
        raise Corrupt(f"{path} is not a spool; name another file in SPOOL_URL")
    if version > SCHEMA:
        raise Corrupt(
            f"spool {path} has schema {version}, this version knows {SCHEMA}: "
            "upgrade opencode-graph-memory, or name another file in SPOOL_URL"
        )
    if version < SCHEMA and not writable:
        raise Unavailable(
            f"spool {path} has schema {version}, this version needs {SCHEMA}: "
            "start the bridge, which brings it up to date"
        )
    return version


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Takes every step that the file has not taken yet.

    Raises:
        Corrupt: not a spool, or one of a newer version.
    """
    while check(db, path, writable=True) < SCHEMA:
        began = time.monotonic()
        # Waits for other writers, one of which may be taking this very step.
        db.execute("BEGIN IMMEDIATE")
        try:
            version = check(db, path, writable=True)
            step = next((step for step in STEPS if step.version > version), None)
            if step is not None:
                _take(db, step)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        if step is not None and version:
            spent = time.monotonic() - began
            _log.info("spool %s: schema %d (%s), in %.1f s", path, step.version, step.name, spent)


def _take(db: sqlite3.Connection, step: Step) -> None:
    for statement in step.statements:
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {step.version}")


def number(db: sqlite3.Connection, pragma: str) -> int:
    """What a pragma says."""
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])
