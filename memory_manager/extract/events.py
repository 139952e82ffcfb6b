"""The facts that one event makes by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.extract import edits, files, packages, testruns
from memory_manager.extract.commands import Command, Outcome
from memory_manager.extract.draft import Draft, number, shorten, word
from memory_manager.extract.episodes import completed_task, task_of
from memory_manager.extract.words import choices
from memory_manager.model import Entity, EventKind, RawEvent

if TYPE_CHECKING:
    from memory_manager.extract.runs import Run

_MENTIONED = 8
_COMMITTED = re.compile(
    r"^\[([^\s\]]{1,200})(?: \(root-commit\))? ([0-9a-f]{7,40})\] (.{1,200})", re.MULTILINE
)


def add(draft: Draft, event: RawEvent, run: Run | None) -> None:
    """Adds the facts of `event` (`run` is what `run_of` read in it)."""
    session = draft.entity("Session", event.session)
    draft.mention(event, session)
    if event.kind is EventKind.FILE_EDIT:
        edits.add(draft, event, session)
        return
    if run is not None:
        _run(draft, run, session)
    elif event.kind is EventKind.PROMPT:
        _work(draft, event, "WORKED_ON", task_of(event.content))
    elif event.kind is EventKind.SUCCESS:
        _work(draft, event, "COMPLETED", completed_task(event), _spent(event))
    if event.kind in {EventKind.PROMPT, EventKind.NOTE}:
        _said(draft, event)
    named = files.named_in(event.content, word(event, "directory"), _MENTIONED)
    draft.mention(event, *(draft.entity("File", path) for path in named if files.is_own(path)))


def _run(draft: Draft, run: Run, session: Entity) -> None:
    event = run.event
    command = draft.entity("Command", run.command.name) if run.command else None
    for error in run.errors:
        node = draft.entity("Error", error.name)
        draft.mention(event, node)
        for path in error.files:
            draft.fact(event, node, "OCCURRED_IN", draft.entity("File", path), paths=(path,))
    paths = tuple(dict.fromkeys(path for error in run.errors for path in error.files))
    if run.outcome is Outcome.FAILED and run.errors:
        first = draft.entity("Error", run.errors[0].name)
        if command is None:
            where = f" in {word(event, 'tool')}" if word(event, "tool") else ""
            draft.fact(event, session, "HIT", first, detail=where, paths=paths)
        else:
            detail = _others(run)
            draft.fact(
                event, command, "FAILED_WITH", first, detail=detail, chain=command.uuid, paths=paths
            )
    elif run.outcome is Outcome.PASSED and run.command is not None and not run.command.showing:
        node = draft.entity("Command", run.command.name)
        said = f"`{node.name}`"
        draft.fact(event, node, "PASSED", session, detail=said, chain=node.uuid)
    for name, passed in run.tests:
        _test(draft, run, name, command or session, passed=passed)
    if run.command is not None and run.outcome is not Outcome.FAILED:
        _effects(draft, event, session, run.command)


def _others(run: Run) -> str:
    more = len(run.errors) - 1
    status = number(run.event, "exit")
    said = f" (exit status {status})" if status and "exit status" not in run.errors[0].kind else ""
    return said + (f", and {more} more error{'s' if more > 1 else ''}" if more else "")


def _test(draft: Draft, run: Run, name: str, where: Entity, *, passed: bool) -> None:
    test = draft.entity("Test", name)
    file = testruns.file_of(name)
    paths = (file,) if file else ()
    event = run.event
    if passed:
        detail = f"Test {test.name}"
        draft.fact(event, test, "PASSED", where, detail=detail, chain=test.uuid, paths=paths)
    else:
        detail = f": {run.errors[0].name}" if len(run.errors) == 1 else ""
        draft.fact(event, test, "FAILED", where, detail=detail, chain=test.uuid, paths=paths)


def _effects(draft: Draft, event: RawEvent, session: Entity, command: Command) -> None:
    """What a command that did not fail has changed: packages, commits."""
    for words in command.parts:
        for package in packages.installed(words):
            target = draft.entity("Package", package.name)
            relation = "UNINSTALLED" if package.removed else "INSTALLED"
            detail = f" {package.version}" if package.version else ""
            detail += f" with {words[0]}"
            draft.fact(event, session, relation, target, detail=detail, chain=target.uuid)
    if commit := committed(event, command):
        node = draft.entity("Commit", commit.digest)
        detail = f" on {commit.branch}: {commit.subject}"
        draft.fact(event, session, "COMMITTED", node, detail=detail)


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that a command says it has made."""

    digest: str
    branch: str
    subject: str


def committed(event: RawEvent, command: Command) -> Commit | None:
    """The commit that this run of `command` made."""
    if all(words[:1] != ("git",) for words in command.parts):
        return None
    match = _COMMITTED.search(word(event, "output")[:8192])
    return match and Commit(match[2][:7], match[1], shorten(match[3], 200))


def _work(draft: Draft, event: RawEvent, relation: str, name: str, detail: str = "") -> None:
    if name:
        session, task = draft.entity("Session", event.session), draft.entity("Task", name)
        chain = f"{session.uuid}:{task.uuid}"
        draft.fact(event, session, relation, task, detail=detail, chain=chain)


def _spent(event: RawEvent) -> str:
    seconds = event.metadata.get("duration")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e7:  # noqa: PLR2004
        return ""
    return f" ({seconds:.0f} s)"


def _said(draft: Draft, event: RawEvent) -> None:
    types = {"DECIDED": "Decision", "NOTED": "Note"}
    for choice in choices(event.content):
        person = draft.entity("Person", "user")
        target = draft.entity(types.get(choice.relation, "Preference"), choice.thing)
        draft.fact(
            event, person, choice.relation, target, detail=choice.sentence, chain=choice.topic
        )
