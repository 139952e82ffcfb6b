"""Every relation there is: what it joins, how it reads, what makes it one fact, what closes it.

The rules that make the graph a function of the set of events (for whoever stores a `Fact`):

1. A fact with a `scope` is replaced as it comes. Of two versions of a fact without a scope the
   one with the smaller `(valid_at, event_ids)` stays (their witnesses may be joined: sorted, each
   once). Only `Basis.SEEN` facts ever come in two versions, one for each witness; the earliest
   witness tells since when it is true.
2. Stored facts whose scope is in `Extraction.scopes` and that are not among its facts go.
3. After that, in each chain (equal `Fact.closes`) touched by 1 or 2, in the order of
   `(valid_at, uuid)`: a fact's `invalid_at` is the next one's `valid_at`, the last one's is None.

No relation closes itself: `invalid_at` is never set here. One event puts at most one fact into a
chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Basis(StrEnum):
    """What tells two facts of one relation between the same two entities apart."""

    #: The event: each one makes its own fact.
    EVENT = "event"
    #: Nothing: a timeless truth about structure, valid since its earliest witness. (Where an event
    #: creates the thing anew, that event makes a fact of its own, so that it can be reopened.)
    SEEN = "seen"
    #: The session, and the event that completes it: made of the session's whole history, replaced
    #: when that grows (`Fact.scope`).
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Relation:
    """One row of the table. `template` reads with `{source}`, `{target}` and `{detail}`."""

    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    template: str
    basis: Basis = Basis.EVENT
    #: What a chain of this functional relation is about; "" when nothing closes it.
    chain: str = ""
    #: In words: which later fact ends this one.
    closed_by: str = ""

    @property
    def functional(self) -> bool:
        """Whether a later fact of its chain closes this one."""
        return bool(self.chain)


_EVENT, _SEEN, _SESSION = Basis.EVENT, Basis.SEEN, Basis.SESSION
_RUN = ("Command", "Session")

#: The table.  name, sources, targets, template, basis, chain, closed by
_TABLE = (
    # Files.
    Relation("MODIFIED", ("Session",), ("File",), "{detail} {target}"),
    Relation(
        "IN", ("File",), ("Directory",), "{source} is in {target}", _SEEN,
        "file", "DELETED or MOVED of the file",
    ),
    Relation(
        "DELETED", ("Session",), ("File",), "Deleted {target}", _EVENT,
        "file", "the file being added again (IN)",
    ),
    Relation(
        "MOVED", ("File",), ("File",), "Moved {source} to {target}", _EVENT,
        "file", "the old path being added again (IN)",
    ),
    Relation(
        "CHANGED_WITH", ("File",), ("File",),
        "{source} and {target} were changed together {detail}", _SESSION,
    ),
    # Symbols.
    Relation(
        "CONTAINS", ("File",), ("Symbol",), "{source} contains {detail}", _SEEN,
        "symbol", "LOST",
    ),
    Relation(
        "LOST", ("File",), ("Symbol",), "{source} no longer contains {detail}", _EVENT,
        "symbol", "the symbol being added again (CONTAINS)",
    ),
    Relation("CHANGED", ("Session",), ("Symbol",), "{detail}"),
    # Packages.
    Relation(
        "DEPENDS_ON", ("File",), ("Package",), "{source} depends on {target}{detail}", _EVENT,
        "dependency", "DROPPED, or another version",
    ),
    Relation(
        "DROPPED", ("File",), ("Package",), "{source} no longer depends on {target}", _EVENT,
        "dependency", "DEPENDS_ON",
    ),
    Relation("IMPORTS", ("File",), ("Package",), "{source} imports {target}", _SEEN),
    Relation(
        "INSTALLED", ("Session",), ("Package",), "Installed {target}{detail}", _EVENT,
        "package", "UNINSTALLED, or another version",
    ),
    Relation(
        "UNINSTALLED", ("Session",), ("Package",), "Uninstalled {target}{detail}", _EVENT,
        "package", "INSTALLED",
    ),
    # Commands, tests, errors. PASSED of a test can also be inferred from a whole session (then it
    # has a scope): `pytest -q` passes without naming the tests that had failed.
    Relation(
        "FAILED_WITH", ("Command",), ("Error",), "`{source}` failed with {target}{detail}", _EVENT,
        "status", "the command's next PASSED or FAILED_WITH",
    ),
    Relation(
        "PASSED", ("Command", "Test"), _RUN, "{detail} passed", _EVENT,
        "status", "the next PASSED, FAILED or FAILED_WITH",
    ),
    Relation(
        "FAILED", ("Test",), _RUN, "Test {source} failed{detail}", _EVENT,
        "status", "the test's next PASSED or FAILED",
    ),
    Relation("HIT", ("Session",), ("Error",), "Hit {target}{detail}"),
    Relation("OCCURRED_IN", ("Error",), ("File",), "{source} occurred in {target}"),
    Relation("FIXED_BY", ("Error",), ("File",), "{detail}", _SESSION),
    Relation("COMMITTED", ("Session",), ("Commit",), "Committed {target}{detail}"),
    # Work.
    Relation(
        "WORKED_ON", ("Session",), ("Task",), "Worked on: {target}", _EVENT,
        "task", "COMPLETED of the same task in the same session",
    ),
    Relation(
        "COMPLETED", ("Session",), ("Task",), "Completed: {target}{detail}", _EVENT,
        "task", "WORKED_ON of the same task in the same session",
    ),
    # What people say. The chain is the thing chosen: "use X instead of Y" makes PREFERS X in the
    # chain of X and AVOIDS Y in the chain of Y, where it closes an earlier "use Y".
    Relation(
        "DECIDED", ("Person",), ("Decision",), "Decided: {detail}", _EVENT,
        "choice", "a later choice about the same thing",
    ),
    Relation(
        "PREFERS", ("Person",), ("Preference",), "Preference: {detail}", _EVENT,
        "choice", "a later choice about the same thing",
    ),
    Relation(
        "AVOIDS", ("Person",), ("Preference",), "Avoid {target}: {detail}", _EVENT,
        "choice", "a later choice about the same thing",
    ),
    Relation("NOTED", ("Person",), ("Note",), "To remember: {target}"),
)  # fmt: skip

#: The table by name.
RELATIONS = {relation.name: relation for relation in _TABLE}

#: Every type of entity that the extractor makes.
ENTITY_TYPES = frozenset(
    type_ for relation in _TABLE for type_ in (*relation.sources, *relation.targets)
)
