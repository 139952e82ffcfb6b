"""Carries a plan out and says in plain lines what was done."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bridge.install import stub, writing

if TYPE_CHECKING:
    from bridge.install.plan import Plan


def install(plan: Plan) -> list[str]:
    """Write what the plan says; what was done, line by line.

    Raises:
        Rejected: something can't be written; what was done before it stays, and is whole.
    """
    said: list[str] = []
    for folder in plan.stale:
        stub.take(folder, None)
        said.append(f"took our stand-in package out of {folder}: it is needed there now")
    for change in plan.changes:
        writing.carry_out(change, keep=True)
        if change.path != plan.target:
            said.append(f"took the entry out of {change.path}: a stronger file hides it")
        elif change.before is None:
            said.append(f"made {change.path}")
        else:
            said.append(
                f"put the plugin into {change.path} (as it was: {writing.backup(change.path).name})"
            )
    for folder in plan.stubs:
        if not stub.look(folder).there:
            said.append(f"put an empty package into {folder}, so that OpenCode starts at once")
        stub.put(folder, plan.who)
    return said


def uninstall(plan: Plan) -> list[str]:
    """Take out what is ours; what was done, line by line.

    Raises:
        Rejected: something can't be written; what was done before it stays, and is whole.
    """
    said: list[str] = []
    for folder in plan.stale:
        gone = stub.take(folder, plan.who)
        said.append(
            f"took our empty package out of {folder}"
            if gone
            else f"left our empty package in {folder}: another installation wants it"
        )
    for change in plan.changes:
        writing.carry_out(change, keep=False)
        said.append(
            f"removed {change.path}, which was ours"
            if change.after is None
            else f"took the plugin out of {change.path}"
        )
    for path in plan.scope.files:
        if writing.drop_backup(path):
            copy = writing.backup(path)
            said.append(f"left {copy}: the file has other changes since, look and delete it")
    if any(change.after is None for change in plan.changes):
        for folder in {change.path.parent for change in plan.changes if change.after is None}:
            with suppress(OSError):
                folder.rmdir()  # only when it is empty, and then it is as if never made
    return said
