"""What a command or error event says of a run: the command, its outcome, errors and tests."""

# ruff: noqa: SIM905 - long lists of words read best as one string
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from memory_manager.extract import commands, testruns
from memory_manager.extract.commands import Command, Outcome
from memory_manager.extract.draft import number, word
from memory_manager.extract.failures import Failure, failures
from memory_manager.extract.steady import last_line, steady
from memory_manager.model import EventKind, RawEvent

#: How much of an event's content is read where its metadata do not say it.
CONTENT = 2000
#: A session's failures are read again with each of its batches: outputs are 16 KB at most, so these
#: are 8 MB.
_failures = lru_cache(maxsize=512)(failures)
#: Programs whose output quotes other runs (logs, pull requests) instead of being one.
_QUOTING = frozenset("git gh glab echo printf curl jq cat head tail".split())


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `command` is None for an error that no command made."""

    event: RawEvent
    command: Command | None
    outcome: Outcome
    errors: tuple[Failure, ...] = ()
    tests: tuple[tuple[str, bool], ...] = ()


class Runs:
    """What events say of runs; each event is read once, however often it is asked for."""

    def __init__(self) -> None:
        self._known: dict[str, Run | None] = {}

    def of(self, event: RawEvent) -> Run | None:
        """What `run_of` reads in the event that first came with this id."""
        if event.event_id not in self._known:
            self._known[event.event_id] = run_of(event)
        return self._known[event.event_id]


def run_of(event: RawEvent) -> Run | None:
    """Reads a command or error event; None for any other, and for a command without words."""
    directory = word(event, "directory")
    line = word(event, "command")
    command = commands.read(line, directory) if line.strip() else None
    if event.kind is EventKind.ERROR:
        return _error(event, command, directory)
    if event.kind is not EventKind.COMMAND or command is None:
        return None
    output = word(event, "output")
    quoting = bool(command.parts) and all(part[0] in _QUOTING for part in command.parts)
    tests = {} if quoting or command.showing else testruns.results(output)
    status = number(event, "exit")
    outcome = commands.outcome(command, status, shows_failure=False in tests.values())
    errors: tuple[Failure, ...] = ()
    if outcome is Outcome.FAILED:
        known = None if quoting else _failures(output, directory)
        errors = known or (_unnamed(status, last_line(output, directory)),)
    return Run(event, command, outcome, errors, tuple(tests.items()))


def _unnamed(status: int | None, said: str) -> Failure:
    return Failure(f"exit status {status}" if status else "failure", said)


def _error(event: RawEvent, command: Command | None, directory: str) -> Run:
    """An error event: its message in the content, its class in `name` when OpenCode gives one."""
    message = event.content[:CONTENT].removeprefix("Error: ").strip()
    output = word(event, "output")
    tests = testruns.results(output) if command is not None and output else {}
    found = _failures(f"{message}\n{output}" if output else message, directory)
    name = word(event, "name")
    if name and not any(failure.kind == name for failure in found):
        first = steady(message.partition("\n")[0], directory).removeprefix(f"{name}: ")
        found = (Failure(name[:80], first, found[0].files if found else ()), *found)
    if not found:
        said = steady(message.partition("\n")[0], directory)
        found = (Failure(word(event, "tool")[:40] or "error", said),) if said else ()
    return Run(event, command, Outcome.FAILED, found[:8], tuple(tests.items()))
