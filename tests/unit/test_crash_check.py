"""The crash suite's own eyes: whatever is lost, doubled or moved, it sees."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from bridge.crash.check import (
    Findings,
    Model,
    check_drained,
    check_graph,
    check_spool,
    check_summaries,
    expected,
)
from bridge.crash.spool_file import Range, Stored, View
from bridge.crash.workload import Workload, retimed


def deliveries(seed=7, rounds=2):
    drawn = Workload(random.Random(seed)).rounds()  # noqa: S311 - to be repeatable
    return [one for _ in range(rounds) for one in next(drawn)]


@pytest.fixture(scope="module")
def sent():
    return deliveries()


def undisturbed(sent):
    """A model, and the spool that a bridge would have made of it: each session one batch."""
    model = Model()
    model.give(sent)
    model.answered(sent)
    events = list({(e.group, e.event_id): e for one in sent for e in one.events}.values())
    events.sort(key=lambda event: (event.group, event.session))
    stored = [Stored(seq, event, flushed=True) for seq, event in enumerate(events, 1)]
    sessions, batches = {}, []
    for one in stored:
        sessions.setdefault((one.event.group, one.event.session), []).append(one.seq)
    for number, ((group, session), seqs) in enumerate(sessions.items(), 1):
        batches.append(Range(number, group, session, seqs[0], seqs[-1], "completed", 1, 1, ""))
    view = View(stored, batches, {key: (seqs[-1], 0) for key, seqs in sessions.items()})
    return model, view


@pytest.fixture
def model(sent):
    return undisturbed(sent)[0]


@pytest.fixture
def view(sent):
    return undisturbed(sent)[1]


def looked(model, view):
    found = Findings()
    check_spool(model, view, found)
    return found


def test_the_same_seed_gives_the_same_requests_and_another_seed_others():
    first, again, other = deliveries(1), deliveries(1), deliveries(2)

    assert [one.params for one in first] == [one.params for one in again]
    assert [one.params for one in first] != [one.params for one in other]


def test_requests_come_late_twice_and_by_every_way(sent):
    assert {one.method for one in sent} == {"hook", "ingest", "store"}
    ids = [event.event_id for one in sent for event in one.events]
    assert len(set(ids)) < len(ids)
    times = [one.events[0].at for one in sent if one.timed]
    assert times != sorted(times)


def test_an_undisturbed_spool_has_no_faults(model, view):
    found = looked(model, view)
    check_drained(view, found)

    assert found.faults == []
    assert (found.lost, found.doubled) == (0, 0)


def test_a_time_that_the_bridge_gave_is_no_fault_and_a_time_that_was_sent_is(model, view):
    def moved(timed):
        place = next(
            number
            for number, one in enumerate(view.events)
            if model.sent[one.event.group, one.event.event_id][1] is timed
        )
        events = list(view.events)
        events[place] = replace(events[place], event=retimed(events[place].event, 5.0))
        return looked(model, replace(view, events=events)).faults

    assert moved(timed=False) == []
    assert len(moved(timed=True)) == 1


def test_an_event_that_is_gone_is_lost_only_if_it_was_acknowledged(model, view):
    gone = view.events[3].event
    left = replace(view, events=[one for one in view.events if one.event is not gone])
    assert looked(model, left).lost == 1

    model.acknowledged.discard((gone.group, gone.event_id))
    assert looked(model, left).lost == 0


def damaged(view, **changes):
    batches = list(view.batches)
    batches[0] = replace(batches[0], **changes)
    return replace(view, batches=batches)


def test_every_disorder_of_the_spool_is_seen(model, view):
    assert looked(model, view).faults == []
    key, (cursor, _) = next(iter(view.sessions.items()))
    first = view.batches[0]
    twice = replace(view.events[0], seq=999)
    altered = replace(view.events[0].event, content="something else")
    strange = replace(view.events[0].event, event_id="never sent")
    disorders = {
        "on disk twice": replace(view, events=[*view.events, twice]),
        "not as it was sent": replace(
            view, events=[Stored(1, altered, flushed=True), *view.events[1:]]
        ),
        "never sent": replace(view, events=[*view.events, Stored(998, strange, flushed=False)]),
        "has changed": damaged(view, last=first.last + 1),
        "a batch has gone": replace(view, batches=view.batches[1:]),
        "overlap": replace(view, batches=[*view.batches, replace(first, id=99)]),
        "the cursor of": replace(view, sessions={**view.sessions, key: (cursor - 1, 1)}),
        "what waits in": replace(view, sessions={**view.sessions, key: (cursor, 2)}),
        "marked flushed": damaged(view, state="gave_up"),
        "damaged": replace(view, damage="row 3 missing from index"),
    }
    for words, disorder in disorders.items():
        assert any(words in fault for fault in looked(model, disorder).faults), words


def test_what_waits_or_was_given_up_after_a_drain_is_seen(view):
    found = Findings()
    key, (cursor, _) = next(iter(view.sessions.items()))
    check_drained(replace(view, sessions={key: (cursor, 1)}), found)
    check_drained(damaged(view, state="gave_up"), found)

    assert len(found.faults) == 2


def test_every_difference_of_a_graph_is_seen(view):
    exports = asyncio.run(expected(view))
    assert len(exports) == 2
    for wanted in exports.values():
        found = Findings()
        check_graph(view, wanted, wanted, found)
        assert found.faults == []

        for part in ("episodes", "entities", "facts", "mentions"):
            assert wanted[part]
            for damaged_part in (wanted[part][1:], [*wanted[part], wanted[part][0]]):
                found = Findings()
                check_graph(view, wanted, {**wanted, part: damaged_part}, found)
                assert found.faults, part
                if part == "episodes":
                    assert found.lost + found.doubled == 1


def test_a_batch_has_its_one_summary(view):
    wanted = next(iter(asyncio.run(expected(view)).values()))
    group = wanted["group"]
    own = {"kind": "summary", "event_id": "summary:s:e", "content": "x", "uuid": "of its own"}
    summary = {**wanted["episodes"][0], **own}
    summed = {**wanted, "episodes": [*wanted["episodes"], summary]}

    def faults(summaries, export):
        found = Findings()
        check_summaries(summaries, export, found)
        check_graph(view, wanted, export, found)
        return found.faults

    assert faults({(group, "summary:s:e"): "x"}, summed) == []
    assert len(faults({(group, "summary:s:e"): "x"}, wanted)) == 1
    assert len(faults({}, summed)) == 1
    assert len(faults({(group, "summary:s:e"): "y"}, summed)) == 2
