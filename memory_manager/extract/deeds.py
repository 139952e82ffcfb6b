"""What commands came to, in a person's words: the lines of a summary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memory_manager.extract import packages
from memory_manager.extract.commands import Outcome
from memory_manager.extract.draft import shorten, word
from memory_manager.extract.events import committed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_manager.extract.recovery import Failing, Recovery
    from memory_manager.extract.runs import Run

#: Characters of a command and of an error in a line; files, tests and other commands named.
_COMMAND, _ERROR, _NAMED, _OTHERS = 60, 90, 3, 3
_BUILDS = re.compile(
    r"(?<![\w-])(?:build|compile|lint|type-?check|tsc|mypy|pyright|ruff|eslint|biome|clippy|vet|"
    r"check|migrate|migrations?|deploy|publish|release|bundle|webpack|vite|cmake)(?![\w-])"
)


def only_shows(run: Run) -> bool:
    """Whether the run only showed something, so that its outcome is no news."""
    return run.command is None or run.command.showing


def commands(runs: Iterable[Run]) -> list[str]:
    """What went well: tests and builds as they stood last, commits, packages, other commands."""
    last: dict[str, Run] = {}
    commits: list[str] = []
    installed: list[str] = []
    for run in runs:
        if run.command is None or run.command.showing:
            continue
        last[run.command.name] = run
        if run.outcome is Outcome.FAILED:
            continue
        if commit := committed(run.event, run.command):
            commits.append(f"committed {commit.digest} {commit.subject}")
        for words in run.command.parts:
            installed += [
                f"{'removed' if package.removed else 'installed'} {package.name}"
                for package in packages.installed(words)
            ]
    passed = {name: run for name, run in last.items() if run.outcome is Outcome.PASSED}
    tests = [name for name, run in passed.items() if run.command and run.command.tests]
    builds = [name for name in passed if name not in tests and _BUILDS.search(name)]
    said = [f"{_code(name)} passed" for name in (*tests, *builds)] + commits + installed
    if not said:
        others = [name for name in last if name not in tests and name not in builds]
        said = [f"ran {_code(name)}" for name in others if name in passed][:_OTHERS]
    return said


def failure(name: str, failing: Failing) -> str:
    """A command that fails still."""
    said = f"{_code(name)} fails with {_errors(list(failing.errors)[::-1])}"
    return f"{said} ({_list(list(failing.tests))})" if failing.tests else said


def fix(recovery: Recovery) -> str:
    """A command that had failed and passes, and what made it."""
    passed = recovery.passed
    name = _code(passed.command.name if passed.command else word(passed.event, "command"))
    said = f"{name} failed with {_errors([cause.name for cause in recovery.causes])}"
    paths = dict.fromkeys(path for cause in recovery.causes for path in cause.paths)
    between = dict.fromkeys(
        run.command.name for cause in recovery.causes for run in cause.runs if run.command
    )
    if paths:
        return f"{said}; passes after editing {_list(list(paths))}"
    if between:
        return f"{said}; passes after {_list([_code(one) for one in between])}"
    return f"{said}; passed when run again"


def _code(name: str) -> str:
    return f"`{shorten(name, _COMMAND)}`"


def _errors(names: list[str]) -> str:
    more = len(names) - 1
    first = shorten(names[0], _ERROR) if names else "an error"
    return first + (f" and {more} more error{'s' if more > 1 else ''}" if more > 0 else "")


def _list(names: list[str]) -> str:
    said = ", ".join(shorten(name, _COMMAND) for name in names[:_NAMED])
    return said if len(names) <= _NAMED else f"{said} and {len(names) - _NAMED} more"
