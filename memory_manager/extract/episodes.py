"""Which raw events are worth keeping, and the episode that each of them makes."""

# ruff: noqa: SIM905 - long lists of words read best as one string
from __future__ import annotations

from typing import TYPE_CHECKING

from memory_manager.extract import commands, files
from memory_manager.extract.commands import Outcome
from memory_manager.extract.draft import number, shorten, word
from memory_manager.model import Episode, EventKind, Json, RawEvent, episode_name, episode_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable

#: An episode's content; of a longer one the head and the tail stay.
MOST = 16_384
_PATHS = 16
#: Tools that only look: nothing has happened, and what they saw stands in the project.
LOOKING_TOOLS = frozenset("read glob grep list ls todoread lsp_hover lsp_diagnostics".split())
#: What a prompt can be made of without asking for anything.
_NODS = frozenset(
    "yes yep yeah yup y no nope n ok okay k sure fine good great nice perfect cool thanks thank thx "
    "you ty continue go on ahead proceed next please do it that this again retry try lgtm looks to "
    "me correct right exactly done stop wait hi hello hey and then keep going sounds now".split()
)
#: Metadata that an episode carries along (the rest is in its content or is bulk).
_CARRIED = (
    "type", "path", "old_path", "change", "tool", "command", "exit", "severity", "name", "task",
    "message_id", "agent", "model", "duration", "tokens", "branch", "commit", "source",
)  # fmt: skip


def asks_nothing(prompt: str) -> bool:
    """Whether a prompt is only a nod: "yes", "ok, go on"."""
    words = "".join(c if c.isalnum() or c == "'" else " " for c in prompt[:400].lower()).split()
    return all(word in _NODS for word in words)


def completed_task(event: RawEvent) -> str:
    """The task that a success event names; "turn" stands for a task that nobody named."""
    task = task_of(word(event, "task") or event.content.removeprefix("Completed:"))
    return "" if task == "turn" else task


def task_of(text: str) -> str:
    """What a turn was about: the first line that says something, "" when it is only a nod."""
    for line in text[:2000].split("\n"):
        if line.strip(" #*->`="):
            name = shorten(line.strip(" #*->`="), 200)
            return "" if asks_nothing(name) else name
    return ""


def worth_keeping(event: RawEvent) -> bool:  # noqa: PLR0911 - one return for each kind
    """Whether the event makes an episode. A function of the event alone, however it is batched.

    One that only repeats the event before it makes none: it is counted in the first one's.
    """
    if repeated(event):
        return False
    match event.kind:
        case EventKind.SESSION | EventKind.COMPACTION | EventKind.SUMMARY:
            return False
        case EventKind.PROMPT:
            return not asks_nothing(event.content)
        case EventKind.SUCCESS:
            return bool(completed_task(event))
        case EventKind.TOOL:
            return word(event, "tool").lower() not in LOOKING_TOOLS and bool(event.content.strip())
        case EventKind.COMMAND:
            return _tells_something(event)
        case EventKind.FILE_EDIT:
            return bool(word(event, "path") or event.content.strip())
        case EventKind.ERROR | EventKind.MESSAGE | EventKind.NOTE:
            return bool(event.content.strip())


def repeated(event: RawEvent) -> str:
    """The id of the event that this one says again, "" when it says something of its own."""
    return "" if event.content.strip() else word(event, "same_as")


def _tells_something(event: RawEvent) -> bool:
    line = word(event, "command")
    if not line.strip():
        return bool(event.content.strip())
    command = commands.read(line)
    status = number(event, "exit")
    failed = commands.outcome(command, status, shows_failure=False) is Outcome.FAILED
    return failed or not command.looking


def is_low_signal(events: Iterable[RawEvent]) -> bool:
    """Whether a batch holds nothing worth keeping, so that it ends `skipped`."""
    return not any(worth_keeping(event) for event in events)


def episode_of(event: RawEvent, repeats: int = 1) -> Episode:
    """The event's episode: its content with the useful part of its metadata, bounded.

    `repeats` is how often it happened in a row.
    """
    content = _content(event)
    directory = word(event, "directory")
    paths = dict.fromkeys(path for path in (word(event, "path"), word(event, "old_path")) if path)
    # What a command that went well listed is incidental: it is about what its line names.
    went_well = event.kind is EventKind.COMMAND and not number(event, "exit")
    telling = word(event, "command")[:2000] if went_well else content
    paths.update(dict.fromkeys(files.named_in(telling, directory, _PATHS)))
    metadata: dict[str, Json] = {
        key: event.metadata[key] for key in _CARRIED if key in event.metadata
    }
    metadata["type"] = event.kind.value
    if repeats > 1:
        metadata["repeats"] = repeats
    if isinstance(metadata.get("command"), str):
        metadata["command"] = word(event, "command")[:1000]
    return Episode(
        uuid=episode_uuid(event.group, event.event_id),
        group=event.group,
        session=event.session,
        event_id=event.event_id,
        kind=event.kind,
        name=episode_name(event.at, event.event_id),
        content=content,
        source=word(event, "source") or "opencode",
        at=event.at,
        paths=tuple(paths)[: _PATHS + 2],
        metadata=metadata,
    )


def _content(event: RawEvent) -> str:
    parts = [event.content]
    for key in ("diff", "content", "output"):
        more = word(event, key)
        if key == "content" and len(parts) > 1:
            continue
        if more.strip() and more.strip() != "(no output)" and more[:2000] not in event.content:
            parts.append(more)
    if event.kind is EventKind.COMMAND:
        status = number(event, "exit")
        if word(event, "command")[:200] not in event.content:
            parts.insert(0, "$ " + word(event, "command")[:2000])
        if status:
            parts.append(f"(exit status {status})")
    return bounded("\n".join(part.strip("\n") for part in parts if part))


def bounded(text: str, most: int = MOST) -> str:
    """`text`, or its head and its tail: an error stands at the end, what was asked at the start."""
    if len(text) <= most:
        return text
    tail = most // 2
    head = most - tail - 40
    return f"{text[:head]}\n… {len(text) - head - tail} characters left out …\n{text[-tail:]}"
