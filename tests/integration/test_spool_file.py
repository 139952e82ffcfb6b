"""The spool's file: who may open it, what it survives, what it refuses."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from memory_manager.errors import Corrupt, Rejected, Unavailable
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.connection import SCHEMA
from memory_manager.spool.store import Spool


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "spool.sqlite3"


@pytest.fixture
def spool(path, clock):
    opened = Spool.open(path, now=clock)
    yield opened
    opened.close()


def event(name, /, *, session="s", kind=EventKind.TOOL, at=1.0, content="x", **metadata):
    return RawEvent(name, "g", session, kind, at, content, {"type": kind.value} | metadata)


def ids(events):
    return [item.event_id for item in events]


def test_the_file_is_private_and_made_to_last(spool, path):
    spool.append([event("a")])

    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    pragmas = {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "user_version": SCHEMA}
    for name, value in pragmas.items():
        assert spool._db.execute(f"PRAGMA {name}").fetchone()[0] == value


def test_a_checkpoint_empties_the_log(spool, path):
    spool.append([event("a", content="x" * 100_000)])

    assert spool.checkpoint()
    assert path.with_name(path.name + "-wal").stat().st_size == 0


def test_another_process_sees_and_is_seen(spool, path, clock):
    other = Spool.open(path, now=clock)
    reader = Spool.open(path, readonly=True)
    assert reader.newest() == 0
    other.append([event("a")])

    assert spool.newest() == reader.newest() == 1
    assert reader.backlog()[0].pending == 1
    assert other.claim("g", "s") is not None
    assert spool.claim("g", "s") is None
    with pytest.raises(Rejected):
        reader.append([event("b")])
    other.close()
    reader.close()


def test_of_many_claimers_one_wins(path, clock):
    with closing_spool(path, clock) as spool:
        spool.append([event("a")])

    def claim(_):
        with closing_spool(path, clock) as mine:
            return mine.claim("g", "s")

    with ThreadPoolExecutor(8) as pool:
        won = [batch for batch in pool.map(claim, range(16)) if batch]
    assert len(won) == 1


class closing_spool:  # noqa: N801 - reads as a function
    def __init__(self, path, clock):
        self.spool = Spool.open(path, now=clock)

    def __enter__(self):
        return self.spool

    def __exit__(self, *_):
        self.spool.close()


def test_a_busy_spool_is_unavailable_and_works_again(spool, path, clock):
    impatient = Spool.open(path, now=clock, timeout=0.0)
    spool._db.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        impatient.append([event("a")])
    spool._db.execute("ROLLBACK")

    assert impatient.append([event("a")]).inserted == 1
    impatient.close()


def test_a_full_disk_is_rejected_whole_and_what_was_there_stays(spool):
    spool.append([event("a")])
    pages = spool._db.execute("PRAGMA page_count").fetchone()[0]
    spool._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    big = event("big", content="x" * 100_000)
    for events in [[event("small"), big], [big]]:
        with pytest.raises(Rejected, match="full"):
            spool.append(events)

    assert ids([row.event for row in spool.session_events("g", "s")]) == ["a"]
    assert spool.backlog()[0].pending == 1
    assert spool.append([event("small")]).inserted == 1


def test_an_unknown_newer_version_is_refused(spool, path):
    spool._db.execute(f"PRAGMA user_version = {SCHEMA + 1}")

    with pytest.raises(Corrupt, match="upgrade opencode-graph-memory"):
        Spool.open(path)


def test_somebody_elses_database_is_left_alone(path):
    path.parent.mkdir()
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE t (x)")
    theirs.close()

    with pytest.raises(Corrupt, match="not a spool"):
        Spool.open(path)


def test_garbage_is_corrupt(path):
    path.parent.mkdir()
    path.write_bytes(b"this is no database at all" * 100)

    with pytest.raises(Corrupt):
        Spool.open(path)


def test_a_reader_does_not_create_a_spool(path):
    with pytest.raises(Unavailable, match="not created yet"):
        Spool.open(path, readonly=True)
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_rejected(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Rejected):
        Spool.open(tmp_path / "file" / "spool.sqlite3")


WRITER = """
import sys
from pathlib import Path
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.store import Spool
spool = Spool.open(Path(sys.argv[1]))
n = 0
while True:
    events = [
        RawEvent(f"{n}-{i}", "g", "s", EventKind.TOOL, 1.0, "x" * 500, {"type": "tool"})
        for i in range(int(sys.argv[2]))
    ]
    spool.append(events)
    print(n, flush=True)
    n += 1
"""


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("acknowledged", [1, 40, 200])
def test_every_acknowledged_event_survives_sigkill(path, clock, acknowledged, at_once):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(at_once)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    last = -1
    while last < acknowledged:
        last = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    last = max([last, *map(int, rest)])

    with closing_spool(path, clock) as spool:
        stored = {row.event.event_id for row in spool.tail(flushed_since=0, limit=10**6)}
        assert {f"{n}-{i}" for n in range(last + 1) for i in range(at_once)} <= stored
        assert len(stored) % at_once == 0
        assert spool.backlog()[0].pending == len(stored)
