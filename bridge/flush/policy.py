"""What is due, and when a failed batch is tried again. Pure: the clock and chance come in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tenacity import RetryCallState, wait_exponential

from memory_manager.spool.batches import Backlog, Batch, BatchState

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def agenda(waiting: Sequence[Backlog], now: float, policy: FlushPolicy) -> Agenda:
    """What is due at `now` and when the next session may be."""
    due: list[Backlog] = []
    next_at: float | None = None
    for backlog in ended(waiting):
        at = due_at(backlog, policy)
        if at is None:
            continue
        if at <= now:
            due.append(backlog)
        else:
            next_at = at if next_at is None else min(next_at, at)
    return Agenda(tuple(due), next_at)


def ended(waiting: Sequence[Backlog]) -> list[Backlog]:
    """The same, with a boundary for each session that a new one of its project has taken over from.

    Nobody says that a session was left with `/new`; that another one began after its last event
    does. A session that only goes on beside it began before.
    """
    newest: dict[str, float] = {}
    for backlog in waiting:
        if backlog.began is not None:
            newest[backlog.group] = max(backlog.began, newest.get(backlog.group, 0.0))
    return [
        replace(backlog, boundary=True)
        if backlog.last_at is not None and newest.get(backlog.group, 0.0) > backlog.last_at
        else backlog
        for backlog in waiting
    ]


def due_at(backlog: Backlog, policy: FlushPolicy) -> float | None:
    """When this session is to be flushed (it may be past); None: not by itself.

    With an end marker it waits for `debounce` of quiet, without one for the sweeper's longer
    quiet; a session that never pauses is flushed at a count or an age all the same.
    """
    if not policy.auto:
        return None
    if backlog.batch is not None:
        return _again_at(backlog.batch, policy)
    if backlog.first_at is None or backlog.last_at is None:
        return None
    return _first_due_at(backlog, backlog.first_at, backlog.last_at, policy)


def _again_at(batch: Batch, policy: FlushPolicy) -> float | None:
    if batch.state is not BatchState.ERROR:
        # A running one is left alone; if it hangs, the stuck check frees it.
        return None
    if not policy.retry and batch.attempts:
        # It waits for a hand, which takes the attempts back (as does an orderly stop).
        return None
    return batch.retry_at


def hopeless(batch: Batch, policy: FlushPolicy) -> bool:
    """Whether a batch whose attempt failed has none left."""
    return batch.attempts >= policy.max_attempts


def retry_at(batch: Batch, policy: FlushPolicy, now: float, chance: float) -> float | None:
    """When a batch that failed at `now` is tried again; None: by hand."""
    return now + pause(batch.attempts, chance) if policy.retry else None


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
