from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.flush.policy import FlushPolicy, agenda, due_at, ended, hopeless, pause, retry_at
from memory_manager.spool.batches import Backlog, Batch, BatchState

POLICY = FlushPolicy()
BASE = Backlog("g", "s", 3, 2, 1, first_at=1000.0, last_at=1010.0, boundary=True)


def batch(state: BatchState, retry_at: float | None, attempts: int = 1) -> Batch:
    return Batch(1, "g", "s", 1, 3, state, attempts, 1, "bridge", "", 1000.0, 1000.0, retry_at)


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


def test_a_session_that_was_left_for_a_new_one_waits_for_the_debounce_alone():
    left = replace(BASE, boundary=False)
    new = replace(
        BASE, session="new", boundary=False, first_at=1015.0, last_at=1020.0, began=1015.0
    )

    plan = agenda([left, new], 1000.0, POLICY)

    assert plan.next_at == 1070.0
    assert [one.boundary for one in ended([left, new])] == [True, False]


def test_a_session_of_another_project_or_one_that_goes_on_beside_it_ends_nothing():
    session = replace(BASE, boundary=False, began=900.0)
    beside = replace(session, session="beside", first_at=1015.0, last_at=1020.0, began=950.0)
    elsewhere = replace(session, group="other", session="new", last_at=1020.0, began=1015.0)

    assert ended([session, beside, elsewhere]) == [session, beside, elsewhere]


def test_a_session_that_goes_on_after_a_new_one_began_is_not_ended():
    going = replace(BASE, boundary=False, last_at=1030.0, began=900.0)
    new = replace(BASE, session="new", last_at=1020.0, began=1015.0)

    assert ended([going, new]) == [going, new]


def test_with_retry_by_hand_only_what_a_hand_asked_for_is_due():
    manual = replace(POLICY, retry=False)

    failed, asked = batch(BatchState.ERROR, 2000.0), batch(BatchState.ERROR, 2000.0, attempts=0)

    assert due_at(replace(BASE, batch=failed), manual) is None
    assert due_at(replace(BASE, batch=asked), manual) == 2000.0
    assert retry_at(failed, manual, 3000.0, 0.5) is None


def test_a_batch_is_hopeless_when_its_last_attempt_has_failed():
    assert not hopeless(batch(BatchState.STARTED, None, attempts=4), POLICY)
    assert hopeless(batch(BatchState.STARTED, None, attempts=5), POLICY)


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 2e9))
def test_a_retry_is_later_but_never_by_more_than_ten_minutes(attempts, chance, now):
    at = retry_at(batch(BatchState.ERROR, None, attempts), POLICY, now, chance)

    assert now < at <= now + 600.001


@given(st.integers(1, 50), st.floats(0, 1), st.floats(0, 1))
def test_retries_of_two_sessions_part_by_chance_and_a_later_one_waits_no_less(attempts, one, other):
    assert pause(attempts, 1.0) >= pause(attempts, one) >= pause(attempts, 0.0)
    assert pause(attempts, 0.0) == pause(attempts, 1.0) / 2
    assert pause(attempts + 1, other) >= pause(attempts, other)


MOMENTS = st.lists(
    st.tuples(st.floats(0.0, 300.0), st.sampled_from(["tool", "prompt", "end", "other"])),
    min_size=1,
    max_size=80,
)


@settings(max_examples=100, deadline=None)
@given(MOMENTS, st.booleans())
def test_whatever_a_session_does_its_events_are_due_within_the_bounds(moments, sweeper):
    """Also when no idle marker ever comes, and when it never pauses."""
    policy = replace(POLICY, sweeper=sweeper)
    now, first, last = 1000.0, None, None
    tools = prompts = 0
    boundary = False
    for wait, what in moments:
        if first is not None:
            backlog = Backlog("g", "s", 1, tools, prompts, first, last, boundary)
            due = due_at(backlog, policy)
            assert last <= due <= first + 600.0
            assert due <= last + (120.0 if sweeper or boundary else 600.0)
            if tools >= 50 or prompts >= 15:
                assert due == last
            if due <= now + wait:
                # Flushed meanwhile: nothing is pending.
                first, tools, prompts, boundary = None, 0, 0, False
        now += wait
        first = now if first is None else first
        last = now
        tools += what == "tool"
        prompts += what == "prompt"
        boundary |= what == "end"
