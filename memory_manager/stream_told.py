"""What OpenCode's events tell: hook calls, and raw events that no hook stands for. Pure.

Each has the id that it has by any other way: `<message>:prompt`, `<session>:<call>:<kind>`,
`<part>:message`, `<user message>:success`, `<answer>:error`, `<summary message>:compaction`,
`<part>:file_edit:<path's digest>`, `<session>:created`.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from memory_manager.model import EventKind
from memory_manager.stream_values import inner, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory_manager.model import Json
    from memory_manager.stream_values import Object

#: What a person did is no failure.
_ABORTED = frozenset({"MessageAbortedError", "AbortError"})
#: What OpenCode says of a tool that was stopped, and of one that a person or a rule refused.
_STOPPED = "Tool execution aborted"
_REFUSED = (
    "The user rejected permission",
    "The user has specified a rule which prevents you",
    "The user dismissed this question",
)
#: A refusal's reason, shortened: a rule's comes with all other rules.
_REASON = 500


@dataclass(frozen=True, slots=True)
class Call:
    """A hook call, as the plugin makes it. `at` is in seconds since the epoch.

    `key` names what it tells, whichever event told it; "" when nothing else can tell it.
    """

    hook: str
    payload: Object
    at: float
    session: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A raw event that no hook stands for, as `ingest` takes it. `key` is its id."""

    event: Object
    session: str
    key: str


type Told = Call | Item


def item(  # noqa: PLR0913, PLR0917 - the fields of a raw event
    name: str, session: str, kind: EventKind, at: float, content: str, metadata: Object
) -> Item:
    """A raw event; metadata that says nothing is left out."""
    known: Object = {key: value for key, value in metadata.items() if value not in ("", None)}
    event: Object = {
        "event_id": name,
        "session_id": session,
        "kind": str(kind),
        "at": at,
        "content": content,
        "metadata": known,
    }
    return Item(event, session, name)


def is_abort(error: Json) -> bool:
    """Whether somebody stopped it."""
    return isinstance(error, dict) and text(error, "name") in _ABORTED


def error(error: Json, name: str, session: str, at: float) -> Iterator[Call]:
    """What went wrong, unless it was stopped."""
    if error and not is_abort(error):
        payload: Object = {"session_id": session, "event_id": name or None, "error": error}
        yield Call("session.error", payload, at, session, name)


def called(session: str, part: Object, at: float) -> Call:
    """A tool did what it should, as its hook says it."""
    state, call = inner(part, "state"), text(part, "callID")
    given: Object = {
        "tool": text(part, "tool"),
        "sessionID": session,
        "callID": call,
        "args": state.get("input"),
    }
    payload: Object = {
        "input": given,
        "output": {
            "title": state.get("title"),
            "output": state.get("output"),
            "metadata": state.get("metadata"),
        },
    }
    return Call("tool.execute.after", payload, at, session, call_key(session, call))


def call_key(session: str, call: str) -> str:
    """A tool call's ids in one session are its own; those of two sessions may be the same."""
    return f"{session}:{call}" if call else ""


def failed(session: str, part: Object, at: float) -> Iterator[Told]:
    """A tool that threw has no hook. Stopped is nothing; refused is no error."""
    state, call, tool = inner(part, "state"), text(part, "callID"), text(part, "tool")
    why, given = text(state, "error"), inner(state, "input")
    if why == _STOPPED or inner(state, "metadata").get("interrupted") is True:
        return
    named = call_key(session, call) or text(part, "id")
    if why.startswith(_REFUSED):
        what = text(given, "command") or text(given, "filePath") or text(given, "description")
        about: Object = {"tool": tool, "output": why[:_REASON]}
        said = f"Refused {tool}: {what}" if what else f"Refused {tool}"
        yield item(f"{named}:{EventKind.TOOL}", session, EventKind.TOOL, at, said, about)
        return
    payload: Object = {
        "session_id": session,
        "event_id": f"{named}:{EventKind.ERROR}",
        "tool": tool,
        "command": text(given, "command"),
        "name": "ToolError",
        "message": why if why.strip() else f"{tool} failed",
    }
    yield Call("session.error", payload, at, session, f"{named}:{EventKind.ERROR}")


def changed(session: str, part: str, files: list[str], gone: frozenset[str], at: float) -> Call:
    """Files that a command changed. A file's id does not depend on the others'."""
    name = f"{part}:{EventKind.FILE_EDIT}"
    payload: Object = {"session_id": session, "event_id": name}
    if len(files) == 1:
        digest = blake2b(files[0].encode("utf-8", "replace"), digest_size=6).hexdigest()
        payload |= {"event_id": f"{name}:{digest}", "path": files[0]}
        payload |= {"change": "deleted"} if files[0] in gone else {}
    else:
        payload["files"] = [
            {"path": path, "type": "delete" if path in gone else "update"} for path in files
        ]
    return Call("file:write", payload, at, session, name)
