"""Any interleaving of appends, claims, reports and crashes: nothing lost, nothing flushed twice."""

from __future__ import annotations

import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.batches import OPEN, BatchState, is_boundary
from memory_manager.spool.store import Spool

SESSIONS = st.sampled_from(["s", "t"])
KINDS = st.sampled_from(
    [EventKind.TOOL, EventKind.PROMPT, EventKind.SUCCESS, EventKind.NOTE, EventKind.FILE_EDIT]
)
#: Kinds that count as tool events when a busy session's flush is decided.
TOOLS = {EventKind.TOOL, EventKind.FILE_EDIT, EventKind.COMMAND}


class SpoolMachine(RuleBasedStateMachine):
    """The model: events by row, ranges by batch, cursors by session."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ogm-m-"))
        self.now = 1000.0
        self.spool = self._open()
        self.events: dict[str, tuple[int, RawEvent]] = {}
        self.ranges: dict[int, tuple[str, int, int]] = {}
        self.states: dict[int, BatchState] = {}
        self.current: dict[int, int] = {}
        self.cursors = {"s": 0, "t": 0}

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    def _open(self) -> Spool:
        return Spool.open(self.folder / "spool.sqlite3", now=lambda: self.now)

    @rule(
        session=SESSIONS, kind=KINDS, numbers=st.lists(st.integers(0, 30), min_size=1, max_size=5)
    )
    def append(self, session, kind, numbers):
        events = [
            RawEvent(f"e{n}", "g", session, kind, float(n), "x", {"type": kind.value})
            for n in numbers
        ]
        receipt = self.spool.append(events)
        fresh = {event.event_id: event for event in reversed(events)}
        fresh = {name: event for name, event in fresh.items() if name not in self.events}

        assert set(receipt.new) == set(fresh)
        assert receipt.received == len(numbers)
        self.events |= {name: (seq, fresh[name]) for name, seq in receipt.new.items()}

    @rule(target=claims, session=SESSIONS, limit=st.integers(1, 4), force=st.booleans())
    def claim(self, session, limit, force):
        batch = self.spool.claim("g", session, limit=limit, force=force)
        mine = [id_ for id_, (owner, _, _) in self.ranges.items() if owner == session]
        if any(self.states[id_] is BatchState.STARTED for id_ in mine):
            assert batch is None
        if batch is None:
            return multiple()
        assert (session, batch.first_seq, batch.last_seq) == self.ranges.setdefault(
            batch.id, (session, batch.first_seq, batch.last_seq)
        )
        rows = [
            name
            for name, (seq, event) in sorted(self.events.items(), key=lambda item: item[1][0])
            if event.session == session and batch.first_seq <= seq <= batch.last_seq
        ]
        assert [event.event_id for event in self.spool.read(batch)] == rows
        self.states[batch.id] = BatchState.STARTED
        self.current[batch.id] = batch.claims
        return batch

    def _report(self, batch, reported, state: BatchState) -> None:
        valid = self.current[batch.id] == batch.claims and self.states[batch.id] in OPEN
        assert reported == valid
        if valid:
            self.states[batch.id] = state
            if state not in OPEN:
                self.cursors[batch.session] = max(self.cursors[batch.session], batch.last_seq)

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
        valid = self.current[batch.id] == batch.claims
        alive = valid and self.states[batch.id] is BatchState.STARTED
        assert self.spool.heartbeat(batch) == alive

    @rule(seconds=st.sampled_from([1.0, 60.0, 400.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def stuck(self):
        self.spool.stuck(300.0)
        self._reread(BatchState.STARTED, BatchState.ERROR)

    @rule()
    def release(self):
        self.spool.release()
        self._reread(BatchState.STARTED, BatchState.ERROR)
        assert BatchState.STARTED not in self.states.values()

    @rule(session=st.none() | SESSIONS)
    def retry(self, session):
        self.spool.retry(session=session)
        self._reread(BatchState.GAVE_UP, BatchState.ERROR)

    @rule()
    def crash(self):
        self.spool.close()
        self.spool = self._open()

    def _reread(self, before: BatchState, after: BatchState) -> None:
        for id_, state in self.states.items():
            stored = self.spool.batch(id_)
            assert stored is not None
            assert stored.state in {state, after} if state is before else stored.state is state
            self.states[id_] = stored.state

    @invariant()
    def batches_are_as_the_model_says(self):
        for id_, (session, first, last) in self.ranges.items():
            stored = self.spool.batch(id_)
            assert (stored.session, stored.first_seq, stored.last_seq) == (session, first, last)
            assert stored.state is self.states[id_]

    @invariant()
    def every_event_is_in_at_most_one_batch(self):
        for session in self.cursors:
            spans = sorted(
                (first, last) for owner, first, last in self.ranges.values() if owner == session
            )
            assert all(one[1] < two[0] for one, two in pairwise(spans))

    @invariant()
    def nothing_is_lost(self):
        rows = {row.event.event_id: row for row in self.spool.tail(flushed_since=0.0, limit=1000)}
        assert set(rows) == set(self.events)
        done = {BatchState.COMPLETED, BatchState.SKIPPED}
        for name, (seq, event) in self.events.items():
            flushed = any(
                owner == event.session and first <= seq <= last and self.states[id_] in done
                for id_, (owner, first, last) in self.ranges.items()
            )
            assert (rows[name].flushed_at is not None) == flushed

    @invariant()
    def the_books_agree(self):
        backlog = {item.session: item for item in self.spool.backlog()}
        cursors = {item.session: item.cursor for item in self.spool.status().sessions}
        for session, cursor in self.cursors.items():
            assert cursors.get(session, 0) == cursor
            waiting = [
                event
                for seq, event in self.events.values()
                if event.session == session and seq > cursor
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
