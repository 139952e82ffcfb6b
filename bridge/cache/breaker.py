"""When to leave a failing cache alone. Pure: state and time in, decision and state out.

Closed: every call goes through. After `THRESHOLD` failures in a row it opens: calls are refused
until the cool-down is over; then one call, the probe, goes through. Its success closes the
breaker, its failure doubles the cool-down up to `LONGEST_COOLDOWN_S`. A probe that never reports
(its task was cancelled) only costs another cool-down.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

THRESHOLD = 3
FIRST_COOLDOWN_S = 0.5
LONGEST_COOLDOWN_S = 10.0


class Admission(StrEnum):
    """What a call was told."""

    NORMAL = "normal"
    PROBE = "probe"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Breaker:
    """Failures in a row while closed; `cooldown` (seconds, 0 when closed); when to probe next."""

    failures: int = 0
    cooldown: float = 0.0
    retry_at: float = 0.0

    @property
    def closed(self) -> bool:
        return not self.cooldown


CLOSED = Breaker()


def admit(breaker: Breaker, now: float) -> tuple[Admission, Breaker]:
    """May a call go through at `now` (monotonic seconds)? Keep the state that comes back."""
    if breaker.closed:
        return Admission.NORMAL, breaker
    if now < breaker.retry_at:
        return Admission.REFUSED, breaker
    # The next probe is a cool-down away: this is also what keeps a second one from joining.
    return Admission.PROBE, Breaker(breaker.failures, breaker.cooldown, now + breaker.cooldown)


def succeeded(breaker: Breaker) -> Breaker:
    """The state after a call that was answered."""
    return CLOSED if breaker.failures or breaker.cooldown else breaker


def failed(breaker: Breaker, now: float, admission: Admission) -> Breaker:
    """The state after a call that failed at `now` and had been admitted as `admission`."""
    if breaker.closed:
        failures = breaker.failures + 1
        if failures < THRESHOLD:
            return Breaker(failures)
        return Breaker(failures, FIRST_COOLDOWN_S, now + FIRST_COOLDOWN_S)
    if admission is not Admission.PROBE:
        return breaker  # a straggler from before it opened says nothing new
    cooldown = min(breaker.cooldown * 2, LONGEST_COOLDOWN_S)
    return Breaker(breaker.failures, cooldown, now + cooldown)
