"""What a tool did, as raw events: files written, deleted, moved; commands run; the rest. Pure."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest
from memory_manager.hook_payload import HookEvent, Told, path_of
from memory_manager.model import EventKind, Json

if TYPE_CHECKING:
    from collections.abc import Callable

#: Tools of ours: what memory does is no news to memory.
OWN_TOOLS = frozenset({"memory", "memory_compact"})

#: Tools that write files.
FILE_TOOLS = frozenset({"write", "edit", "multiedit", "apply_patch", "patch"})

#: Tools that run a command.
_COMMAND_TOOLS = frozenset({"bash", "shell"})

#: Tools that name a path and leave it as it is.
_READING_TOOLS = frozenset({"read", "grep", "glob", "list", "ls"})

#: What happened to a file, in every word seen for it.
_CHANGES = {
    "add": "modified",
    "added": "modified",
    "change": "modified",
    "create": "modified",
    "created": "modified",
    "modified": "modified",
    "update": "modified",
    "delete": "deleted",
    "deleted": "deleted",
    "remove": "deleted",
    "removed": "deleted",
    "unlink": "deleted",
    "move": "moved",
    "moved": "moved",
    "rename": "moved",
    "renamed": "moved",
}

#: Headers of a patch, and what they say about the file they name.
_PATCH_HEADERS = {
    "*** Add File: ": "modified",
    "*** Update File: ": "modified",
    "*** Delete File: ": "deleted",
}

_MOVE_HEADER = "*** Move to: "

#: Most characters of an output here: its end matters most, and it is shortened later, redacted.
_LONGEST_OUTPUT = 120 * 1024

#: Every name of the file that was written.
_PATH_NAMES = ("path", "file", "filePath", "file_path", "filepath")


def tool_events(told: Told, spell: Callable[[str], str]) -> tuple[HookEvent, ...]:
    """The events of a tool call or a file's change; `spell` gives a path its project's spelling."""
    tool = told.label("tool").lower()
    if tool in OWN_TOOLS:
        return ()
    if tool in _COMMAND_TOOLS:
        return (_command(told, tool),)
    if tool and tool not in FILE_TOOLS and (tool in _READING_TOOLS or not _names_path(told)):
        return (_other_tool(told, tool),)
    changes = _changes(told)
    single = len(changes) == 1
    events: list[HookEvent] = []
    for path, old, change, diff in changes:
        new = spell(path)
        metadata: dict[str, Json] = {
            "path": new,
            "change": change,
            "old_path": spell(old) if old else "",
            "tool": tool,
            "diff": told.cut(diff),
        }
        said = f"{spell(old)} -> {new}" if old else new
        content = f"{change.capitalize()}: {said}"
        # The path as it was written: the spelling must not change the id of the same event.
        part = "" if single else blake2b(path.encode(), digest_size=6).hexdigest()
        events.append(told.event(EventKind.FILE_EDIT, content, metadata, part))
    return tuple(events)


def _names_path(told: Told) -> bool:
    """Whether the payload itself, and not only the tool's arguments, names a file."""
    return any(told.layers[0].get(name) is not None for name in _PATH_NAMES)


def _changes(told: Told) -> list[tuple[str, str, str, str]]:
    """Path, old path of a move, what happened, and the diff, for each file."""
    files = told.find("files")
    if isinstance(files, list) and files:
        return [_listed(told, item, number) for number, item in enumerate(files)]
    patch = told.find("patchText")
    if isinstance(patch, str) and told.find(*_PATH_NAMES) is None:
        return _patched(patch)
    path = path_of(told.find(*_PATH_NAMES), "path")
    if not path:
        raise InvalidRequest("path: missing; send the path of the file")
    old = path_of(told.find("old_path", "oldPath", "from", "previous_path"), "old_path")
    change = _CHANGES.get(told.label("change", "event").lower(), "modified")
    if old and old != path:
        return [(path, old, "moved", _diff(told))]
    # A move without its other end is a change of the file that is named.
    return [(path, "", "modified" if change == "moved" else change, _diff(told))]


def _listed(told: Told, item: Json, number: int) -> tuple[str, str, str, str]:
    name = f"files[{number}]"
    if isinstance(item, str):
        item = {"path": item}
    if not isinstance(item, dict):
        raise InvalidRequest(f"{name}: not an object with a path")
    told = replace(told, layers=(item,))
    path = path_of(told.find(*_PATH_NAMES, "relativePath"), name)
    if not path:
        raise InvalidRequest(f"{name}.path: missing")
    diff = item.get("patch") or item.get("diff")
    text = diff if isinstance(diff, str) else ""
    if moved := path_of(item.get("movePath"), f"{name}.movePath"):
        return moved, path, "moved", text
    change = _CHANGES.get(told.label("type", "change").lower(), "modified")
    return path, "", "modified" if change == "moved" else change, text


def _patched(patch: str) -> list[tuple[str, str, str, str]]:
    """What the headers of a patch say, when the tool did not."""
    found: list[tuple[str, str, str, str]] = []
    for line in patch.splitlines():
        for header, change in _PATCH_HEADERS.items():
            if line.startswith(header):
                path = path_of(line[len(header) :].strip(), "patchText")
                if path:
                    found.append((path, "", change, ""))
        if line.startswith(_MOVE_HEADER) and found:
            new = path_of(line[len(_MOVE_HEADER) :].strip(), "patchText")
            if new:
                found[-1] = (new, found[-1][0], "moved", "")
    if not found:
        raise InvalidRequest("patchText: names no file")
    return found


def _diff(told: Told) -> str:
    if diff := told.string("diff"):
        return diff
    old, new = told.find("oldString"), told.find("newString")
    if isinstance(old, str) and isinstance(new, str):
        return "\n".join([*_marked("-", told.cut(old)), *_marked("+", told.cut(new))])
    return "\n".join(_marked("+", told.cut(told.string("content"))))


def _marked(mark: str, text: str) -> list[str]:
    return [mark + line for line in text.splitlines()]


def _command(told: Told, tool: str) -> HookEvent:
    command = told.text("command", limit=None)
    if not command.strip():
        raise InvalidRequest("command: missing; send the command that was run")
    status = told.find("exit", "exit_code", "exitCode")
    command = told.cut(command)
    metadata: dict[str, Json] = {
        "tool": tool,
        "command": command,
        "exit": status if isinstance(status, int) and not isinstance(status, bool) else None,
        "output": told.cut(told.string("output"), _LONGEST_OUTPUT),
    }
    return told.event(EventKind.COMMAND, f"Ran: {command}", metadata)


def _other_tool(told: Told, tool: str) -> HookEvent:
    said = told.label("title")
    output = told.string("output") or _pieces(told.find("content"))
    metadata: dict[str, Json] = {"tool": tool, "output": told.cut(output, _LONGEST_OUTPUT)}
    return told.event(EventKind.TOOL, f"Used {tool}: {said}" if said else f"Used {tool}", metadata)


def _pieces(content: Json) -> str:
    """The text of an MCP tool's result, which its hook gets as it is."""
    items = content if isinstance(content, list) else []
    pieces = [item.get("text") for item in items if isinstance(item, dict)]
    return "\n".join(piece for piece in pieces if isinstance(piece, str))
