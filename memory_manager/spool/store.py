"""The spool: the durable local log of raw events and the batches that flush them.

One `Spool` is one SQLite connection: synchronous, not thread-safe (`thread.py` gives it a thread).
Several processes may have one each; SQLite arbitrates. What to flush and when is decided
elsewhere, by pure functions on what `backlog` gives.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest
from memory_manager.spool.batches import OPEN, Batch, BatchState, Receipt
from memory_manager.spool.connection import SQL, translated
from memory_manager.spool.reading import SpoolReader
from memory_manager.spool.rows import batch_of, columns, last_within
from memory_manager.spool.sound import valid

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence

    from memory_manager.model import RawEvent

#: Most characters of a new batch's text; a single larger row is a batch of its own.
LARGEST_BATCH = 4 * 1024 * 1024

_RETRYABLE = frozenset({BatchState.ERROR, BatchState.GAVE_UP})


class Spool(SpoolReader):
    """Raw events on disk. Every method may raise `Unavailable`, `Rejected` or `Corrupt`."""

    # Events in

    def append_many(self, lists: Sequence[Sequence[RawEvent]]) -> list[Receipt]:
        """Stores several callers' events in one durable transaction: all of them or none.

        An event whose id its project knows is not stored again. On return everything is on disk.
        """
        now = self._now()
        if sum(map(len, lists)) == 1:
            # The usual case: a statement by itself is a transaction too, with fewer turns at
            # the interpreter.
            with translated(self._path):
                return [_stored(self._db, events, now) for events in lists]
        with self._transaction() as db:
            return [_stored(db, events, now) for events in lists]

    def append(self, events: Sequence[RawEvent]) -> Receipt:
        """Stores one caller's events; see `append_many`."""
        return self.append_many([events])[0]

    # Batches

    def claim(
        self,
        group: str,
        session: str,
        *,
        owner: str = "",
        limit: int = 200,
        force: bool = False,
    ) -> Batch | None:
        """Starts the session's next batch, or gives None when there is nothing to start now.

        An open batch comes first and keeps its range; only without one is a new range fixed, after
        the cursor. Of two claimers one wins.

        Args:
            group: the project.
            session: the session.
            owner: who claims; `release` hands back by owner.
            limit: most rows of a new range; its text is bounded by `LARGEST_BATCH` too.
            force: start an `error` batch before its retry time.
        """
        now = self._now()
        with self._transaction() as db:
            standing = db.execute(SQL["open_batch"], (group, session)).fetchone()
            if standing is not None:
                batch = batch_of(standing)
                ready = batch.retry_at is not None and batch.retry_at <= now
                if batch.state is BatchState.STARTED or not (ready or force):
                    return None
                values = {"id": batch.id, "owner": owner, "now": now}
                return batch_of(db.execute(SQL["reclaim"], values).fetchall()[0])
            rows = db.execute(SQL["unclaimed"], (group, session, limit)).fetchall()
            if not rows:
                return None
            values = {
                "group_id": group,
                "session": session,
                "first_seq": rows[0][0],
                "last_seq": last_within(rows, LARGEST_BATCH),
                "owner": owner,
                "now": now,
            }
            return batch_of(db.execute(SQL["new_batch"], values).fetchall()[0])

    def heartbeat(self, batch: Batch) -> bool:
        """Says that the claimer lives. False: the batch is no longer its own; it should stop."""
        values = {"id": batch.id, "claims": batch.claims, "now": self._now()}
        with self._transaction() as db:
            return db.execute(SQL["heartbeat"], values).rowcount == 1

    def complete(self, batch: Batch, state: BatchState = BatchState.COMPLETED) -> bool:
        """Ends a batch as `completed` or `skipped`: moves the cursor, marks its rows flushed.

        False: the batch was claimed again since, or is already terminal; nothing was changed.
        """
        if state not in {BatchState.COMPLETED, BatchState.SKIPPED}:
            raise InvalidRequest(f"state: {state} does not complete a batch; use fail")
        return self._finish(batch, state, "", None)

    def fail(
        self, batch: Batch, error: str, retry_at: float | None, *, gave_up: bool = False
    ) -> bool:
        """Notes that an attempt failed; the same range is due again at `retry_at`.

        Args:
            batch: the claim that failed (or an `error` batch that shall be given up).
            error: one line for the operator; clipped to 2,000 characters.
            retry_at: seconds since the epoch; None: only by hand.
            gave_up: end it. The cursor moves; its rows stay unflushed, hence visible.

        Returns:
            False when the batch was claimed again since, or is already terminal.
        """
        state = BatchState.GAVE_UP if gave_up else BatchState.ERROR
        return self._finish(batch, state, error[:2000], None if gave_up else retry_at)

    def release(self, owner: str | None = None) -> int:
        """Hands back the running batches of a dead owner (None: of everyone); gives their number.

        They are due at once and the attempt does not count, so use it for a stop that was not the
        batch's fault; what may have killed its worker should `fail`.
        """
        with self._transaction() as db:
            values = {"owner": owner, "now": self._now()}
            return db.execute(SQL["release"], values).rowcount

    def stuck(self, older_than: float) -> int:
        """Turns running batches without a heartbeat for `older_than` seconds into errors."""
        now = self._now()
        with self._transaction() as db:
            return db.execute(SQL["stuck"], {"now": now, "before": now - older_than}).rowcount

    def retry(
        self,
        *,
        group: str | None = None,
        session: str | None = None,
        states: Collection[BatchState] = _RETRYABLE,
        limit: int | None = None,
    ) -> int:
        """Makes failed batches due at once, all attempts before them again; gives their number.

        Args:
            group: only of this project.
            session: only of this session.
            states: `error`, `gave_up` or both.
            limit: at most so many, earliest first.
        """
        if not states or not _RETRYABLE.issuperset(states):
            raise InvalidRequest("states: only error and gave_up batches can be retried")
        values = {
            "group_id": group,
            "session": session,
            "error": BatchState.ERROR in states,
            "gave_up": BatchState.GAVE_UP in states,
            "limit": -1 if limit is None else limit,
            "now": self._now(),
        }
        with self._transaction() as db:
            return db.execute(SQL["retry"], values).rowcount

    # Projects

    def register(self, aliases: Sequence[str], group: str) -> str:
        """Ties the aliases to one project and gives the group that stands.

        A known alias keeps its group and passes it to the others; `group` is for a new project.
        """
        with self._transaction() as db:
            standing = self.group_of(aliases) or group
            db.executemany(SQL["register"], [(valid(alias), standing) for alias in aliases])
        return standing

    # Upkeep

    def prune(self, flushed_before: float, limit: int = 1000) -> int:
        """Deletes at most `limit` rows flushed before a time, shrinks the file, gives the number.

        Only flushed rows go, so nothing that a batch still needs.
        """
        with self._transaction() as db:
            count = db.execute(SQL["prune"], (flushed_before, limit)).rowcount
        with self._reading() as db:
            db.execute("PRAGMA incremental_vacuum").fetchall()
        return count

    def checkpoint(self) -> bool:
        """Moves the write-ahead log into the database; call it when idle. False: others read it."""
        with self._reading() as db:
            timeout = db.execute("PRAGMA busy_timeout").fetchone()[0]
            db.execute("PRAGMA busy_timeout = 0")
            try:
                return bool(db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
            finally:
                db.execute(f"PRAGMA busy_timeout = {timeout:d}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself after some errors, a full disk among them.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _finish(self, batch: Batch, state: BatchState, error: str, retry_at: float | None) -> bool:
        values = {
            "id": batch.id,
            "claims": batch.claims,
            "state": str(state),
            "error": error,
            "retry_at": retry_at,
            "group_id": batch.group,
            "session": batch.session,
            "first_seq": batch.first_seq,
            "last_seq": batch.last_seq,
            "now": self._now(),
        }
        with self._transaction() as db:
            if db.execute(SQL["finish"], values).rowcount != 1:
                return False
            if state not in OPEN:
                if state is not BatchState.GAVE_UP:
                    db.execute(SQL["mark_flushed"], values)
                db.execute(SQL["move_cursor"], values)
                db.execute(SQL["recount_session"], values)
        return True


def _stored(db: sqlite3.Connection, events: Sequence[RawEvent], now: float) -> Receipt:
    new: dict[str, int] = {}
    for event in events:
        cursor = db.execute(SQL["append"], columns(event, now))
        if cursor.rowcount == 1 and cursor.lastrowid is not None:
            new[event.event_id] = cursor.lastrowid
    return Receipt(len(events), new)
