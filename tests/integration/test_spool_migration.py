"""A spool's file of an earlier version is brought up to date: whole, once, whoever else has it open."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memory_manager.errors import Corrupt, Unavailable
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.batches import BatchState
from memory_manager.spool.migrations import SCHEMA, STEPS
from memory_manager.spool.store import Spool

SAMPLE = Path(__file__).parents[1] / "samples" / "spool_v1.sql"
#: How version 1 appends.
APPEND_V1 = """
INSERT INTO raw_events
  (event_id, group_id, session, kind, at, received_at, boundary, metadata, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_id, event_id) DO NOTHING
"""
CLAIM_V1 = """
INSERT INTO batches (group_id, session, first_seq, last_seq, state, attempts, claims, owner, error,
                     claimed_at, updated_at)
VALUES (?, ?, ?, ?, 'started', 1, 1, '', '', 1, 1) RETURNING id
"""


@pytest.fixture
def old(tmp_path):
    """A file of version 1."""
    path = tmp_path / "spool.sqlite3"
    with contextlib.closing(sqlite3.connect(path, autocommit=True)) as db:
        db.executescript(SAMPLE.read_text())
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path


@contextlib.contextmanager
def opened(path, **options):
    with contextlib.closing(Spool.open(path, now=lambda: 1000.0, **options)) as spool:
        yield spool


def table(path, name):
    """All rows of a table, without the columns that version 1 has not."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
        kept = [column for column in columns if column not in ADDED.get(name, ())]
        return db.execute(f"SELECT {', '.join(kept)} FROM {name} ORDER BY 1, 2").fetchall()  # noqa: S608 - our own names


ADDED = {
    "sessions": {"events", "first_at", "last_at", "title"},
    "batches": {"events", "episodes", "finished_at", "summary", "tags", "tags_version"},
}
TABLES = ("raw_events", "sessions", "batches", "projects")


def version(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def test_what_stood_in_the_file_stands_there_still(old):
    before = {name: table(old, name) for name in TABLES}
    with opened(old):
        pass

    assert version(old) == SCHEMA
    assert {name: table(old, name) for name in TABLES} == before


def test_a_file_that_was_brought_up_to_date_is_as_one_that_was_made_new(old, tmp_path):
    with opened(old), opened(tmp_path / "new.sqlite3"):
        pass

    def schema(path):
        with contextlib.closing(sqlite3.connect(path)) as db:
            return set(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))

    assert schema(old) == schema(tmp_path / "new.sqlite3")


def test_what_is_new_is_told_of_what_is_old(old):
    with opened(old) as spool:
        sessions = {entry.session: entry for entry in spool.sessions()}
        batches = [spool.batch(number) for number in range(1, 6)]
        projects = {entry.group: entry for entry in spool.projects()}
        report = spool.report(0.0, 600.0, 1)

    one, other = sessions["s"], sessions["t"]
    assert (one.title, one.events, one.first_at, one.last_at) == ("Fix the cart", 7, 120.0, 260.0)
    assert other.title == "the same id in another project"
    assert (other.events, other.first_at, other.last_at) == (3, 300.0, 320.0)
    assert [batch.events for batch in batches] == [3, 2, 1, 1, 2]
    assert [batch.finished_at for batch in batches] == [135.0, 192.0, None, 308.0, None]
    assert (projects["g_1"].name, projects["g_1"].root) == ("shop", "/home/me/shop")
    assert projects["g_2"].name == ""
    assert report.totals.appended == 10
    assert report.totals.tokens.total == 10


def test_flushing_goes_on_where_it_was(old):
    with opened(old) as spool:
        assert spool.release() == 1
        backlog = {item.session: item for item in spool.backlog()}
        assert backlog["s"].batch.id == 3
        assert (backlog["s"].pending, backlog["t"].pending) == (2, 2)
        retried = spool.claim("g_1", "s")
        assert [event.event_id for event in spool.read(retried)] == ["f1"]
        assert spool.complete(retried, episodes=1)
        rest = spool.claim("g_1", "s")
        assert (rest.first_seq, rest.last_seq, rest.events) == (7, 7, 1)
        assert spool.retry(states={BatchState.GAVE_UP}) == 1
        assert spool.append([RawEvent("p1", "g_1", "s", EventKind.PROMPT, 1.0, "x")]).new == {}


def test_opening_again_changes_nothing(old):
    with opened(old):
        pass
    before = [table(old, name) for name in TABLES]
    with opened(old):
        pass

    assert [table(old, name) for name in TABLES] == before


def test_a_reader_waits_until_the_file_is_up_to_date(old):
    with pytest.raises(Unavailable, match="start the bridge"):
        Spool.open(old, readonly=True)

    assert version(old) == 1


def test_a_process_that_has_the_file_open_goes_on_in_its_own_version(old):
    with contextlib.closing(sqlite3.connect(old, autocommit=True)) as theirs:
        row = ("v1", "g_1", "s", "prompt", 1.0, 999.0, 0, '{"type":"prompt"}', "x")
        theirs.execute(APPEND_V1, ("v0", *row[1:]))
        with opened(old) as spool:
            theirs.execute(APPEND_V1, row)
            theirs.execute(APPEND_V1, row)
            (claimed,) = theirs.execute(CLAIM_V1, ("g_9", "none", 100, 100)).fetchall()
            theirs.execute("UPDATE batches SET state = 'completed' WHERE id = ?", claimed)

            assert spool.batch(claimed[0]).state is BatchState.COMPLETED
            (entry,) = spool.sessions(text="cart")
            assert (entry.events, entry.pending, entry.last_at) == (9, 4, 999.0)
            assert spool._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_reader_in_the_middle_of_its_look_sees_the_old_and_then_the_new(old):
    with contextlib.closing(sqlite3.connect(old, autocommit=True)) as theirs:
        theirs.execute("BEGIN")
        before = theirs.execute("SELECT count(*) FROM batches").fetchone()
        with opened(old) as spool:
            spool.append([RawEvent("late", "g_1", "s", EventKind.NOTE, 1.0, "x")])
            assert theirs.execute("SELECT count(*) FROM batches").fetchone() == before
            assert theirs.execute("SELECT count(*) FROM raw_events").fetchone() == (10,)
            theirs.execute("COMMIT")
        assert theirs.execute("SELECT count(*) FROM raw_events").fetchone() == (11,)


def test_of_many_that_open_at_once_one_takes_the_step(old):
    def visit(_):
        with opened(old, timeout=30.0) as spool:
            return spool.status().pending

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(visit, range(12))) == {4}
    assert version(old) == SCHEMA


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from memory_manager.spool import connection
from memory_manager.spool.store import Spool

left = int(sys.argv[2])
real = sqlite3.connect

def strike(sql):
    global left
    if not sql.startswith("PRAGMA user_version;"):
        left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def connect(*args, **kwargs):
    made = real(*args, **kwargs)
    made.set_trace_callback(strike)
    return made

connection.sqlite3.connect = connect
Spool.open(Path(sys.argv[1])).close()
"""


@pytest.mark.parametrize("statement", [10, 13, 24, 33, 37, 40, 42, 43, 44])
def test_killed_in_the_middle_the_file_is_wholly_old_or_wholly_new(old, statement):
    before = {name: table(old, name) for name in TABLES}
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(old), str(statement)], check=False, timeout=60
    )
    assert child.returncode == -signal.SIGKILL

    with contextlib.closing(sqlite3.connect(old)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        columns = {row[1] for row in db.execute("PRAGMA table_info(batches)")}
    assert (version(old) == SCHEMA) == ("tags" in columns)
    assert {name: table(old, name) for name in TABLES} == before
    with opened(old) as spool:
        assert spool.sessions(text="cart")[0].events == 7
    assert version(old) == SCHEMA


def test_a_step_that_fails_leaves_the_file_as_it_was(old, monkeypatch):
    before = {name: table(old, name) for name in TABLES}
    broken = STEPS[1].__class__(2, "broken", (*STEPS[1].statements[:9], "INSERT INTO nothing"))
    monkeypatch.setattr("memory_manager.spool.migrations.STEPS", (STEPS[0], broken))
    with pytest.raises(sqlite3.OperationalError):
        Spool.open(old)

    assert version(old) == 1
    assert {name: table(old, name) for name in TABLES} == before
    monkeypatch.undo()
    with opened(old) as spool:
        assert spool.status().pending == 4


def test_a_newer_file_and_somebody_elses_are_left_byte_for_byte(old, tmp_path):
    for number, application in ((SCHEMA + 1, None), (1, 7)):
        path = tmp_path / f"{number}.sqlite3"
        shutil.copy(old, path)
        with contextlib.closing(sqlite3.connect(path, autocommit=True)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute(f"PRAGMA user_version = {number}")
            if application is not None:
                db.execute(f"PRAGMA application_id = {application}")
        before = path.read_bytes()
        with pytest.raises(Corrupt, match="upgrade" if application is None else "not a spool"):
            Spool.open(path)
        assert path.read_bytes() == before


def test_a_file_that_cannot_shrink_is_rewritten_once_and_then_shrinks(old):
    with contextlib.closing(sqlite3.connect(old, autocommit=True)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA auto_vacuum = NONE")
        db.execute("VACUUM")
        assert db.execute("PRAGMA auto_vacuum").fetchone()[0] == 0
    with opened(old) as spool, opened(old) as other:
        spool.append(
            [RawEvent(f"{n}", "h", "h", EventKind.NOTE, 1.0, "x" * 9000) for n in range(99)]
        )
        assert spool.settle()
        assert not spool.settle()
        assert spool._db.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
        assert other.append([RawEvent("o", "h", "h", EventKind.NOTE, 1.0, "x")]).inserted == 1
        assert spool.checkpoint()
        before = old.stat().st_size
        assert spool.discard("h") == 100
        spool.purge(0.0, 0.0)
        spool.checkpoint()
        assert old.stat().st_size < before / 4
        assert spool._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
