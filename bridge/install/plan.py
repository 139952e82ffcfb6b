"""What installing and uninstalling come to: which files change, and how. Reads, and writes nothing."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.install import entry as entries
from bridge.install import places, stub
from bridge.install.writing import Change

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bridge.install.entry import Entry
    from bridge.install.places import Scope
    from bridge.install.stub import Stub


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be done in one scope; nothing in it: it is done already."""

    scope: Scope
    #: The file that our entry is in, or goes into; None when uninstalling.
    target: Path | None
    changes: tuple[Change, ...]
    #: Folders that get a stub, that lose theirs, and that may have none, with the reason.
    stubs: tuple[Path, ...] = ()
    stale: tuple[Path, ...] = ()
    slow: tuple[Stub, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.changes or self.stubs or self.stale)

    @property
    def who(self) -> str:
        """By what name this scope wants its stubs."""
        return name_of(self.scope)


def name_of(scope: Scope) -> str:
    """The scope's name in a stub's list: its root, or the word for all projects."""
    return str(scope.root) if scope.root else "everywhere"


def install(scope: Scope, entry: Entry, environment: Mapping[str, str]) -> Plan:
    """Our entry in the one right file, and in no other of the scope.

    Raises:
        InvalidRequest: a file of the scope is no configuration.
        Rejected: one can't be read.
    """
    files = [places.look(path) for path in scope.files]
    target = places.chosen(files, hides=scope.hides)
    changes = []
    for seen in files:
        if seen is target:
            after: str | None = entries.with_entry(seen.text, entry)
        else:
            after = None if seen.text is None else entries.without_entry(seen.text)
        if after != seen.text:
            changes.append(Change(seen.path, seen.text, after))
    found = [stub.look(folder) for folder in places.dependants(scope, environment)]
    who = name_of(scope)
    return Plan(
        scope,
        target.path,
        tuple(changes),
        stubs=tuple(each.folder for each in found if not each.unsafe and who not in each.wanted_by),
        stale=tuple(each.folder for each in found if each.unsafe and each.there),
        slow=tuple(each for each in found if each.unsafe and (each.there or not each.settled)),
    )


def uninstall(scope: Scope, environment: Mapping[str, str]) -> Plan:
    """Nothing of us in the scope.

    Raises:
        InvalidRequest: a file of the scope is no configuration.
        Rejected: one can't be read.
    """
    changes = []
    for seen in (places.look(path) for path in scope.files):
        after = None if seen.text is None else entries.without_entry(seen.text)
        if after != seen.text:
            changes.append(Change(seen.path, seen.text, after))
    who = name_of(scope)
    found = [stub.look(folder) for folder in places.dependants(scope, environment)]
    return Plan(
        scope,
        None,
        tuple(changes),
        stale=tuple(each.folder for each in found if who in each.wanted_by),
    )


def diff(change: Change) -> str:
    """The change as lines with + and -."""
    before, after = (change.before or "").splitlines(), (change.after or "").splitlines()
    old = str(change.path) if change.before is not None else "/dev/null"
    new = str(change.path) if change.after is not None else "/dev/null"
    return "\n".join(difflib.unified_diff(before, after, old, new, lineterm=""))
