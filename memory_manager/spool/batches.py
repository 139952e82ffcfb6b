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
    `events` counts the rows of the range when it was claimed. `finished_at`: when it became
    terminal. `summary`, `tags` and the version that made them are what the flush said of it.
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
    events: int = 0
    episodes: int = 0
    finished_at: float | None = None
    summary: str = ""
    tags: tuple[str, ...] = ()
    tags_version: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in one session, and what a decision about flushing it needs.

    `pending` counts the rows after the cursor, those of an open batch included. `boundary` says
    that one of them ends a turn or the session, or compacts it. `batch` is the open batch that
    has to be finished first (a running one before one that waits, then the earliest range).
    `began` is when the session's first event of all came in.
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
    began: float | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one append to one project came to: on disk. `new` maps new event ids to their rows.

    `folded` are those of them that only repeat the event before them (see `folding.py`).
    """

    received: int
    new: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    folded: frozenset[str] = frozenset()

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
    """One session as an operator sees it; `cursor` is the end of its last terminal batch.

    `attempts`, `error` and `retry_at` are of its open batch, else of one that was given up.
    """

    group: str
    session: str
    cursor: int
    pending: int
    first_pending_at: float | None
    last_pending_at: float | None
    compacted_at: float | None
    batches: Mapping[BatchState, int]
    project: str = ""
    title: str = ""
    events: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    attempts: int = 0
    error: str = ""
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The whole spool as an operator sees it. `oldest_age` in seconds, 0 when nothing waits.

    Of `session_count` sessions the foremost are given; `more` were asked for and are not.
    """

    pending: int
    oldest_age: float
    batches: Mapping[BatchState, int]
    sessions: tuple[SessionStatus, ...]
    session_count: int = 0
    more: int = 0


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """One session as a reader sees it: what it was about, by its first prompt and its batches."""

    group: str
    session: str
    project: str
    title: str
    first_at: float
    last_at: float
    events: int
    pending: int
    summary: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProjectEntry:
    """One project with what it has told. Without a session, `last_at` is when it was seen last."""

    group: str
    name: str
    root: str
    sessions: int
    events: int
    pending: int
    last_at: float


def is_boundary(event: RawEvent) -> bool:
    """Whether a session may be flushed after this event.

    A turn's end or the session's, a compaction, and the session's failure (a tool's or a
    command's failure ends nothing: the turn goes on).
    """
    if event.kind is EventKind.SESSION:
        return event.metadata.get("change") != "created"
    if event.kind is EventKind.ERROR:
        return not (event.metadata.get("tool") or event.metadata.get("command"))
    return event.kind in {EventKind.SUCCESS, EventKind.COMPACTION}
