"""`install`: the plugin into OpenCode's configuration; `known`: what memory has of this project."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.options import AsJson
from bridge.cli.show import ago, plain, print_json, say
from memory_manager import contract

if TYPE_CHECKING:
    from bridge.install.places import Scope
    from bridge.install.plan import Plan
    from bridge.install.trial import Trial
    from memory_manager.model import Json

#: How many things `known` tells.
_KNOWN = 3
_LINE = 500


def install(
    project: Annotated[
        bool, typer.Option("--project", help="Only in this worktree, not everywhere.")
    ] = False,
    uninstall: Annotated[
        bool, typer.Option("--uninstall", help="Take it out again; the file is as before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, change nothing.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Don't start OpenCode once to see it work.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put the plugin into OpenCode's configuration; running it twice changes nothing.

    Nothing else in the file is touched: comments, order and spacing stay. Exit status 1 when
    OpenCode was started and the plugin did not answer.
    """
    from bridge.install import acting, plan, sources
    from bridge.install.places import everywhere
    from bridge.install.places import project as of_project

    scope = of_project(Path.cwd()) if project else everywhere(os.environ)
    entry = None if uninstall else sources.entry()
    wanted = plan.install(scope, entry, os.environ) if entry else plan.uninstall(scope, os.environ)
    if dry_run:
        _show(wanted, as_json=as_json)
        return
    said = acting.uninstall(wanted) if uninstall else acting.install(wanted)
    if wanted.empty:
        said.append("not installed: nothing to do" if uninstall else "already installed")
    trials: list[Trial] = []
    if not as_json:
        _tell(said)
    if entry is not None:
        notes = _notes(wanted)
        if not as_json:
            _tell(notes)
        said += notes
        if not no_check:
            trials = _tried(scope, wanted, told=not as_json)
    well = all(trial.ok is not False for trial in trials)
    if as_json:
        print_json(
            {
                "ok": well,
                "changed": not wanted.empty,
                "file": None if wanted.target is None else str(wanted.target),
                "said": [*said],
                "check": [trial.json() for trial in trials],
            }
        )
    elif entry is not None and well and not wanted.empty:
        say("restart OpenCode: it reads its configuration when it starts")
    if not well:
        raise typer.Exit(contract.FAILED)


def _show(wanted: Plan, *, as_json: bool) -> None:
    from bridge.install.plan import diff

    diffs = [diff(change) for change in wanted.changes]
    folders = [
        *(f"would put an empty package into {folder}" for folder in wanted.stubs),
        *(f"would take our empty package out of {folder}" for folder in wanted.stale),
    ]
    if as_json:
        print_json({"changed": not wanted.empty, "diffs": [*diffs], "said": [*folders]})
        return
    for text in diffs:
        for line in text.split("\n"):
            say(
                "".join(
                    letter if letter.isprintable() or letter == "\t" else "�" for letter in line
                )
            )
    _tell(folders)
    if wanted.empty:
        say("nothing would change")


def _notes(wanted: Plan) -> list[str]:
    """What a person should know of this installation."""
    notes = [
        f"{each.folder} {each.unsafe}: before OpenCode loads a plugin, it installs its own "
        "package there, once (offline: over a minute at each start)"
        for each in wanted.slow
    ]
    if wanted.scope.root is not None:
        notes.append(f"{wanted.target} names paths of this machine: don't commit that entry")
    return notes


def _tried(scope: Scope, wanted: Plan, *, told: bool) -> list[Trial]:
    from bridge.install import sources, trial

    found = [trial.ensure(sources.entry(), os.environ)]
    if told:
        _tell([found[0].said])
    binary = trial.opencode_binary(os.environ)
    if os.environ.get("OPENCODE_MEM_DISABLED"):
        one = trial.Trial(None, "OPENCODE_MEM_DISABLED is set: the plugin does nothing")
    elif binary is None:
        one = trial.Trial(None, "OpenCode is not on PATH: not tried (OPENCODE_BIN names it)")
    else:
        one = trial.start_once(binary, os.environ, wanted.target if scope.root else None)
    if told:
        _tell([one.said, *(f"  {line}" for line in one.log)])
    return [*found, one]


def _tell(lines: list[str]) -> None:
    for line in lines:
        say(plain(line, _LINE))


def known(as_json: AsJson = False) -> None:
    """Three things that memory knows about this project: its latest sessions."""
    from bridge.asking import Bridge
    from memory_manager.project import identify

    here = identify(str(Path.cwd()), os.environ.get("OPENCODE_MEM_PROJECT", ""))
    bridge = Bridge.from_environment()
    group = _group(bridge.asked("projects").get("projects"), here.group, here.root)
    found = bridge.asked("sessions", {"group": group, "limit": 50}).get("sessions")
    rows = [row for row in (found if isinstance(found, list) else []) if isinstance(row, dict)]
    told = [row for row in rows if row.get("summary")] or [row for row in rows if row.get("title")]
    if as_json:
        print_json({"project": here.name, "known": [*told[:_KNOWN]]})
        return
    if not told:
        say(f"memory knows nothing about {plain(here.name)} yet: it begins with your next session")
        return
    say(f"what memory knows about {plain(here.name)} ({len(rows)} of its latest sessions):")
    for row in told[:_KNOWN]:
        say(f"- {_when(row.get('last_at'))}: {plain(row.get('summary') or row.get('title'), 160)}")


def _group(projects: Json, group: str, root: str) -> str:
    """The project's group in this memory: it may have been registered by another identity."""
    rows = [
        row for row in (projects if isinstance(projects, list) else []) if isinstance(row, dict)
    ]
    if any(row.get("group") == group for row in rows):
        return group
    found = next((row.get("group") for row in rows if row.get("root") == root), None)
    return found if isinstance(found, str) else group


def _when(at: Json) -> str:
    return f"{ago(max(0.0, time.time() - at))} ago" if isinstance(at, int | float) else "-"
