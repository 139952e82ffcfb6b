"""What a batch came to, in a few lines that a person would write. Deterministic, without a model.

What was asked, done, changed, broken and fixed; a line that has nothing to say is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.extract import deeds
from memory_manager.extract.commands import Outcome
from memory_manager.extract.draft import Draft, shorten, word
from memory_manager.extract.episodes import completed_task, task_of, worth_keeping
from memory_manager.extract.recovery import followed
from memory_manager.extract.runs import Runs
from memory_manager.extract.sessions import HISTORY_KINDS
from memory_manager.model import (
    Episode,
    EventKind,
    Extraction,
    Json,
    RawEvent,
    episode_name,
    episode_uuid,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memory_manager.extract.recovery import Followed

#: Characters of a line at most; all lines together stay below 1,500.
_LINES = {"Asked": 330, "Done": 230, "Changed": 240, "Broke": 300, "Fixed": 380}
#: What one item of a line may have (a prompt, a path), and what "; and 99999 more" needs.
_ITEM, _PROMPT, _PATH, _MORE = 200, 150, 80, 18
#: Files that the episode is about; events below which nothing is worth summing up.
_PATHS, _FEWEST = 12, 2
#: What ends a sentence and would stand before our own ";".
_STOPS = " .;:,"
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\xa0\xad\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+"
)


@dataclass(frozen=True, slots=True)
class Summary:
    """What one session's batch came to. `events` counts all of them, and times are theirs."""

    session: str
    text: str
    paths: tuple[str, ...]
    first_at: float
    last_at: float
    events: int


def summarised(
    events: Iterable[RawEvent], history: Iterable[RawEvent] = (), runs: Runs | None = None
) -> Summary | None:
    """The summary of one session's batch; None when it says no more than its episodes do.

    A function of the two sets of events, whatever their order.

    Args:
        events: the batch.
        history: other events of the session, as for `extract`: a failure among those before the
            batch's end may have been fixed in it.
        runs: what has been read of the events already.
    """
    runs = runs or Runs()
    given = {event.event_id: event for event in reversed(list(events))}
    whole = sorted(given.values(), key=_moment)
    batch = [event for event in whole if worth_keeping(event)]
    if len(batch) < _FEWEST:
        return None
    course = followed(_until_the_end(whole, batch, history), runs)
    paths, changed = _changed(batch)
    lines = {
        "Asked": _asked(batch),
        "Done": _done(batch, runs),
        "Changed": changed,
        "Broke": _broke(batch, runs, course),
        "Fixed": [
            deeds.fix(recovery)
            for recovery in course.recoveries
            if recovery.passed.event.event_id in given and not deeds.only_shows(recovery.passed)
        ],
    }
    text = "\n".join(filter(None, (_line(label, items) for label, items in lines.items())))
    if not text:
        return None
    return Summary(whole[0].session, text, paths, whole[0].at, whole[-1].at, len(whole))


def summary_id(session: str, first: str) -> str:
    """The event id of the summary of the batch that begins with event `first`."""
    return f"summary:{session}:{first}"


def written(group: str, event_id: str, summary: Summary, tags: Sequence[str]) -> Extraction:
    """The summary as an episode of `group`, with the files that it names."""
    draft = Draft(group)
    uuid = episode_uuid(group, event_id)
    for path in summary.paths:
        draft.mentions[uuid, draft.entity("File", path).uuid] = None
    metadata: dict[str, Json] = {
        "type": EventKind.SUMMARY.value,
        "tags": list(tags),
        "first_at": summary.first_at,
        "last_at": summary.last_at,
        "events": summary.events,
    }
    episode = Episode(
        uuid=uuid,
        group=group,
        session=summary.session,
        event_id=event_id,
        kind=EventKind.SUMMARY,
        name=episode_name(summary.last_at, event_id),
        content=summary.text,
        source="opencode",
        at=summary.last_at,
        paths=summary.paths,
        metadata=metadata,
    )
    return Extraction(
        group, (episode,), tuple(draft.entities.values()), mentions=tuple(draft.mentions)
    )


def _moment(event: RawEvent) -> tuple[float, str]:
    return event.at, event.event_id


def _until_the_end(
    whole: list[RawEvent], batch: list[RawEvent], history: Iterable[RawEvent]
) -> list[RawEvent]:
    """The session's events up to the batch's end, in order."""
    known = {event.event_id: event for event in batch}
    end = _moment(whole[-1])
    for event in history:
        if (
            event.session == whole[0].session
            and event.kind in HISTORY_KINDS
            and _moment(event) < end
            and worth_keeping(event)
        ):
            known.setdefault(event.event_id, event)
    return sorted(known.values(), key=_moment)


def _asked(batch: list[RawEvent]) -> list[str]:
    completed = {completed_task(event) for event in batch if event.kind is EventKind.SUCCESS}
    found: dict[str, str] = {}
    for event in batch:
        if event.kind is EventKind.PROMPT and (asked := asked_for(event.content)):
            done = " (completed)" if asked in completed or found.get(asked) else ""
            found[asked] = done
    return [shorten(asked, _PROMPT).rstrip(_STOPS) + done for asked, done in found.items()]


def asked_for(prompt: str) -> str:
    """The first line of a prompt that asks something."""
    return next(filter(None, map(task_of, prompt[:2000].split("\n"))), "")


def _done(batch: list[RawEvent], runs: Runs) -> list[str]:
    asked = {asked_for(event.content) for event in batch if event.kind is EventKind.PROMPT}
    tasks = (completed_task(event) for event in batch if event.kind is EventKind.SUCCESS)
    found = [
        f"completed: {shorten(task, _PROMPT).rstrip(_STOPS)}"
        for task in dict.fromkeys(tasks)
        if task and task not in asked
    ]
    return found + deeds.commands([run for event in batch if (run := runs.of(event))])


def _changed(batch: list[RawEvent]) -> tuple[tuple[str, ...], list[str]]:
    """The files that were changed, most edits first, and what is said of each."""
    edits: Counter[str] = Counter()
    how: dict[str, str] = {}
    for event in batch:
        path = word(event, "path")
        if event.kind is not EventKind.FILE_EDIT or not path:
            continue
        edits[path] += 1
        old = word(event, "old_path")
        match word(event, "change"):
            case "deleted":
                how[path] = "deleted "
            case "moved" if old and old != path:
                how[path] = f"moved {shorten(old, _PATH)} to "
            case "added":
                how[path] = "new "
            case _ if how.get(path) == "deleted ":
                del how[path]
            case _:
                pass
    ranked = sorted(edits, key=lambda path: (-edits[path], path))
    said = []
    for path in ranked:
        name = how.get(path, "") + shorten(path, _PATH)
        said.append(f"{name} ({edits[path]})" if edits[path] > 1 else name)
    return tuple(ranked[:_PATHS]), said


def _broke(batch: list[RawEvent], runs: Runs, course: Followed) -> list[str]:
    """Commands that fail at the end, and errors that no command made."""
    own = {event.event_id for event in batch}
    found = [
        deeds.failure(name, failing)
        for name, failing in course.failing.items()
        if (last := failing.last) and last.event.event_id in own and not deeds.only_shows(last)
    ]
    for event in batch:
        run = runs.of(event)
        if run and run.command is None and run.outcome is Outcome.FAILED and run.errors:
            found.append(run.errors[0].name)
    return found


def _line(label: str, items: Iterable[str]) -> str:
    """`label: one; other; and 3 more`, "" when there is nothing to say."""
    said = list(dict.fromkeys(filter(None, (shorten(_plain(item), _ITEM) for item in items))))
    if not said:
        return ""
    text, room = f"{label}: {said[0]}", _LINES[label] - _MORE
    for number, item in enumerate(said[1:], 1):
        if len(text) + len(item) > room:
            return f"{text}; and {len(said) - number} more"
        text += f"; {item}"
    return text


def _plain(text: str) -> str:
    """`text` without what a terminal or a page could take for more than text."""
    return _CONTROL.sub(" ", text[: _ITEM * 8]).encode("utf-8", "replace").decode()
