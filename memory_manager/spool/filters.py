"""What of a report is not worth keeping, and what is not for keeping. Pure.

Whole events that are not news: what memory itself did, parts that a program added, helper requests,
what OpenCode writes when it compacts a session. And passages in the text of the others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memory_manager.model import EventKind
from memory_manager.spool.blocks import without_blocks
from memory_manager.spool.private import START, Standing, told

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Mapping

    from memory_manager.model import Json

#: Agents of OpenCode that help it along: their requests are nobody's question.
HELPERS = frozenset({"title", "compaction", "summary"})
#: What people and the agent say.
TALK = frozenset({EventKind.PROMPT, EventKind.MESSAGE})

#: Tools of ours: the plugin's, and those of our MCP server as clients name them.
_OWN_TOOL = re.compile(
    r"\s*(?:mcp__)?(?:memory(?:_compact)?\s*$|memory_|opencode[-_]?mem(?:ory)?(?![a-z]))",
    re.IGNORECASE,
)
#: A command of ours: what it prints is memory.
_OWN_COMMAND = re.compile(
    r"\s*(?:[A-Za-z_]\w*=\S{0,200}\s+){0,4}(?:\S{0,200}/)?(?:python[\d.]{0,5}\s+(?:-m\s+)?(?:\S{0,200}/)?)?"
    r"(?:opencode-mem|memory_manager(?:\.py)?)(?=\s|$)"
)

#: Fields that name or place an event. A passage neither goes on through them nor hides them.
_LABELS = frozenset(
    {
        *("type", "tool", "agent", "model", "mode", "path", "old_path", "directory", "change"),
        *("message_id", "session_id", "branch", "commit", "source", "severity", "name"),
    }
)
#: The order in which the fields of one event are one text; the others follow by name.
_ORDER = ("command", "diff", "content", "output")
#: A change of a file is told by its path.
_CHANGE = re.compile(r"(?:Modified|Deleted|Moved): ")

#: What stands where OpenCode has cleared a tool's output.
_CLEARED = "[Old tool result content cleared]"
#: What OpenCode writes in the user's place around a compaction or a subtask, and its own prompts.
_DEBRIS = re.compile(
    r"\s*(?:"
    r"(?:The previous request exceeded the provider's size limit due to large media[^\n]{0,600}\s+)?"
    r"Continue if you have next steps\b[^\n]{0,120}\s*$"
    r"|What did we do so far\?\s*$"
    r"|Summarize the task tool output above and continue with your task\.\s*$"
    r"|The following tool was executed by the user\s*$"
    r"|Use the above message and context to generate a prompt and call the task tool\b"
    r"|Called the \w{1,20} tool with the following input: "
    r"|You are a (?:context summarization agent|title generator)\b"
    r"|You are a helpful AI assistant tasked with summarizing conversations\b"
    r"|Here is the conversation so far:\s{1,4}<conversation>"
    r"|(?:Create a new|Update the) anchored summary\b"
    r"|Provide a detailed (?:prompt|summary) for continuing our conversation\b)"
)
#: The summary itself: its first heading, and how many of the others make it one.
_SUMMARY = re.compile(r"\s*## (?:Objective|Goal)\s*\n")
_HEADINGS = re.compile(
    r"^## (?:Important Details|Work State|Next Move|Relevant Files|Instructions|Discoveries"
    r"|Accomplished|Constraints & Preferences|Progress|Key Decisions|Next Steps|Critical Context)",
    re.MULTILINE,
)
_ENOUGH_HEADINGS = 3
_LOOKED_AT = 64 * 1024


def no_news(kind: EventKind, content: str, metadata: Mapping[str, Json]) -> bool:
    """Our own tools, synthetic parts, helper requests, and what a compaction leaves behind."""
    tool = metadata.get("tool")
    if isinstance(tool, str) and _OWN_TOOL.match(tool):
        return True
    if metadata.get("synthetic") is True or metadata.get("ignored") is True:
        return True
    if kind is EventKind.COMMAND:
        command = metadata.get("command")
        said = command if isinstance(command, str) else content.removeprefix("Ran: ")
        return _OWN_COMMAND.match(said) is not None
    return kind in TALK and (_helps(metadata) or _compaction(kind, content))


def _helps(metadata: Mapping[str, Json]) -> bool:
    return (
        metadata.get("summary") is True
        or metadata.get("compaction_continue") is True
        or any(metadata.get(name) in HELPERS for name in ("agent", "mode"))
    )


def _compaction(kind: EventKind, content: str) -> bool:
    if _DEBRIS.match(content):
        return True
    if kind is not EventKind.MESSAGE or not _SUMMARY.match(content):
        return False
    return len(set(_HEADINGS.findall(content[:_LOOKED_AT]))) >= _ENOUGH_HEADINGS


def standing_after(
    kind: EventKind | str, content: str, metadata: Mapping[str, Json], before: Standing
) -> Standing:
    """Where one stands behind an event, as far as private passages go."""
    texts = [] if _about_path(kind, content) else [content]
    for name in _in_order(metadata):
        value = metadata[name]
        if name not in _LABELS and not _repeated(content, value):
            texts += _strings(value)
    # Cut or whole, a text does the same to what follows it.
    text = "".join(texts)
    return before if before == START and not _marked(text) else told(text, before)[1]


def filtered(
    kind: EventKind,
    content: str,
    metadata: Mapping[str, Json],
    before: Standing,
    counted: Counter[str],
) -> tuple[str, dict[str, Json]]:
    """Content and metadata without private passages, injected blocks, reminders and debris."""

    def say(text: str, standing: Standing) -> tuple[str, Standing]:
        if standing == START and not _marked(text):
            return text, START
        kept, after, found = told(text, standing)
        if found:
            counted["private"] += found
        clear = without_blocks(kept, counted)
        if clear != kept:
            # Its pieces may form a tag anew.
            clear = told(clear)[0]
        if clear.strip() == _CLEARED:
            counted["compaction"] += 1
            clear = ""
        return clear, after

    return _passed(kind, content, metadata, before, say)


type _Say = Callable[[str, Standing], tuple[str, Standing]]


def _marked(text: str) -> bool:
    """Whether it has what every tag and every fence begins with, as it is or escaped."""
    return "<" in text or "[" in text or "&" in text or "\\" in text or "%" in text


def _about_path(kind: EventKind | str, content: str) -> bool:
    """Whether it tells of a file's change by its path, which is no text for a passage."""
    return kind == EventKind.FILE_EDIT and _CHANGE.match(content) is not None


def _repeated(content: str, value: Json) -> bool:
    """`Ran: <command>`: the same text once more, and not what follows it."""
    return isinstance(value, str) and value != "" and content.endswith(value)


def _in_order(names: Mapping[str, Json]) -> list[str]:
    first = [name for name in _ORDER if name in names]
    return first + sorted(name for name in names if name not in _ORDER)


def _passed(
    kind: EventKind, content: str, metadata: Mapping[str, Json], before: Standing, say: _Say
) -> tuple[str, dict[str, Json]]:
    """The event's texts in their order, each said where the one before it ends."""
    if _about_path(kind, content):
        clean, standing = say(content, START)[0], before
    else:
        clean, standing = say(content, before)
    fields: dict[str, Json] = {}
    for name in _in_order(metadata):
        value = metadata[name]
        said = say(name, START)[0]
        if name in _LABELS:
            fields[said], _ = _value(value, START, say)
        elif _repeated(content, value):
            fields[said], _ = _value(value, before, say)
        else:
            fields[said], standing = _value(value, standing, say)
    return clean, fields


def _value(value: Json, standing: Standing, say: _Say) -> tuple[Json, Standing]:
    """The same for one value: it is of bounded depth by now."""
    match value:
        case str():
            return say(value, standing)
        case list():
            items: list[Json] = []
            for item in value:
                kept, standing = _value(item, standing, say)
                items.append(kept)
            return items, standing
        case dict():
            fields: dict[str, Json] = {}
            for name, item in value.items():
                fields[say(name, START)[0]], standing = _value(item, standing, say)
            return fields, standing
        case _:
            return value, standing


def _strings(value: Json) -> Iterator[str]:
    """All text in `value`, in the order of `_value`, however deep."""
    left: list[Json] = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            left += reversed(item)
        elif isinstance(item, dict):
            left += reversed(item.values())
