"""A recording of OpenCode's plugin hooks, as the hook calls that our plugin makes of it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memory_manager.model import Json

#: Tools whose use is a hook call: they change files or run commands.
_TOOLS = frozenset({"write", "edit", "multiedit", "apply_patch", "bash"})


@dataclass(frozen=True, slots=True)
class Call:
    """One hook call. `at` is when it was recorded, in seconds since the epoch."""

    hook: str
    payload: dict[str, Json]
    at: float


@dataclass(slots=True)
class _Turn:
    """What a session's completion hook is told of the turn that ends."""

    began: float
    tokens: dict[str, Json] = field(default_factory=dict)
    idle: bool = False


def calls(lines: Iterable[str]) -> Iterator[Call]:
    """The hook calls of a recording, in its order."""
    turns: dict[str, _Turn] = {}
    for line in lines:
        row = json.loads(line)
        at, kind = float(row["ts"]), row.get("type", "")
        body = row.get("input") or {}
        match row["hook"]:
            case "chat.message":
                turns[body["sessionID"]] = _Turn(at)
                yield Call("chat.message", _payload(row), at)
            case "tool.execute.after" if body.get("tool") in _TOOLS:
                yield Call("tool.execute.after", _payload(row), at)
            case "event":
                yield from _event(kind, body, at, turns)
            case _:
                continue


def _event(kind: str, body: dict[str, Json], at: float, turns: dict[str, _Turn]) -> Iterator[Call]:
    properties = body.get("properties")
    if not isinstance(properties, dict):
        return
    session = str(properties.get("sessionID", ""))
    match kind:
        case "session.error":
            yield Call("session.error", {"id": body.get("id"), "properties": properties}, at)
        case "message.part.updated":
            yield from _failed_tool(properties.get("part"), at)
        case "message.updated":
            _count(properties.get("info"), turns.get(session))
        case "session.idle":
            turn = turns.get(session)
            # After an error it comes twice.
            if turn is not None and not turn.idle:
                turn.idle = True
                duration = round(at - turn.began, 3)
                yield Call(
                    "session.idle",
                    {
                        "session_id": session,
                        "event_id": str(body.get("id")),
                        "duration": duration,
                        "tokens": dict(turn.tokens) or None,
                    },
                    at,
                )
        case _:
            return


def _failed_tool(part: Json, at: float) -> Iterator[Call]:
    """A tool that threw has no hook of its own, only its part tells."""
    if not isinstance(part, dict) or part.get("type") != "tool":
        return
    state = part.get("state")
    if isinstance(state, dict) and state.get("status") == "error":
        yield Call(
            "session.error",
            {
                "session_id": part.get("sessionID"),
                "call_id": part.get("callID"),
                "tool": part.get("tool"),
                "name": "ToolError",
                "message": state.get("error"),
            },
            at,
        )


def _count(info: Json, turn: _Turn | None) -> None:
    if turn is None or not isinstance(info, dict) or info.get("role") != "assistant":
        return
    used, time = info.get("tokens"), info.get("time")
    if not isinstance(used, dict) or not isinstance(time, dict) or "completed" not in time:
        return
    for name in ("input", "output", "reasoning"):
        turn.tokens[name] = _plus(turn.tokens.get(name), used.get(name))
    cache, kept = used.get("cache"), turn.tokens.setdefault("cache", {})
    if isinstance(cache, dict) and isinstance(kept, dict):
        for name in ("read", "write"):
            kept[name] = _plus(kept.get(name), cache.get(name))


def _plus(one: Json, other: Json) -> int:
    return sum(int(value) for value in (one, other) if isinstance(value, int | float))


def _payload(row: dict[str, Json]) -> dict[str, Json]:
    return {"input": row.get("input"), "output": row.get("output")}
