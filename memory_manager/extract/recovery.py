"""What failed in a session, what made it pass again, and what fails still."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memory_manager.extract.commands import Outcome
from memory_manager.extract.draft import word
from memory_manager.model import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_manager.extract.runs import Run, Runs
    from memory_manager.model import RawEvent


@dataclass(slots=True)
class Failing:
    """A command that has failed and not passed since: each error's last occurrence."""

    #: By the error's name: the number of the event, and the run that had it.
    errors: dict[str, tuple[int, Run]] = field(default_factory=dict)
    tests: dict[str, Run] = field(default_factory=dict)

    @property
    def last(self) -> Run | None:
        """The run that failed last."""
        runs = [run for _, run in sorted(self.errors.values(), key=lambda found: found[0])]
        return runs[-1] if runs else None


@dataclass(frozen=True, slots=True)
class Cause:
    """An error that is gone, and what was done between its last occurrence and the pass."""

    name: str
    failed: Run
    #: The project's own files that it occurred in.
    places: tuple[str, ...]
    edits: tuple[RawEvent, ...]
    #: Other commands that went well.
    runs: tuple[Run, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The files edited: those that the error occurred in, then the latest edited ones."""
        newest = dict.fromkeys(word(edit, "path") for edit in reversed(self.edits))
        return tuple(sorted(newest, key=lambda path: path not in self.places))


@dataclass(frozen=True, slots=True)
class Recovery:
    """A command that had failed and passes."""

    passed: Run
    causes: tuple[Cause, ...]
    #: The tests that had failed, each with its last such run.
    tests: dict[str, Run]


@dataclass(slots=True)
class Followed:
    """A session, followed to its end. `failing` is by the command's name."""

    recoveries: list[Recovery] = field(default_factory=list)
    failing: dict[str, Failing] = field(default_factory=dict)


def followed(events: Iterable[RawEvent], runs: Runs) -> Followed:
    """Follows the events of one session, which come in their order."""
    found = Followed()
    edits: list[tuple[int, RawEvent]] = []
    passes: list[tuple[int, Run]] = []
    for index, event in enumerate(events):
        if event.kind is EventKind.FILE_EDIT and word(event, "path"):
            edits.append((index, event))
        run = runs.of(event)
        if run is None or run.command is None:
            continue
        name = run.command.name
        if run.outcome is Outcome.FAILED:
            state = found.failing.setdefault(name, Failing())
            for error in run.errors:
                state.errors[error.name] = (index, run)
            state.tests.update((test, run) for test, passed in run.tests if not passed)
        elif run.outcome is Outcome.PASSED:
            if name in found.failing:
                state = found.failing.pop(name)
                found.recoveries.append(_recovery(state, run, edits, passes))
            if not run.command.showing:
                passes.append((index, run))
    return found


def _recovery(
    state: Failing, passed: Run, edits: list[tuple[int, RawEvent]], passes: list[tuple[int, Run]]
) -> Recovery:
    causes = tuple(
        Cause(
            name,
            failed,
            next(error.files for error in failed.errors if error.name == name),
            _since(edits, index),
            _since(passes, index),
        )
        for name, (index, failed) in state.errors.items()
    )
    return Recovery(passed, causes, state.tests)


def _since[Thing](things: list[tuple[int, Thing]], index: int) -> tuple[Thing, ...]:
    """What came after `index`, of things in order."""
    begin = bisect_right(things, index, key=lambda thing: thing[0])
    return tuple(thing for _, thing in things[begin:])
