from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.cache.breaker import (
    CLOSED,
    FIRST_COOLDOWN_S,
    LONGEST_COOLDOWN_S,
    THRESHOLD,
    Admission,
    admit,
    failed,
    succeeded,
)


def opened(now: float = 0.0):
    breaker = CLOSED
    for _ in range(THRESHOLD):
        admission, breaker = admit(breaker, now)
        breaker = failed(breaker, now, admission)
    return breaker


def test_a_closed_breaker_lets_everything_through():
    assert admit(CLOSED, 0.0) == (Admission.NORMAL, CLOSED)


def test_failures_in_a_row_open_it():
    breaker = opened()

    assert not breaker.closed
    assert admit(breaker, FIRST_COOLDOWN_S - 0.01)[0] is Admission.REFUSED


def test_a_success_between_failures_keeps_it_closed():
    breaker = CLOSED
    for _ in range(THRESHOLD * 3):
        breaker = failed(breaker, 0.0, Admission.NORMAL)
        breaker = succeeded(breaker)

    assert breaker.closed


def test_one_probe_at_a_time_goes_through_after_the_cooldown():
    admission, breaker = admit(opened(), FIRST_COOLDOWN_S)

    assert admission is Admission.PROBE
    assert admit(breaker, FIRST_COOLDOWN_S)[0] is Admission.REFUSED


def test_a_probe_that_never_reports_costs_one_more_cooldown():
    _, breaker = admit(opened(), FIRST_COOLDOWN_S)

    assert admit(breaker, 2 * FIRST_COOLDOWN_S)[0] is Admission.PROBE


def test_a_good_probe_closes_it():
    _, breaker = admit(opened(), FIRST_COOLDOWN_S)

    assert succeeded(breaker) == CLOSED


def test_a_bad_probe_doubles_the_cooldown_up_to_the_longest():
    breaker, now, cooldowns = opened(), 0.0, []
    for _ in range(8):
        now = breaker.retry_at
        admission, breaker = admit(breaker, now)
        breaker = failed(breaker, now, admission)
        cooldowns.append(breaker.retry_at - now)

    assert cooldowns[:2] == [2 * FIRST_COOLDOWN_S, 4 * FIRST_COOLDOWN_S]
    assert cooldowns[-1] == LONGEST_COOLDOWN_S


def test_stragglers_do_not_lengthen_the_cooldown():
    breaker = opened()

    assert failed(breaker, 0.1, Admission.NORMAL) == breaker


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans())))
def test_a_dead_server_is_asked_at_most_once_in_a_cooldown(steps):
    breaker, now, probes = opened(), 0.0, []
    for wait, reports in steps:
        now += wait
        admission, breaker = admit(breaker, now)
        if admission is Admission.PROBE:
            probes.append(now)
            if reports:
                breaker = failed(breaker, now, admission)

    assert all(b - a >= FIRST_COOLDOWN_S for a, b in pairwise(probes))
    assert not breaker.closed
