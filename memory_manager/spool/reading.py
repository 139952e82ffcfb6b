"""What the spool knows: everything that only reads. Works on a read-only connection too."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from memory_manager.spool import looks
from memory_manager.spool.batches import Backlog, Batch
from memory_manager.spool.connection import SQL, connect, translated
from memory_manager.spool.rows import backlog_of, batch_of, row_of
from memory_manager.spool.sound import valid

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from memory_manager.model import EventKind, RawEvent
    from memory_manager.spool.batches import ProjectEntry, Row, SessionEntry, Status
    from memory_manager.spool.report import Report

#: Larger than any row number.
END = 2**63 - 1
#: Rows among which the newest unflushed ones are looked for.
_UNFLUSHED = 20_000


class SpoolReader:
    """One connection to the spool. Methods may raise `Unavailable`, `Rejected` or `Corrupt`."""

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        now: Callable[[], float] = time.time,
        readonly: bool = False,
        timeout: float = 5.0,
    ) -> Self:
        """Opens the spool at `path`, creating it unless `readonly`.

        Args:
            path: the SQLite file.
            now: the clock, in seconds since the epoch.
            readonly: for readers beside the one that writes.
            timeout: longest wait for another writer, in seconds.
        """
        return cls(connect(path, readonly=readonly, timeout=timeout), path, now)

    def __init__(
        self, connection: sqlite3.Connection, path: Path, now: Callable[[], float]
    ) -> None:
        self._db = connection
        self._path = path
        self._now = now

    # What waits

    def backlog(self) -> list[Backlog]:
        """Every session with something to flush or an open batch, longest waiting first."""
        with self._reading() as db:
            batches: dict[tuple[str, str], Batch] = {}
            for row in db.execute(SQL["open_batches"]):
                batch = batch_of(row)
                batches.setdefault((batch.group, batch.session), batch)
            waiting = [
                backlog_of(row, batches.pop((row["group_id"], row["session"]), None))
                for row in db.execute(SQL["pending_sessions"])
            ]
        # What is left was given up once and asked for again: all its rows are behind the cursor.
        waiting += [
            Backlog(group, session, 0, 0, 0, None, None, boundary=True, batch=batch)
            for (group, session), batch in batches.items()
        ]
        return waiting

    def batch(self, batch_id: int) -> Batch | None:
        """The batch with this id as it stands now."""
        with self._reading() as db:
            row = db.execute(SQL["batch"], (batch_id,)).fetchone()
        return None if row is None else batch_of(row)

    def read(self, batch: Batch) -> list[RawEvent]:
        """The batch's events, in the order in which they were appended."""
        values = (batch.group, batch.session, batch.first_seq, batch.last_seq)
        with self._reading() as db:
            return [row_of(row).event for row in db.execute(SQL["batch_rows"], values)]

    def completed(self, after: int, limit: int, group: str | None = None) -> list[Batch]:
        """Completed batches (of one project) with an id above `after`, by id."""
        values = {"after": after, "limit": limit, "group_id": group}
        with self._reading() as db:
            return [batch_of(row) for row in db.execute(SQL["completed"], values)]

    def batches_to_tag(self, version: int, after: int, limit: int) -> list[Batch]:
        """Completed batches above `after` whose tags are older than `version`, by id.

        Those whose rows retention has taken are not among them: nothing can be said of them now.
        """
        values = {"version": version, "after": after, "limit": limit}
        with self._reading() as db:
            return [batch_of(row) for row in db.execute(SQL["to_tag"], values)]

    def count_to_tag(self, version: int, after: int = 0) -> int:
        """How many `batches_to_tag` would give without a limit."""
        with self._reading() as db:
            rows = db.execute(SQL["count_to_tag"], {"version": version, "after": after})
            return int(rows.fetchall()[0][0])

    # Events

    def tail(self, *, after: int = 0, flushed_since: float, limit: int) -> list[Row]:
        """Rows after row `after` that are unflushed or were flushed later than `flushed_since`.

        Oldest first, at most `limit`; the last row's `seq` is the next call's `after`.
        """
        values = {"after": after, "since": flushed_since, "limit": limit}
        with self._reading() as db:
            return [row_of(row) for row in db.execute(SQL["tail"], values)]

    def tail_start(self, most: int, before: float) -> int:
        """The row after which the newest `most` unflushed ones come; 0 for all of them.

        0 too when that row was received after `before`: then what is older may still matter.
        """
        with self._reading() as db:
            row = db.execute(SQL["tail_start"], (most,)).fetchone()
        return int(row[0]) if row is not None and row[1] < before else 0

    def history(
        self,
        group: str,
        session: str,
        kinds: Iterable[EventKind],
        until: int = END,
        clip: int = 2000,
    ) -> list[RawEvent]:
        """The session's events of `kinds` up to row `until`, ordered by time, flushed or not.

        Light, for a whole session: content is clipped to `clip` characters, `diff` and `content`
        are left out of the metadata. `output` stays: failures are read from it.
        """
        values = {
            "group_id": group,
            "session": session,
            "until": until,
            "clip": clip,
            "kinds": json.dumps([str(kind) for kind in kinds]),
        }
        with self._reading() as db:
            return [row_of(row).event for row in db.execute(SQL["history"], values)]

    def session_events(
        self, group: str, session: str, *, before: int = END, limit: int = 100
    ) -> list[Row]:
        """The session's newest rows before row `before`, newest first."""
        values = (group, session, before, limit)
        with self._reading() as db:
            return [row_of(row) for row in db.execute(SQL["session_events"], values)]

    def unflushed(self, group: str, *, session: str | None = None, limit: int = 100) -> list[Row]:
        """A project's rows that the graph does not have, newest first by their own time.

        What waits, what is being flushed, what was given up. Of a huge backlog, the last that
        came in are looked at.
        """
        values = {"group_id": group, "session": session, "limit": limit, "most": _UNFLUSHED}
        with self._reading() as db:
            return [row_of(row) for row in db.execute(SQL["unflushed"], values)]

    def known(self, group: str, event_ids: Iterable[str]) -> frozenset[str]:
        """Which of these events the project has."""
        values = {"group_id": group, "ids": json.dumps([valid(name) for name in event_ids])}
        with self._reading() as db:
            return frozenset(str(row[0]) for row in db.execute(SQL["known_ids"], values))

    def compacted_at(self, group: str, session: str) -> float | None:
        """When the session's window was last compacted; None: never."""
        with self._reading() as db:
            row = db.execute(SQL["compacted_at"], (group, session)).fetchone()
        return None if row is None else row[0]

    def newest(self) -> int:
        """The last row's number, 0 when there is none. Costs microseconds and waits for nobody."""
        with self._reading() as db:
            return int(db.execute(SQL["newest"]).fetchone()[0])

    # What an operator asks

    def status(self, limit: int = 200, *, session: str | None = None) -> Status:
        """What waits, how long, batches by state, and the sessions that want attention first.

        Args:
            limit: most sessions; 0 gives the numbers of the whole spool alone, which costs least.
            session: only sessions of this name, in any project.
        """
        with self._reading() as db:
            return looks.status(db, self._now(), limit, session)

    def sessions(
        self,
        group: str | None = None,
        before: tuple[float, str, str] | None = None,
        limit: int = 50,
        text: str | None = None,
    ) -> list[SessionEntry]:
        """Sessions, the one with the latest event first.

        Args:
            group: only of this project.
            before: after this place: `last_at`, `group` and `session` of the last one that was given.
            limit: at most so many.
            text: only with this in the title, the name or a summary, in any case of letters.
        """
        with self._reading() as db:
            return looks.sessions(db, group, before, limit, text)

    def projects(self) -> list[ProjectEntry]:
        """Every project that has told anything or has a registered place, latest first."""
        with self._reading() as db:
            return looks.projects(db)

    def report(self, since: float, until: float, buckets: int = 24) -> Report:
        """What came in, waited and was flushed from `since` until `until`, in equal parts.

        Raises:
            InvalidRequest: no period, or too many parts.
        """
        with self._reading() as db:
            return looks.report(db, since, until, buckets)

    # Projects

    def group_of(self, aliases: Iterable[str]) -> str | None:
        """The group of the first alias that is known."""
        with self._reading() as db:
            for alias in aliases:
                # A folder's name need not be UTF-8.
                row = db.execute(SQL["alias"], (valid(alias),)).fetchone()
                if row is not None:
                    return str(row[0])
        return None

    # Upkeep

    def size(self) -> int:
        """Bytes of the database, the write-ahead log not counted."""
        with self._reading() as db:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            return int(pages * db.execute("PRAGMA page_size").fetchone()[0])

    def close(self) -> None:
        """Closes the connection; further calls are a bug."""
        self._db.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path):
            yield self._db
