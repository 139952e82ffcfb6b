"""Kills of a process that works on a spool by itself: an append without a bridge, a migration, a purge.

Each strike has a copy of a file of its own. What counts is what the next process makes of it: the
same as if the first had not been killed.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.crash import spool_file
from bridge.crash.check import Findings, Model, check_spool
from bridge.crash.workload import Workload
from memory_manager.spool import migrations
from memory_manager.spool.rows import columns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bridge.crash.spool_file import View
    from bridge.crash.workload import Delivery
    from memory_manager.model import RawEvent

#: Events of the file that is migrated and purged; rounds of the replay that make about as many.
_ROUNDS = 40
#: When its rows were received and flushed, in seconds since the epoch.
_RECEIVED = 1_760_000_000.0
#: Rows of its batches.
_BATCH = 50
_DEADLINE_S = 60.0
#: Times that a strike is tried until it meets the work, and how much sooner each.
_TRIES, _SOONER = 5, 0.6

_INSERT = (
    "INSERT INTO raw_events (event_id, group_id, session, kind, at, received_at, boundary,"
    " metadata, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_BATCH_DONE = (
    "INSERT INTO batches (group_id, session, first_seq, last_seq, state, attempts, claims, owner,"
    " error, claimed_at, updated_at) VALUES (?, ?, ?, ?, 'completed', 1, 1, 'bridge', '', ?, ?)"
)
_FLUSHED = "UPDATE raw_events SET flushed_at = ? WHERE group_id = ? AND session = ? AND seq <= ?"
_CURSOR = (
    "UPDATE sessions SET cursor = ?, pending = (SELECT count(*) FROM raw_events AS r WHERE"
    " r.group_id = sessions.group_id AND r.session = sessions.session AND r.seq > ?)"
    " WHERE group_id = ? AND session = ?"
)


@dataclass(frozen=True, slots=True)
class Struck:
    """Whether it was killed in its work, and the seconds that the next process took to end it."""

    met: bool
    mended_s: float


@dataclass(frozen=True, slots=True)
class _Undisturbed:
    """The file, what stands in its books, and the seconds that the work took."""

    view: View
    books: list[tuple[object, ...]]
    seconds: float


@dataclass(slots=True)
class Copies:
    """Files to be worked on, in a folder of their own."""

    folder: Path
    environment: Mapping[str, str]
    chance: random.Random
    _deliveries: list[Delivery] = field(default_factory=list)
    _model: Model = field(default_factory=Model)
    #: By work: how the file ends if nobody is killed.
    _wanted: dict[str, _Undisturbed] = field(default_factory=dict)
    _count: int = 0

    def strike(self, work: str, found: Findings) -> Struck:
        """Kill one process at some moment of `work`, have the next one finish, and compare."""
        if not self._wanted:
            self._prepare()
        self._count += 1
        path = self.folder / f"{work}-{self._count}.sqlite3"
        request = self._request() if work == "append" else ""
        wanted = self._wanted[work]
        for tries in range(_TRIES):
            self._copied(work, path)
            # Who was too quick is tried again, sooner: how long it takes varies with the machine.
            after = self.chance.uniform(0, wanted.seconds) * _SOONER**tries
            if met := self._killed(work, path, request, after):
                break
        self._check_between(work, path, wanted, found)
        began = time.monotonic()
        self._done(work, path, request)
        mended = time.monotonic() - began
        self._check_after(work, path, wanted, found)
        self._copied("", path)
        return Struck(met, mended)

    def _copied(self, work: str, path: Path) -> None:
        """A fresh copy of the file to work on; none where the work makes its own, or there is none."""
        for left in self.folder.glob(f"{path.name}*"):
            left.unlink()
        source = self.folder / f"{work}.sqlite3"
        if source.exists():
            shutil.copyfile(source, path)

    def _prepare(self) -> None:
        """The old file, its migrated form, and how each work ends undisturbed."""
        self.folder.mkdir()
        rounds = Workload(random.Random(self.chance.random())).rounds()  # noqa: S311 - to be repeatable
        self._deliveries = [one for _ in range(_ROUNDS) for one in next(rounds) if one.timed]
        events = {(e.group, e.event_id): e for one in self._deliveries for e in one.events}
        self._model.give(self._deliveries)
        self._model.answered(self._deliveries)
        old, new = self.folder / "migration.sqlite3", self.folder / "purge.sqlite3"
        old_file(old, list(events.values()))
        shutil.copyfile(old, new)
        self._wanted["migration"] = self._undisturbed("migration", new)
        tried = self.folder / "tried.sqlite3"
        shutil.copyfile(new, tried)
        self._wanted["purge"] = self._undisturbed("purge", tried)
        self._wanted["append"] = self._undisturbed("append", self.folder / "appended.sqlite3")

    def _undisturbed(self, work: str, path: Path) -> _Undisturbed:
        spent = self._done(work, path, self._request() if work == "append" else "")
        return _Undisturbed(spool_file.view(path), _books(work, path), spent)

    def _request(self) -> str:
        """One request of all that the file is to hold."""
        asked = [one for one in self._deliveries if one.method == "ingest"]
        items = [item for one in asked[:60] for item in _items(one)]
        params = {**asked[0].params, "events": items}
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ingest", "params": params})

    def _started(self, work: str, path: Path, request: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge.crash.alone", work, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(self.environment),
            cwd=self.folder,
        )
        assert process.stdin is not None  # noqa: S101 - it was started with pipes
        assert process.stdout is not None  # noqa: S101 - as above
        process.stdin.write(request)
        process.stdin.close()
        process.stdout.readline()
        return process

    def _killed(self, work: str, path: Path, request: str, after: float) -> bool:
        with self._started(work, path, request) as process:
            time.sleep(after)
            process.kill()
            assert process.stdout is not None  # noqa: S101 - it was started with pipes
            met = "end" not in process.stdout.read()
            process.wait(_DEADLINE_S)
        return met

    def _done(self, work: str, path: Path, request: str) -> float:
        """Seconds that the work takes.

        Raises:
            AssertionError: it failed.
        """
        with self._started(work, path, request) as process:
            began = time.monotonic()
            assert process.stdout is not None  # noqa: S101 - it was started with pipes
            said = process.stdout.readline()
            spent = time.monotonic() - began
            status = process.wait(_DEADLINE_S)
        if status or said != "end\n":
            raise AssertionError(f"{work} ended with status {status}")
        return spent

    def _check_between(self, work: str, path: Path, wanted: _Undisturbed, found: Findings) -> None:
        """The file as the killed process left it, before anybody mends it."""
        try:
            view = spool_file.view(path)
        except sqlite3.OperationalError:
            if work != "append":
                raise
            return  # there was no table yet
        if view.damage:
            found.add(f"damaged by a killed {work}", [view.damage])
        if work == "append" and view.events and len(view.events) != len(wanted.view.events):
            found.add("half an append", [len(view.events)])
        if work != "append":
            before = {one.seq for one in wanted.view.events if not one.flushed}
            gone = before - {one.seq for one in view.events}
            found.lost += found.add(f"unflushed and gone in a killed {work}", sorted(gone))

    def _check_after(self, work: str, path: Path, wanted: _Undisturbed, found: Findings) -> None:
        view = spool_file.view(path)
        for part, ours, theirs in (
            ("events", view.events, wanted.view.events),
            ("batches", view.batches, wanted.view.batches),
            ("sessions", list(view.sessions.items()), list(wanted.view.sessions.items())),
            ("books", _books(work, path), wanted.books),
        ):
            odd = [one for one in (*ours, *theirs) if (one in ours) != (one in theirs)]
            if odd or len(ours) != len(theirs):
                found.add(f"{part} after a killed {work} are not as without", odd or [len(ours)])
        if work == "migration":
            check_spool(replace(self._model, ranges={}), view, found)


def _books(work: str, path: Path) -> list[tuple[object, ...]]:
    # An append's books say when it was.
    return [] if work == "append" else spool_file.tables(path)


def old_file(path: Path, events: list[RawEvent]) -> None:
    """A spool of schema version 1, as the first release left it: not able to shrink, half flushed."""
    db = sqlite3.connect(path, autocommit=True)
    try:
        db.execute("PRAGMA auto_vacuum = NONE")
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.execute("BEGIN")
        for statement in migrations.STEPS[0].statements:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
        db.executemany(_INSERT, [columns(event, _RECEIVED) for event in events])
        for group, session in db.execute("SELECT group_id, session FROM sessions").fetchall():
            _flushed(db, group, session)
        db.execute("COMMIT")
    finally:
        db.close()


def _flushed(db: sqlite3.Connection, group: str, session: str) -> None:
    """The first rows of a session in one batch, none of them where the session is short."""
    chosen = "SELECT seq FROM raw_events WHERE group_id = ? AND session = ? ORDER BY seq"
    rows = [row[0] for row in db.execute(chosen, (group, session)).fetchall()]
    done = rows[: _BATCH if len(rows) > _BATCH else len(rows) - len(rows) % 7]
    if not done:
        return
    when = _RECEIVED + 60
    db.execute(_BATCH_DONE, (group, session, done[0], done[-1], when, when))
    db.execute(_FLUSHED, (when, group, session, done[-1]))
    db.execute(_CURSOR, (done[-1], done[-1], group, session))


def _items(delivery: Delivery) -> list[object]:
    items = delivery.params["events"]
    return list(items) if isinstance(items, list) else []
