"""The hooks as values: a closed union, parsed from any JSON, and the reply. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest

if TYPE_CHECKING:
    from memory_manager.hook_events import HookEvent
    from memory_manager.model import Json


#: Messages whose blocks one replay may ask for.
MOST_REPLAYED = 10_000


class Outcome(StrEnum):
    """What a hook call came to. Every reply has one."""

    #: Context from memory, asked anew.
    INJECTED = "injected"
    #: Context whose graph part came from the cache.
    CACHED = "cached"
    #: Nothing relevant, or nothing asked.
    EMPTY = "empty"
    #: The event is on disk.
    ACCEPTED = "accepted"
    #: The event was on disk already.
    DUPLICATE = "duplicate"
    #: Switched off by a setting.
    DISABLED = "disabled"
    #: The hook is unknown or its payload malformed; `note` says how.
    INVALID = "invalid"
    #: Something failed or took too long; `note` says what. Nothing that was acknowledged is lost.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one hook call."""

    outcome: Outcome
    context: str = ""
    tokens: int = 0
    note: str = ""
    blocks: dict[str, str] | None = None

    def json(self) -> dict[str, Json]:
        """As it goes over the socket: the same reply is always the same bytes."""
        body: dict[str, Json] = {"outcome": str(self.outcome)}
        if self.context:
            body["context"] = self.context
            body["tokens"] = self.tokens
        if self.blocks is not None:
            body["blocks"] = dict(self.blocks)
        if self.note:
            body["note"] = self.note
        return body


@dataclass(frozen=True, slots=True)
class ChatStart:
    """A person's message, before the model sees it. `message` "" cannot be replayed."""

    query: str
    session: str
    message: str
    agent: str
    events: tuple[HookEvent, ...]


@dataclass(frozen=True, slots=True)
class FileWrite:
    """A tool was used: files changed, or a command ran."""

    events: tuple[HookEvent, ...]


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """Something failed in OpenCode."""

    events: tuple[HookEvent, ...]


@dataclass(frozen=True, slots=True)
class Completion:
    """A turn ended; `tokens` is what it used, `cached` the share of its input that was cached."""

    tokens: int
    events: tuple[HookEvent, ...]
    cached: float | None = None


@dataclass(frozen=True, slots=True)
class ContextReplay:
    """All blocks of a session are wanted, to put them back into their messages."""

    session: str
    messages: tuple[str, ...]


type Hook = ChatStart | FileWrite | ErrorReport | Completion | ContextReplay


def parse(name: str, payload: Json, events: tuple[HookEvent, ...]) -> Hook:
    """The hook as a value.

    Args:
        name: the hook.
        payload: what came with it.
        events: what `hook_events.reported` makes of it.

    Raises:
        InvalidRequest: the hook is unknown or the payload malformed.
    """
    match name:
        case "chat:start":
            first = events[0] if events else None
            told = first.metadata if first else {}
            message, agent = told.get("message_id", ""), told.get("agent", "")
            return ChatStart(
                first.content if first else "",
                first.session if first else "",
                message if isinstance(message, str) else "",
                agent if isinstance(agent, str) else "",
                events,
            )
        case "file:write":
            return FileWrite(events)
        case "error":
            return ErrorReport(events)
        case "completion":
            used = (event.metadata.get("tokens") for event in events)
            spent = sum(count for count in used if isinstance(count, int))
            return Completion(spent, events, _cached(payload))
        case _:
            return _replay(payload)


def _replay(payload: Json) -> ContextReplay:
    if not isinstance(payload, dict):
        raise InvalidRequest("payload: not a JSON object")
    session, messages = payload.get("session_id"), payload.get("message_ids", [])
    if not isinstance(session, str) or not session:
        raise InvalidRequest("session_id: missing")
    if not isinstance(messages, list) or len(messages) > MOST_REPLAYED:
        raise InvalidRequest(f"message_ids: not a list of at most {MOST_REPLAYED} ids")
    return ContextReplay(session, tuple(item for item in messages if isinstance(item, str)))


def _cached(payload: Json) -> float | None:
    """cache.read / (input + cache.read + cache.write) of OpenCode's token object, if it came."""
    tokens = payload.get("tokens") if isinstance(payload, dict) else None
    cache = tokens.get("cache") if isinstance(tokens, dict) else None
    if not isinstance(tokens, dict) or not isinstance(cache, dict):
        return None
    counts = (cache.get("read"), tokens.get("input"), cache.get("write"))
    read, new, written = (n if isinstance(n, int) and n > 0 else 0 for n in counts)
    total = read + new + written
    return read / total if total else None
