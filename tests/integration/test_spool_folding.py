"""The same tool event again and again: each id arrives once, the text is kept once."""

from __future__ import annotations

import tempfile
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_manager.extract.episodes import worth_keeping
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.folding import FOLDED, repeats, stub
from memory_manager.spool.store import Spool

RUN = RawEvent(
    "a", "g", "s", EventKind.COMMAND, 1.0, "make test",
    {"type": "command", "command": "make test", "exit": 1, "output": "boom", "duration": 2.0},
)  # fmt: skip


@contextmanager
def opened(path=None):
    with (
        tempfile.TemporaryDirectory(prefix="ogm-f-") as folder,
        closing(Spool.open(path or Path(folder) / "spool.sqlite3", now=lambda: 9.0)) as spool,
    ):
        yield spool


def stored(spool, group="g"):
    """Every row, oldest first."""
    return [row for row in spool.tail(flushed_since=0.0, limit=9999) if row.event.group == group]


def again(name, event=RUN, **changed):
    metadata = {**event.metadata, "duration": 3.5, "message_id": f"m-{name}", **changed}
    return replace(event, event_id=name, at=event.at + 1, metadata=metadata)


@pytest.mark.parametrize("together", [True, False])
def test_a_repeat_is_kept_without_its_text(together):
    events = [RUN, again("b"), again("c")]
    with opened() as spool:
        receipts = (
            [spool.append(events)] if together else [spool.append([event]) for event in events]
        )
        rows = [row.event for row in stored(spool)]

    assert rows[0] == RUN
    for row, event in zip(rows[1:], events[1:], strict=True):
        assert (row.event_id, row.at, row.kind, row.content) == (
            event.event_id, event.at, event.kind, "",
        )  # fmt: skip
        assert row.metadata == {"type": "command", "same_as": "a"}
        assert not worth_keeping(row)
    assert frozenset().union(*(receipt.folded for receipt in receipts)) == {"b", "c"}
    assert [name for receipt in receipts for name in receipt.new] == ["a", "b", "c"]


def test_a_repeat_counts_like_any_other(tmp_path):
    with opened() as spool:
        spool.append([RUN, again("b")])
        waiting = spool.backlog()[0]
        assert (waiting.pending, waiting.tools) == (2, 2)
        assert spool.append([again("b"), RUN]).inserted == 0
        assert spool.append([again("b")]).inserted == 0
        assert spool.append([RUN]).inserted == 0
        batch = spool.claim("g", "s")
        assert [event.event_id for event in spool.read(batch)] == ["a", "b"]


@pytest.mark.parametrize(
    "other",
    [
        replace(RUN, event_id="o", content="make tests"),
        replace(RUN, event_id="o", session="t"),
        replace(RUN, event_id="o", kind=EventKind.TOOL),
        again("o", exit=0),
        again("o", exit=True),
        again("o", output="boom!"),
        again("o", more=None),
    ],
)
def test_what_differs_in_anything_but_time_is_kept_whole(other):
    with opened() as spool:
        assert spool.append([RUN, other]).folded == frozenset()
        assert spool.append([again("x", other)]).folded == {"x"}
        kept = {row.event.event_id: row.event for row in stored(spool)}
    assert kept["o"] == other


@pytest.mark.parametrize("kind", sorted(set(EventKind) - FOLDED))
def test_only_tools_and_commands_are_folded(kind):
    event = replace(RUN, kind=kind)
    with opened() as spool:
        assert spool.append([event, again("b", event)]).folded == frozenset()
        assert spool.append([again("c", event)]).folded == frozenset()


def test_anything_in_between_ends_the_row():
    edit = RawEvent(
        "e", "g", "s", EventKind.FILE_EDIT, 2.0, "Modified: a.py", {"type": "file_edit"}
    )
    with opened() as spool:
        spool.append([RUN, edit])
        assert spool.append([again("b")]).folded == frozenset()
        assert spool.append([replace(edit, event_id="e2"), again("c")]).folded == frozenset()


def test_another_session_in_between_does_not_end_it():
    with opened() as spool:
        spool.append([RUN, replace(RUN, event_id="t", session="t"), again("b")])
        assert spool.append([again("c")]).folded == {"c"}


def test_when_the_first_one_is_gone_the_next_is_kept_whole():
    with opened() as spool:
        spool.append([RUN, again("b")])
        spool._db.execute("DELETE FROM raw_events WHERE event_id = 'a'")
        assert spool.append([again("c")]).folded == frozenset()
        assert spool.append([again("d")]).folded == {"d"}


def test_a_stub_that_somebody_made_up_is_nobodys_text():
    forged = RawEvent("f", "g", "s", EventKind.TOOL, 1.0, "", {"type": "tool", "same_as": "a"})
    with opened() as spool:
        spool.append([RUN, forged])
        assert spool.append([again("b")]).folded == frozenset()


def test_the_decision_looks_at_nothing_but_the_two():
    assert repeats(again("b"), RUN)
    assert not repeats(replace(again("b"), group="h"), RUN)
    assert stub(again("b"), RUN).metadata == {"type": "command", "same_as": "a"}


EVENTS = st.lists(
    st.builds(
        lambda number, session, kind, content, exit_: RawEvent(
            f"e{number}", "g", session, kind, 1.0, content,
            {"type": kind.value, "exit": exit_, "duration": float(number)},
        ),
        st.integers(0, 25),
        st.sampled_from("st"),
        st.sampled_from([EventKind.COMMAND, EventKind.TOOL, EventKind.NOTE]),
        st.sampled_from(["x", "y", ""]),
        st.sampled_from([0, 1]),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.data())
def test_however_a_sequence_is_split_into_appends_the_same_is_stored(events, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)))) | {0, len(events)})
    with opened() as whole, opened() as pieces, opened() as single:
        whole.append(events)
        for first, last in pairwise(cuts):
            pieces.append_many([events[first:last]])
        for event in events:
            single.append([event])
        found = [[row.event for row in stored(spool)] for spool in (whole, pieces, single)]

    assert found[0] == found[1] == found[2]
    assert [event.event_id for event in found[0]] == list(
        dict.fromkeys(event.event_id for event in events)
    )
    _explained(found[0], events)


def _explained(rows, events):
    """Each row is the event as it was given, or says whose text it repeats."""
    given_as = {}
    for event in events:
        given_as.setdefault(event.event_id, event)
    last = {}
    for row in rows:
        event = given_as[row.event_id]
        first = row.metadata.get("same_as")
        if first is None:
            assert row == event
            last[row.session] = event
        else:
            assert row.content == ""
            assert first == last[row.session].event_id
            assert repeats(event, last[row.session])
