from __future__ import annotations

from dataclasses import replace

from bridge.flush.policy import FlushPolicy, agenda, due_at, pause
from memory_manager.spool.batches import Backlog, Batch, BatchState

POLICY = FlushPolicy()
BASE = Backlog("g", "s", 3, 2, 1, first_at=1000.0, last_at=1010.0, boundary=True)


def batch(state: BatchState, retry_at: float | None) -> Batch:
    return Batch(1, "g", "s", 1, 3, state, 1, 1, "bridge", "", 1000.0, 1000.0, retry_at)


def test_a_session_that_ended_a_turn_waits_for_the_debounce():
    assert due_at(BASE, POLICY) == 1070.0


def test_a_session_without_an_end_marker_waits_for_the_sweepers_longer_quiet():
    assert due_at(replace(BASE, boundary=False), POLICY) == 1130.0


def test_without_the_sweeper_it_waits_for_the_longest_wait():
    policy = replace(POLICY, sweeper=False)

    assert due_at(replace(BASE, boundary=False), policy) == 1600.0


def test_a_session_that_never_pauses_is_flushed_after_ten_minutes_all_the_same():
    busy = replace(BASE, first_at=1000.0, last_at=1590.0)

    assert due_at(busy, POLICY) == 1600.0


def test_fifty_tool_events_or_fifteen_prompts_are_due_at_once():
    assert due_at(replace(BASE, tools=50), POLICY) == 1010.0
    assert due_at(replace(BASE, prompts=15), POLICY) == 1010.0
    assert due_at(replace(BASE, tools=49, prompts=14), POLICY) == 1070.0


def test_a_failed_batch_is_due_at_its_retry_time_and_without_one_never():
    assert due_at(replace(BASE, batch=batch(BatchState.ERROR, 2000.0)), POLICY) == 2000.0
    assert due_at(replace(BASE, batch=batch(BatchState.ERROR, None)), POLICY) is None


def test_a_running_batch_is_left_alone():
    assert due_at(replace(BASE, batch=batch(BatchState.STARTED, None)), POLICY) is None


def test_switched_off_nothing_is_due():
    assert due_at(BASE, replace(POLICY, auto=False)) is None


def test_an_agenda_names_what_is_due_and_when_to_look_again():
    later = replace(BASE, session="later", last_at=1100.0)

    plan = agenda([BASE, later], 1075.0, POLICY)

    assert [backlog.session for backlog in plan.due] == ["s"]
    assert plan.next_at == 1160.0


def test_pauses_double_up_to_ten_minutes_and_half_of_each_is_chance():
    assert [pause(attempt, 1.0) for attempt in (1, 2, 3, 4)] == [5.0, 10.0, 20.0, 40.0]
    assert pause(1, 0.0) == 2.5
    assert pause(60, 1.0) == 600.0
