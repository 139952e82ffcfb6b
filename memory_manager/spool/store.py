"""The spool: the durable local log of raw events and the batches that flush them.

One `Spool` is one SQLite connection: synchronous, not thread-safe (`thread.py` gives it a thread).
Several processes may have one each; SQLite arbitrates. What to flush and when is decided
elsewhere, by pure functions on what `backlog` gives.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest
from memory_manager.spool import appending, books, retention
from memory_manager.spool.batches import Batch, BatchState, Receipt
from memory_manager.spool.books import LARGEST_BATCH
from memory_manager.spool.connection import SQL, translated
from memory_manager.spool.reading import SpoolReader

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from memory_manager.model import RawEvent

__all__ = ["LARGEST_BATCH", "Spool"]

_RETRYABLE = frozenset({BatchState.ERROR, BatchState.GAVE_UP})


class Spool(SpoolReader):
    """Raw events on disk. Every method may raise `Unavailable`, `Rejected` or `Corrupt`."""

    # Events in

    def append_many(self, lists: Sequence[Sequence[RawEvent]]) -> list[Receipt]:
        """Stores several callers' events in one durable transaction: all of them or none.

        An event whose id its project knows is not stored again, one that repeats the event before
        it is stored without its text (see `folding.py`). On return everything is on disk.
        """
        now = self._now()
        if sum(map(len, lists)) == 1:
            # The usual case, with fewer turns at the interpreter.
            with translated(self._path):
                if (receipts := appending.store_lone(self._db, lists, now)) is not None:
                    return receipts
        with self._transaction() as db:
            return appending.store(db, lists, now)

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
        asked = books.Asked(group, session, owner, limit, force)
        with self._transaction() as db:
            return books.claim(db, asked, self._now())

    def claim_again(self, batch_id: int, *, owner: str = "") -> Batch | None:
        """Starts this `error` batch and no other, due or not; None: it is none, or another runs."""
        with self._transaction() as db:
            return books.claim_again(db, batch_id, owner, self._now())

    def heartbeat(self, batch: Batch) -> bool:
        """Says that the claimer lives. False: the batch is no longer its own; it should stop."""
        values = {"id": batch.id, "claims": batch.claims, "now": self._now()}
        with self._transaction() as db:
            return db.execute(SQL["heartbeat"], values).rowcount == 1

    def complete(  # noqa: PLR0913 - what a flush came to, by name only
        self,
        batch: Batch,
        state: BatchState = BatchState.COMPLETED,
        *,
        episodes: int = 0,
        summary: str = "",
        tags: Sequence[str] = (),
        tags_version: int = 0,
    ) -> bool:
        """Ends a batch as `completed` or `skipped`: moves the cursor, marks its rows flushed.

        Args:
            batch: the claim.
            state: `completed`, or `skipped` when nothing of it was worth keeping.
            episodes: how many it made.
            summary: what it was about; `tags`: the same in words; clipped.
            tags: see `summary`; made by rules of the version `tags_version`.
            tags_version: see `tags`.

        Returns:
            False when the batch was claimed again since, or is already terminal; nothing changed.
        """
        if state not in {BatchState.COMPLETED, BatchState.SKIPPED}:
            raise InvalidRequest(f"state: {state} does not complete a batch; use fail")
        outcome = books.Outcome(
            state, self._now(), episodes=episodes, summary=summary, tags=tags, version=tags_version
        )
        with self._transaction() as db:
            return books.finish(db, batch, outcome)

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
        outcome = books.Outcome(
            state, self._now(), error=error, retry_at=None if gave_up else retry_at
        )
        with self._transaction() as db:
            return books.finish(db, batch, outcome)

    def note_summary(
        self, batch_id: int, summary: str, tags: Sequence[str], tags_version: int
    ) -> bool:
        """Notes what a completed batch was about, later than it was flushed; False: there is none."""
        with self._transaction() as db:
            return books.note_summary(db, batch_id, summary, tags, tags_version)

    def reopen(self, batch_ids: Iterable[int]) -> int:
        """Makes completed batches due again with the same ranges; gives how many there were.

        For what the graph has lost. Rows that retention has taken meanwhile don't come back; a
        batch that has none left stays completed. The cursor stays where it is.
        """
        with self._transaction() as db:
            return books.reopen(db, batch_ids, self._now())

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

    def register(
        self, aliases: Sequence[str], group: str, *, name: str = "", root: str = ""
    ) -> str:
        """Ties the aliases to one project and gives the group that stands.

        A known alias keeps its group and passes it to the others; `group` is for a new project.
        `name` and `root` are noted for people, "" keeps what is known.
        """
        now = self._now()
        with self._reading() as db:
            # Asked every minute and by every process of a hook: nearly always all of it stands.
            standing = self.group_of(aliases) or group
            if books.stands(db, aliases, books.Place(standing, name, root), now):
                return standing
        with self._transaction() as db:
            standing = self.group_of(aliases) or group
            books.register(db, aliases, books.Place(standing, name, root), now)
        return standing

    def discard(self, group: str) -> int:
        """Deletes everything of one project, flushed or not; gives the number of rows."""
        with self._transaction() as db:
            purged = retention.discarded(db, group)
        retention.told(purged, f"project {group} was discarded")
        return purged.rows

    # Upkeep

    def sample(self) -> None:
        """Notes how much waits now, for reports. One look in 30 seconds stays, for 90 days."""
        with self._transaction() as db:
            retention.sampled(db, self._now())

    def purge(self, now: float, keep_s: float, limit: int = 500) -> int:
        """Deletes flushed rows that were flushed more than `keep_s` seconds before `now`.

        One small transaction; call it until it gives 0, with room for others in between. A
        session's history goes only with the whole session (see `retention.py`), and with it its
        batches and its books. The file on disk shrinks at the next checkpoint.

        Returns:
            The number of rows, at most `limit`.
        """
        while True:
            with self._transaction() as db:
                purged = retention.aged(db, now - keep_s, limit)
            retention.told(purged, f"flushed more than {keep_s:.0f} s ago")
            with self._reading() as db:
                retention.reclaim(db)
            if purged.rows or not (purged.batches or purged.sessions):
                return purged.rows

    def shrink(self, most_bytes: int, limit: int = 500) -> int:
        """Deletes flushed rows while the file holds more than `most_bytes`; call it until it gives 0.

        Returns:
            The number of rows, at most `limit`; 0 too when only unflushed rows are left.
        """
        with self._transaction() as db:
            full = retention.used(db) > most_bytes
            purged = retention.crowded(db, self._now(), limit) if full else retention.Purged()
        retention.told(purged, f"the file holds more than {most_bytes} bytes")
        with self._reading() as db:
            retention.reclaim(db)
        return purged.rows

    def settle(self) -> bool:
        """Makes a file that can't shrink able to, by rewriting it; False: it is able.

        Others wait for as long as that takes, and it needs the file's size again in free space:
        call it behind a start, not in it.
        """
        with self._reading() as db:
            return retention.settle(db)

    def checkpoint(self) -> bool:
        """Moves the write-ahead log into the database; call it when idle. False: others read it."""
        with self._reading() as db:
            return retention.checkpointed(db)

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
