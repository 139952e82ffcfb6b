"""A recording of OpenCode's plugin hooks and events, as the hook calls that come of it. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from memory_manager.stream import Call, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memory_manager.model import Json

__all__ = ["Call", "calls"]


def calls(lines: Iterable[str]) -> Iterator[Call]:
    """The hook calls of a recording, in its order: the plugin's own, and those that events tell."""
    stream = Stream()
    for line in lines:
        row = json.loads(line)
        at, body, output = float(row["ts"]), row.get("input") or {}, row.get("output") or {}
        payload: dict[str, Json] = {"input": body, "output": output}
        match row["hook"]:
            case "chat.message":
                # Its event is not in the recording.
                info = {"sessionID": body["sessionID"], **output["message"]}
                stream.tell({"type": "message.updated", "properties": {"info": info}}, at)
                yield Call("chat.message", payload, at)
            case "tool.execute.after":
                stream.seen(payload)
                yield Call("tool.execute.after", payload, at)
            case "event":
                for told in stream.tell(body, at):
                    stream.keep(told)
                    if isinstance(told, Call):
                        yield told
            case _:
                continue
