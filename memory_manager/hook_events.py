"""What a hook reports, as raw events before redaction. Pure.

Takes our own payloads and OpenCode's real ones (`{input, output}` of a plugin hook, `{id, type,
properties}` of an event). Any JSON whatever gives events, possibly none, or an `InvalidRequest`
that names the field; ids are the same wherever the same thing is reported from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from memory_manager.contract import HOOKS
from memory_manager.errors import InvalidRequest
from memory_manager.hook_payload import (
    LONGEST_PROMPT,
    SHORT,
    HookEvent,
    Layers,
    Told,
    clean,
    cleaned,
    clipped,
    layers_of,
    tokens_of,
)
from memory_manager.hook_tools import tool_events
from memory_manager.model import EventKind, Json

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HookEvent", "note_of", "reported", "tokens_of"]


def reported(  # noqa: PLR0913 - what a report is made of
    name: str,
    payload: Json,
    *,
    minted: str,
    at: float,
    redacted: Callable[[str], str],
    settled: Callable[[str], tuple[str, str, str]] = lambda text: ("", text, ""),
    spell: Callable[[str], str] = str,
    prompt: str = "",
) -> tuple[HookEvent, ...]:
    """The raw events of one hook call; none for what is not worth an event.

    Args:
        name: the hook, in any accepted spelling.
        payload: what came with it.
        minted: the id to use when OpenCode gives none.
        at: when it happened, if the payload does not say.
        redacted: gives a text without its secrets; asked before a text is cut.
        settled: sets its private passages apart before that; see `Told`.
        spell: gives a path its spelling in the project.
        prompt: the turn's prompt, whose first line names a completion without a task.

    Raises:
        InvalidRequest: the hook is unknown or the payload malformed.
    """
    hook = HOOKS.get(name)
    if hook is None:
        raise InvalidRequest(f"name: no hook {name[:60]!r}")
    if not isinstance(payload, dict):
        raise InvalidRequest("payload: not a JSON object")
    told = Told(layers_of(payload), minted, at, redacted, settled)
    match hook:
        case "chat:start":
            return _prompt(told)
        case "file:write":
            return tool_events(told, spell)
        case "error":
            return _error(told)
        case "completion":
            return _completion(told, prompt)
        case _:
            return ()


def note_of(params: dict[str, Json], *, minted: str, at: float) -> HookEvent:
    """The raw event of `store`: its parameters are `content`, `metadata`, `source`, `at`.

    Raises:
        InvalidRequest: a parameter is malformed.
    """
    told = Told((params,), minted, at, redacted=str)  # nothing of a note is cut
    content = told.text("content", limit=None)
    if not content.strip():
        raise InvalidRequest("content: empty; give the text to store")
    given = params.get("metadata")
    metadata = cleaned({} if given is None else given, "metadata")
    if not isinstance(metadata, dict):
        raise InvalidRequest("metadata: not a JSON object")
    if source := told.text("source"):
        metadata["source"] = source
    metadata.setdefault("type", EventKind.NOTE.value)
    moment = told.number("at")
    return HookEvent(
        told.text("event_id") or minted,
        told.session,
        EventKind.NOTE,
        at if moment is None else moment,
        content,
        metadata,
    )


def _prompt(told: Told) -> tuple[HookEvent, ...]:
    parts = told.find("parts")
    if isinstance(parts, list):
        texts = [_typed(part) for part in parts]
        query = "\n".join(text for text in texts if text)
    elif told.find("query", "prompt", "text") is None:
        raise InvalidRequest("query: missing; send the prompt's text")
    else:
        query = told.text("query", "prompt", "text", limit=None)
    if not query.strip():
        return ()
    message = told.text("message_id", "messageID") or _message_id(told)
    metadata: dict[str, Json] = {
        "message_id": message,
        "agent": told.label("agent"),
        "model": _model(told),
        "directory": told.label("directory"),
    }
    event = told.event(EventKind.PROMPT, told.cut(query, LONGEST_PROMPT), metadata)
    if message and not told.text("event_id"):
        # Whatever ids its parts have: a prompt is its message.
        return (replace(event, event_id=f"{message}:{EventKind.PROMPT}"),)
    return (event,)


def _typed(part: Json) -> str:
    """The text that a person typed: parts that a program added are marked."""
    if not isinstance(part, dict) or part.get("type") != "text":
        return ""
    text = part.get("text")
    marked = part.get("synthetic") or part.get("ignored")
    return clean(text) if isinstance(text, str) and not marked else ""


def _message_id(told: Told) -> str:
    message = told.find("message")
    value = message.get("id") if isinstance(message, dict) else None
    return clean(value) if isinstance(value, str) and len(value) <= SHORT else ""


def _model(told: Told) -> str:
    value = told.find("model")
    if isinstance(value, dict):
        names = [value.get("providerID"), value.get("modelID") or value.get("id")]
        value = "/".join(name for name in names if isinstance(name, str))
    return clipped(value, SHORT, told.redacted) if isinstance(value, str) else ""


def _error(told: Told) -> tuple[HookEvent, ...]:
    error = told.find("error")
    inner: Layers = ()
    if isinstance(error, dict):
        data = error.get("data")
        inner = (*((data,) if isinstance(data, dict) else ()), error)
    # A string is the message; an object knows it better than what is around it.
    deep = replace(told, layers=(*inner, *told.layers))
    said = deep.find("message")
    if isinstance(error, str):
        said = error
    name = deep.label("name")
    if said is None or isinstance(said, dict):
        said = name
    if not isinstance(said, str):
        raise InvalidRequest("message: not a string")
    if not said.strip():
        raise InvalidRequest("message: missing; send what went wrong")
    metadata: dict[str, Json] = {
        "severity": "high",
        "name": name if name not in HOOKS else "",
        "command": told.cut(told.text("command", limit=None)),
        "tool": told.label("tool"),
        "message_id": told.text("message_id", "messageID"),
    }
    return (told.event(EventKind.ERROR, f"Error: {told.cut(said)}", metadata),)


def _completion(told: Told, prompt: str) -> tuple[HookEvent, ...]:
    task = told.public(told.text("task", "title", limit=None)).strip() or prompt.strip()
    line = clipped(task.splitlines()[0], SHORT, told.redacted) if task else "turn"
    metadata: dict[str, Json] = {
        "duration": told.number("duration"),
        "tokens": tokens_of(told.find("tokens")),
        "cost": told.number("cost"),
        "message_id": told.text("message_id", "messageID"),
    }
    return (told.event(EventKind.SUCCESS, f"Completed: {line}", metadata),)
