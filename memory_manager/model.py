"""The values of the memory. Pure: no I/O, no clock, no environment.

Times are seconds since the epoch, UTC, as floats. Identifiers are deterministic: the same event
always makes the same episode, entities and facts, so that storing twice is storing once.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
"""What `json.loads` can give."""

NAMESPACE = uuid.UUID("6f70656e-636f-4465-8d67-726170686d65")
"""Root of all our uuid5 identifiers (the letters "opencodegraphme")."""

NOTHING: Mapping[str, Json] = MappingProxyType({})


class EventKind(StrEnum):
    """What a raw event reports. The value is also the episode's `type` in its metadata."""

    #: A person's prompt.
    PROMPT = "prompt"
    #: A file was written, deleted or moved.
    FILE_EDIT = "file_edit"
    #: Something failed: the session, a tool, a command.
    ERROR = "error"
    #: A turn was completed.
    SUCCESS = "success"
    #: A command was run; `exit` in its metadata is its status.
    COMMAND = "command"
    #: Any other tool call.
    TOOL = "tool"
    #: Text of the assistant.
    MESSAGE = "message"
    #: Stored on request (`store`, `remember`).
    NOTE = "note"
    #: The session's window was compacted: what is older has left it.
    COMPACTION = "compaction"
    #: The session was created, ended or deleted.
    SESSION = "session"
    #: What a batch came to; made by the flush, never reported.
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One thing that OpenCode reported, redacted, before any processing.

    `metadata` has `type` always, and by kind: `path`, `old_path`, `change` (modified, deleted,
    moved), `diff`, `tool`, `command`, `exit`, `output`, `severity`, `name`, `message_id`, `agent`,
    `model`, `duration` (seconds), `tokens`, `branch`, `commit`, `directory`, `source`.
    """

    event_id: str
    group: str
    session: str
    kind: EventKind
    at: float
    content: str
    metadata: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True)
class Episode:
    """One thing that happened, as it stands in the graph. `at` is its reference time."""

    uuid: str
    group: str
    session: str
    event_id: str
    kind: EventKind
    name: str
    content: str
    source: str
    at: float
    paths: tuple[str, ...] = ()
    metadata: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True)
class Entity:
    """A node: a file, a symbol, a command, an error, a task… `name` keeps its case."""

    uuid: str
    group: str
    type: str
    name: str
    attributes: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True)
class Fact:
    """A temporal edge `source -relation-> target`; true from `valid_at` until `invalid_at`.

    `scope` is "" for a fact that one event makes, else the session whose whole history makes it
    (such facts are replaced as a set when the session's history grows). `closes` is the key of
    the chain that a functional relation's facts form ("" when the relation is not functional):
    in one chain a later fact closes the one before it.
    """

    uuid: str
    group: str
    source: str
    target: str
    relation: str
    text: str
    valid_at: float
    invalid_at: float | None = None
    session: str = ""
    scope: str = ""
    closes: str = ""
    episodes: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    branch: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a batch of raw events comes to; one idempotent write.

    `mentions` are (episode uuid, entity uuid) pairs. `scopes` names the sessions whose scoped
    facts in `facts` are complete: stored ones of the same scope that are not among them go.
    """

    group: str
    episodes: tuple[Episode, ...] = ()
    entities: tuple[Entity, ...] = ()
    facts: tuple[Fact, ...] = ()
    mentions: tuple[tuple[str, str], ...] = ()
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A question to one project's memory. `at`: answer as of then (None: now).

    `without` names a session whose own doings after `since` are not asked for.
    """

    group: str
    text: str
    limit: int = 5
    at: float | None = None
    paths: tuple[str, ...] = ()
    without: str = ""
    since: float = 0.0

    def leaves_out(self, session: str, at: float) -> bool:
        """Whether what this session did then is not asked for."""
        return bool(self.without) and session == self.without and at > self.since


@dataclass(frozen=True, slots=True)
class Hit:
    """One piece of memory that answers a question, best first by `score` (higher is better).

    `shares` is what words, meaning and neighbourhood brought to the score, before age took its part.
    """

    uuid: str
    kind: str
    text: str
    at: float
    score: float
    session: str = ""
    event_ids: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    source: str = ""
    invalid_at: float | None = None
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first, and every path the answer depends on (normalised)."""

    hits: tuple[Hit, ...] = ()
    paths: tuple[str, ...] = field(default=())


def identifier(*parts: str) -> str:
    """A uuid5 that no two different lists of parts share."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(f"{len(part)}:{part}" for part in parts)))


def episode_uuid(group: str, event_id: str) -> str:
    """The episode of this event, whoever stores it and however often."""
    return identifier("episode", group, event_id)


def episode_name(at: float, event_id: str) -> str:
    """`episode_<UTC timestamp>_<short id>`, for example `episode_20261120T101502Z_1f83bab4`."""
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"episode_{stamp}_{blake2b(event_id.encode(), digest_size=4).hexdigest()}"


def entity_uuid(group: str, type_: str, name: str) -> str:
    """Same group, type and case-preserving canonical name: same entity."""
    return identifier("entity", group, type_, name)


def iso(at: float) -> str:
    """An ISO 8601 UTC time to the second, as people and Graphiti read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
