"""The values of the spool: batches, what waits, what an append came to. Pure.

Times are seconds since the epoch by the spool's own clock (when a row was received), so that an
event delivered late, with an old time of its own, does not look overdue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from memory_manager.model import EventKind, RawEvent

if TYPE_CHECKING:
    from collections.abc import Mapping


class BatchState(StrEnum):
    """Where a batch stands."""

    #: Claimed; its owner works on it and beats.
    STARTED = "started"
    #: The graph holds everything of it. Terminal.
    COMPLETED = "completed"
    #: The last attempt failed or was lost; the same range is tried again at `retry_at`.
    ERROR = "error"
    #: Nothing in it is worth keeping. Terminal.
    SKIPPED = "skipped"
    #: Attempts exhausted. Terminal; its rows stay unflushed, visible and retryable by hand.
    GAVE_UP = "gave_up"


OPEN = frozenset({BatchState.STARTED, BatchState.ERROR})
"""States that a session's next claim has to deal with first."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A fixed range of one session's rows. The range never changes once it was claimed.

    `claims` counts every claim and is the fencing token: what an earlier claimer reports after a
    later claim is refused. `attempts` counts the claims that were not handed back by `release`.
    `retry_at` None on an `error` batch: only a person (or `force`) starts it again.
    """

    id: int
    group: str
    session: str
    first_seq: int
    last_seq: int
    state: BatchState
    attempts: int
    claims: int
    owner: str
    error: str
    claimed_at: float
    updated_at: float
    retry_at: float | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in one session, and what a decision about flushing it needs.

    `pending` counts the rows after the cursor, those of an open batch included. `boundary` says
    that one of them ends a turn or the session, or compacts it. `batch` is the open batch that
    has to be finished first (a running one before one that waits, then the earliest range).
    """

    group: str
    session: str
    pending: int
    tools: int
    prompts: int
    first_at: float | None
    last_at: float | None
    boundary: bool
    batch: Batch | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one append to one project came to: on disk. `new` maps new event ids to their rows."""

    received: int
    new: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def inserted(self) -> int:
        return len(self.new)

    @property
    def duplicates(self) -> int:
        return self.received - len(self.new)


@dataclass(frozen=True, slots=True)
class Row:
    """A stored event with its place in the spool. `flushed_at` None: not in the graph yet."""

    seq: int
    event: RawEvent
    received_at: float
    flushed_at: float | None


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One session as an operator sees it; `cursor` is the end of its last terminal batch."""

    group: str
    session: str
    cursor: int
    pending: int
    first_pending_at: float | None
    last_pending_at: float | None
    compacted_at: float | None
    batches: Mapping[BatchState, int]


@dataclass(frozen=True, slots=True)
class Status:
    """The whole spool as an operator sees it. `oldest_age` in seconds, 0 when nothing waits."""

    pending: int
    oldest_age: float
    batches: Mapping[BatchState, int]
    sessions: tuple[SessionStatus, ...]


def is_boundary(event: RawEvent) -> bool:
    """Whether a session may be flushed after this event: a turn's end, its end, a compaction."""
    if event.kind is EventKind.SESSION:
        return event.metadata.get("change") != "created"
    return event.kind in {EventKind.SUCCESS, EventKind.COMPACTION}
