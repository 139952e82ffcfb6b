"""Any interleaving of appends, claims, reports, upkeep and crashes: nothing lost, nothing twice."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from memory_manager.extract.sessions import HISTORY_KINDS
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.batches import OPEN, BatchState, is_boundary
from memory_manager.spool.folding import FOLDED, repeats
from memory_manager.spool.store import Spool

SESSIONS = st.sampled_from(["s", "t"])
KINDS = st.sampled_from(
    [EventKind.TOOL, EventKind.PROMPT, EventKind.SUCCESS, EventKind.NOTE, EventKind.COMMAND]
)
#: Kinds that count as tool events when a busy session's flush is decided.
TOOLS = {EventKind.TOOL, EventKind.FILE_EDIT, EventKind.COMMAND}
DONE = {BatchState.COMPLETED, BatchState.SKIPPED}
KEPT_S = 1000.0
PAUSES = st.sampled_from([0.0, 0.1, 1500.0])


@dataclass
class Known:
    """An acknowledged event: where it is, whose text it repeats, since when the graph has it."""

    seq: int
    event: RawEvent
    same_as: str
    flushed_at: float | None = None


@dataclass
class Range:
    """A batch: what never changes, and what does."""

    session: str
    first: int
    last: int
    state: BatchState = BatchState.STARTED
    claims: int = 1
    beat: float = 0.0

    def has(self, known: Known) -> bool:
        return known.event.session == self.session and self.first <= known.seq <= self.last


def _event(name, session, kind, text):
    return RawEvent(name, "g", session, kind, 1.0, text, {"type": kind.value})


class SpoolMachine(RuleBasedStateMachine):
    """The model: events by id, ranges by batch, cursors by session."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ogm-m-"))
        self.lives = self.turns = 0
        self.now = 1_000_000.0
        self.path = self.folder / "0" / "spool.sqlite3"
        self.spool = self._open()
        self.known: dict[str, Known] = {}
        self.ranges: dict[int, Range] = {}
        self.cursors = {"s": 0, "t": 0}
        self.last_at = {"s": 0.0, "t": 0.0}

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    def _open(self) -> Spool:
        return Spool.open(self.path, now=lambda: self.now)

    # Events

    @rule(
        session=SESSIONS,
        kind=KINDS,
        numbers=st.lists(st.integers(0, 40), min_size=1, max_size=5),
        text=st.sampled_from("xy"),
        pause=PAUSES,
    )
    def append(self, session, kind, numbers, text, pause):
        self.now += pause
        self._append(session, [_event(f"e{n}", session, kind, text) for n in numbers])

    @rule(session=SESSIONS, pause=PAUSES)
    def turn(self, session, pause):
        """A prompt and a note that were never seen before, flushed."""
        self.now += pause
        name = f"turn{self.turns}"
        self.turns += 1
        kinds = [EventKind.PROMPT, EventKind.NOTE]
        self._append(session, [_event(f"{name}-{kind}", session, kind, name) for kind in kinds])
        self._flush(session)

    def _append(self, session, events):
        newest = self._newest(session)
        receipt = self.spool.append(events)
        fresh = list(dict.fromkeys(e.event_id for e in events if e.event_id not in self.known))

        assert list(receipt.new) == fresh
        assert receipt.received == len(events)
        by_id = {event.event_id: event for event in events}
        for name, seq in receipt.new.items():
            event = by_id[name]
            folded = newest is not None and repeats(event, newest)
            assert (name in receipt.folded) == folded
            self.known[name] = Known(seq, event, newest.event_id if folded else "")
            newest = newest if folded else event
            self.last_at[session] = self.now

    def _newest(self, session):
        """What the session's last row says, or the one that it repeats if that is there."""
        rows = [item for item in self.known.values() if item.event.session == session]
        if not rows or max(rows, key=lambda item: item.seq).event.kind not in FOLDED:
            return None
        last = max(rows, key=lambda item: item.seq)
        if not last.same_as:
            return last.event
        first = self.known.get(last.same_as)
        # It may have gone and come back with another text.
        return first.event if first is not None and not first.same_as else None

    # Batches

    @rule(target=claims, session=SESSIONS, limit=st.integers(1, 4), force=st.booleans())
    def claim(self, session, limit, force):
        return self._claimed(session, limit, force) or multiple()

    def _claimed(self, session, limit, force):
        batch = self.spool.claim("g", session, limit=limit, force=force)
        mine = [item for item in self.ranges.values() if item.session == session]
        if any(item.state is BatchState.STARTED for item in mine):
            assert batch is None
        if batch is None:
            return None
        made = Range(session, batch.first_seq, batch.last_seq)
        item = self.ranges.setdefault(batch.id, made)
        assert (item.session, item.first, item.last) == (made.session, made.first, made.last)
        rows = sorted((k for k in self.known.values() if item.has(k)), key=lambda k: k.seq)
        assert [event.event_id for event in self.spool.read(batch)] == [
            known.event.event_id for known in rows
        ]
        if item is made:
            assert batch.events == len(rows)
            assert batch.first_seq > self.cursors[session]
        item.state, item.claims, item.beat = BatchState.STARTED, batch.claims, self.now
        return batch

    def _report(self, batch, reported, state: BatchState) -> None:
        item = self.ranges.get(batch.id)
        valid = item is not None and item.claims == batch.claims and item.state in OPEN
        assert reported == valid
        if not valid:
            return
        item.state = state
        if state not in OPEN:
            self.cursors[batch.session] = max(self.cursors[batch.session], batch.last_seq)
        for known in self.known.values():
            if state in DONE and item.has(known) and known.flushed_at is None:
                known.flushed_at = self.now

    def _flush(self, session):
        while batch := self._claimed(session, 200, force=True):
            self._report(batch, self.spool.complete(batch), BatchState.COMPLETED)

    @rule(batch=consumes(claims), skipped=st.booleans())
    def complete(self, batch, skipped):
        state = BatchState.SKIPPED if skipped else BatchState.COMPLETED
        self._report(batch, self.spool.complete(batch, state), state)

    @rule(batch=claims, wait=st.sampled_from([0.0, 50.0, None]), gave_up=st.booleans())
    def fail(self, batch, wait, gave_up):
        retry_at = None if wait is None else self.now + wait
        reported = self.spool.fail(batch, "boom", retry_at, gave_up=gave_up)
        self._report(batch, reported, BatchState.GAVE_UP if gave_up else BatchState.ERROR)

    @rule(batch=claims)
    def heartbeat(self, batch):
        item = self.ranges.get(batch.id)
        alive = (
            item is not None and item.claims == batch.claims and item.state is BatchState.STARTED
        )
        assert self.spool.heartbeat(batch) == alive
        if alive:
            item.beat = self.now

    @rule(seconds=st.sampled_from([1.0, 60.0, 400.0, 5000.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def stuck(self):
        stalled = [
            item
            for item in self.ranges.values()
            if item.state is BatchState.STARTED and item.beat < self.now - 300.0
        ]
        assert self.spool.stuck(300.0) == len(stalled)
        assert self.spool.stuck(300.0) == 0
        for item in stalled:
            item.state = BatchState.ERROR

    @rule()
    def release(self):
        running = [i for i in self.ranges.values() if i.state is BatchState.STARTED]
        assert self.spool.release() == len(running)
        for item in running:
            item.state = BatchState.ERROR

    @rule(session=st.none() | SESSIONS, gave_up=st.booleans())
    def retry(self, session, gave_up):
        states = {BatchState.GAVE_UP} if gave_up else {BatchState.ERROR}
        found = [
            item
            for item in self.ranges.values()
            if item.state in states and session in {None, item.session}
        ]
        assert self.spool.retry(session=session, states=states) == len(found)
        for item in found:
            item.state = BatchState.ERROR

    @precondition(lambda self: self.ranges)
    @rule(data=st.data())
    def reopen(self, data):
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.ranges)), min_size=1, max_size=3))
        found = [
            item
            for item in map(self.ranges.__getitem__, chosen)
            if item.state is BatchState.COMPLETED and any(map(item.has, self.known.values()))
        ]
        assert self.spool.reopen(chosen) == len(found)
        for item in found:
            item.state = BatchState.ERROR
            for known in filter(item.has, self.known.values()):
                known.flushed_at = None

    # Upkeep

    @rule(limit=st.integers(1, 20), pause=PAUSES)
    def purge(self, limit, pause):
        self.now += pause
        before = self.now - KEPT_S
        count = self.spool.purge(self.now, KEPT_S, limit)
        lost = self._left()
        assert count == len(lost) <= limit
        for known in lost:
            assert known.flushed_at is not None
            assert known.flushed_at < before
            if known.event.kind in HISTORY_KINDS:
                session = known.event.session
                assert self.last_at[session] < before
                assert not self._owes(session)
        self._books()

    @rule(limit=st.integers(1, 20))
    def shrink(self, limit):
        count = self.spool.shrink(0, limit)
        lost = self._left()
        assert count == len(lost) <= limit
        assert all(known.flushed_at is not None for known in lost)
        if not count:
            assert all(known.flushed_at is None for known in self.known.values())
        self._books()

    def _left(self) -> list[Known]:
        """What is not in the spool any more; the model forgets it."""
        rows = {row.event.event_id for row in self.spool.tail(flushed_since=0.0, limit=1000)}
        lost = [known for name, known in self.known.items() if name not in rows]
        for known in lost:
            del self.known[known.event.event_id]
        return lost

    def _owes(self, session) -> bool:
        return any(
            item.session == session and item.state not in DONE for item in self.ranges.values()
        ) or any(
            known.event.session == session and known.flushed_at is None
            for known in self.known.values()
        )

    def _books(self) -> None:
        """Batches and sessions may only go when they are settled and nothing of them is left."""
        for id_, item in list(self.ranges.items()):
            if self.spool.batch(id_) is None:
                assert item.state in DONE
                assert not any(map(item.has, self.known.values()))
                del self.ranges[id_]
        there = {entry.session for entry in self.spool.sessions()}
        for session in set(self.cursors) - there:
            assert not any(known.event.session == session for known in self.known.values())
            assert not any(item.session == session for item in self.ranges.values())
            self.cursors[session] = 0
            self.last_at[session] = 0.0

    @rule(crash=st.booleans())
    def start_again(self, crash):
        """After a crash what is on disk is all that is left: no log is moved, no file is closed."""
        self.spool.sample()
        self.spool.report(self.now - 1e6, self.now + 1, 5)
        if crash:
            self.lives += 1
            copy = self.folder / str(self.lives)
            shutil.copytree(self.path.parent, copy)
            (copy / "spool.sqlite3-shm").unlink(missing_ok=True)
        self.spool.close()
        if crash:
            self.path = copy / self.path.name
        self.spool = self._open()

    # What holds

    @invariant()
    def batches_are_as_the_model_says(self):
        for id_, item in self.ranges.items():
            stored = self.spool.batch(id_)
            assert (stored.session, stored.first_seq, stored.last_seq) == (
                item.session, item.first, item.last,
            )  # fmt: skip
            assert stored.state is item.state
            assert (stored.finished_at is None) == (item.state in OPEN)

    @invariant()
    def every_event_is_in_at_most_one_batch(self):
        for session in self.cursors:
            spans = sorted(
                (item.first, item.last) for item in self.ranges.values() if item.session == session
            )
            assert all(one[1] < two[0] for one, two in pairwise(spans))

    @invariant()
    def nothing_that_was_acknowledged_is_lost_or_changed(self):
        rows = {row.event.event_id: row for row in self.spool.tail(flushed_since=0.0, limit=1000)}
        assert set(rows) == set(self.known)
        for name, known in self.known.items():
            row = rows[name]
            kept = known.event
            if known.same_as:
                stub = {"type": kept.kind.value, "same_as": known.same_as}
                kept = replace(kept, content="", metadata=stub)
            assert (row.seq, row.event, row.flushed_at) == (known.seq, kept, known.flushed_at)

    @invariant()
    def the_books_agree(self):
        backlog = {item.session: item for item in self.spool.backlog()}
        cursors = {item.session: item.cursor for item in self.spool.status().sessions}
        for session, cursor in self.cursors.items():
            assert cursors.get(session, 0) == cursor
            waiting = [
                known.event
                for known in self.known.values()
                if known.event.session == session and known.seq > cursor
            ]
            if not waiting:
                assert session not in backlog or backlog[session].pending == 0
                continue
            found = backlog[session]
            kinds = [event.kind for event in waiting]
            assert found.pending == len(waiting)
            assert found.tools == sum(kind in TOOLS for kind in kinds)
            assert found.prompts == kinds.count(EventKind.PROMPT)
            assert found.boundary == any(map(is_boundary, waiting))


SpoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSpool = SpoolMachine.TestCase
