"""Facts that need a session's whole history: what fixed an error, what changes together.

Every fact here has the session as its scope and is a function of the set of the session's events,
in the order of `(at, event_id)`.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

from memory_manager.extract.draft import Draft, word
from memory_manager.extract.files import is_own
from memory_manager.extract.recovery import Recovery, followed
from memory_manager.extract.runs import CONTENT
from memory_manager.model import EventKind, RawEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memory_manager.extract.runs import Runs

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


def add(draft: Draft, session: str, events: Sequence[RawEvent], runs: Runs) -> None:
    """Adds the scoped facts of one session; `events` are all of its known ones, in order."""
    for recovery in followed(events, runs).recoveries:
        _fixed(draft, session, recovery)
        _passed_again(draft, session, recovery)
    turns: list[dict[str, RawEvent]] = [{}]
    for event in events:
        if event.kind in {EventKind.PROMPT, EventKind.SUCCESS}:
            turns.append({})
        elif event.kind is EventKind.FILE_EDIT and word(event, "path"):
            turns[-1].setdefault(word(event, "path"), event)
    _together(draft, session, turns)


def _fixed(draft: Draft, session: str, recovery: Recovery) -> None:
    """Error FIXED_BY File: the edits between an error's last occurrence and the pass.

    A file that the error occurred in comes first, then the latest edits; bounded.
    """
    passed = recovery.passed
    command = passed.command.name if passed.command else ""
    for cause in recovery.causes:
        latest = {word(edit, "path"): edit for edit in cause.edits}
        for path in cause.paths[:_FIXES]:
            edit = latest[path]
            draft.fact(
                passed.event,
                draft.entity("Error", cause.name),
                "FIXED_BY",
                draft.entity("File", path),
                detail=f"`{command}` failed with {cause.name}; fixed by editing {path}, then it passed",
                paths=tuple(dict.fromkeys((path, *cause.places))),
                witnesses=(cause.failed.event, edit, passed.event),
                scope=session,
            )


def _passed_again(draft: Draft, session: str, recovery: Recovery) -> None:
    """Test PASSED where the run that passed does not name the tests that had failed."""
    passed = recovery.passed
    if passed.command is None:
        return
    where = draft.entity("Command", passed.command.name)
    named = {name for name, _ in passed.tests}
    for name, failed in recovery.tests.items():
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
