"""Facts that need a session's whole history: what fixed an error, what changes together.

Every fact here has the session as its scope and is a function of the set of the session's events,
in the order of `(at, event_id)`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from memory_manager.extract.commands import Outcome
from memory_manager.extract.draft import Draft, word
from memory_manager.extract.files import is_own
from memory_manager.extract.runs import CONTENT, Run
from memory_manager.model import EventKind, RawEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: The kinds of events that these facts are made of.
HISTORY_KINDS = frozenset(
    {
        EventKind.FILE_EDIT, EventKind.COMMAND, EventKind.ERROR, EventKind.SUCCESS,
        EventKind.PROMPT,
    }
)  # fmt: skip
#: What events given as history must have: all metadata but `diff` and `content` (`output` is what
#: errors are read from), and at least this many characters of their content.
HISTORY_CONTENT = CONTENT

_FILES_OF_TURN, _PAIRS_OF_SESSION, _FIXES = 10, 200, 8


@dataclass(slots=True)
class _Failing:
    """A command that has failed and not passed since: each error's last occurrence."""

    errors: dict[str, tuple[int, Run]] = field(default_factory=dict)
    tests: dict[str, Run] = field(default_factory=dict)


def add(
    draft: Draft, session: str, events: Sequence[RawEvent], runs: Mapping[str, Run]
) -> None:  # fmt: skip
    """Adds the scoped facts of one session; `events` are all of its known ones, in order."""
    edits: list[tuple[int, RawEvent]] = []
    turns: list[dict[str, RawEvent]] = [{}]
    failing: dict[str, _Failing] = {}
    for index, event in enumerate(events):
        if event.kind in {EventKind.PROMPT, EventKind.SUCCESS}:
            turns.append({})
        elif event.kind is EventKind.FILE_EDIT and word(event, "path"):
            edits.append((index, event))
            turns[-1].setdefault(word(event, "path"), event)
        run = runs.get(event.event_id)
        if run is None or run.command is None:
            continue
        if run.outcome is Outcome.FAILED:
            state = failing.setdefault(run.command.name, _Failing())
            for error in run.errors:
                state.errors[error.name] = (index, run)
            state.tests.update((name, run) for name, passed in run.tests if not passed)
        elif run.outcome is Outcome.PASSED and run.command.name in failing:
            state = failing.pop(run.command.name)
            _fixed(draft, session, state, run, edits)
            _passed_again(draft, session, state, run)
    _together(draft, session, turns)


def _fixed(
    draft: Draft, session: str, state: _Failing, passed: Run, edits: list[tuple[int, RawEvent]]
) -> None:
    """Error FIXED_BY File: the edits between an error's last occurrence and the pass.

    A file that the error occurred in comes first, then the latest edits; bounded.
    """
    command = passed.command.name if passed.command else ""
    for name, (index, failed) in state.errors.items():
        since = [edit for at, edit in edits if at > index]
        newest = list(dict.fromkeys(word(edit, "path") for edit in reversed(since)))
        latest = {word(edit, "path"): edit for edit in since}
        places = next(one.files for one in failed.errors if one.name == name)
        ranked = sorted(newest, key=lambda path: path not in places)
        for path in ranked[:_FIXES]:
            edit = latest[path]
            draft.fact(
                passed.event,
                draft.entity("Error", name),
                "FIXED_BY",
                draft.entity("File", path),
                detail=f"`{command}` failed with {name}; fixed by editing {path}, then it passed",
                paths=tuple(dict.fromkeys((path, *places))),
                witnesses=(failed.event, edit, passed.event),
                scope=session,
            )


def _passed_again(draft: Draft, session: str, state: _Failing, passed: Run) -> None:
    """Test PASSED where the run that passed does not name the tests that had failed."""
    if passed.command is None:
        return
    where = draft.entity("Command", passed.command.name)
    named = {name for name, _ in passed.tests}
    for name, failed in state.tests.items():
        if name not in named:
            test = draft.entity("Test", name)
            draft.fact(
                passed.event,
                test,
                "PASSED",
                where,
                detail=f"Test {test.name}",
                chain=test.uuid,
                witnesses=(failed.event, passed.event),
                scope=session,
            )


def _together(draft: Draft, session: str, turns: Iterable[dict[str, RawEvent]]) -> None:
    """File CHANGED_WITH File, for files edited in one turn; the most frequent pairs."""
    count: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], tuple[RawEvent, RawEvent]] = {}
    for turn in turns:
        own = [path for path in turn if is_own(path)][:_FILES_OF_TURN]
        for one, other in combinations(sorted(own), 2):
            count[one, other] += 1
            first.setdefault((one, other), (turn[one], turn[other]))
    ranked = sorted(count, key=lambda pair: (-count[pair], pair))
    for pair in ranked[:_PAIRS_OF_SESSION]:
        times = "once" if count[pair] == 1 else f"{count[pair]} times"
        # Known since both had been edited.
        earlier, later = sorted(first[pair], key=lambda event: (event.at, event.event_id))
        draft.fact(
            later,
            draft.entity("File", pair[0]),
            "CHANGED_WITH",
            draft.entity("File", pair[1]),
            detail=times,
            paths=pair,
            witnesses=(earlier, later),
            scope=session,
        )
