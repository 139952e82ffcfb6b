"""What is due, and when a failed batch is tried again. Pure: the clock and chance come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenacity import RetryCallState, wait_exponential

from memory_manager.spool.batches import Backlog, BatchState

if TYPE_CHECKING:
    from tenacity.wait import wait_base

    from bridge.settings import BridgeSettings

#: A busy session is flushed at these, however little it pauses (`spec.md`, section 5).
MOST_TOOLS, MOST_PROMPTS, LONGEST_WAIT_S = 50, 15, 600.0


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """The settings that decide; durations in seconds."""

    auto: bool = True
    debounce: float = 60.0
    sweeper: bool = True
    sweeper_idle: float = 120.0
    stuck: float = 300.0
    max_attempts: int = 5
    retry: bool = True


def policy_of(settings: BridgeSettings) -> FlushPolicy:
    """The settings that decide about flushes, in seconds."""
    return FlushPolicy(
        auto=settings.auto_flush,
        debounce=settings.debounce_ms / 1000,
        sweeper=settings.sweeper,
        sweeper_idle=settings.sweeper_idle_ms / 1000,
        stuck=settings.stuck_batch_ms / 1000,
        max_attempts=settings.max_flush_attempts,
        retry=settings.retry == "auto",
    )


@dataclass(frozen=True, slots=True)
class Agenda:
    """Sessions to flush now, longest waiting first, and when to look again (None: on news)."""

    due: tuple[Backlog, ...]
    next_at: float | None


def agenda(waiting: list[Backlog], now: float, policy: FlushPolicy) -> Agenda:
    """What is due at `now` and when the next session may be."""
    due: list[Backlog] = []
    next_at: float | None = None
    for backlog in waiting:
        at = due_at(backlog, policy)
        if at is None:
            continue
        if at <= now:
            due.append(backlog)
        else:
            next_at = at if next_at is None else min(next_at, at)
    return Agenda(tuple(due), next_at)


def due_at(backlog: Backlog, policy: FlushPolicy) -> float | None:
    """When this session is to be flushed (it may be past); None: not by itself.

    With an end marker it waits for `debounce` of quiet, without one for the sweeper's longer
    quiet; a session that never pauses is flushed at a count or an age all the same.
    """
    if not policy.auto:
        return None
    if backlog.batch is not None:
        # A running one is left alone; if it hangs, the stuck check frees it.
        return backlog.batch.retry_at if backlog.batch.state is BatchState.ERROR else None
    if backlog.first_at is None or backlog.last_at is None:
        return None
    return _first_due_at(backlog, backlog.first_at, backlog.last_at, policy)


def _first_due_at(backlog: Backlog, first: float, last: float, policy: FlushPolicy) -> float:
    if backlog.tools >= MOST_TOOLS or backlog.prompts >= MOST_PROMPTS:
        return last
    latest = first + LONGEST_WAIT_S
    if backlog.boundary:
        return min(latest, last + policy.debounce)
    if policy.sweeper:
        return min(latest, last + max(policy.debounce, policy.sweeper_idle))
    return latest


#: 5 s doubling to 10 minutes.
_BACKOFF: wait_base = wait_exponential(multiplier=5, max=600)


def pause(attempts: int, chance: float) -> float:
    """Seconds until the next attempt, half of it chance, so that sessions don't retry in step.

    Args:
        attempts: attempts made so far, at least 1.
        chance: from 0 to 1.
    """
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type] # the policy reads one number
    state.attempt_number = max(1, attempts)
    return _BACKOFF(state) * (0.5 + 0.5 * chance)
