"""Looks at OpenCode's configuration: what it loads of us, everywhere and project by project."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.doctor import probing
from bridge.history.database import History
from bridge.install import places, sources, stub
from memory_manager import contract, repository
from memory_manager.errors import MemoryFault
from memory_manager.optout import OPT_OUT_FILES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.install.places import Scope, Seen

#: Folders of OpenCode's database that are looked at, the latest first.
_FOLDERS = 500


@dataclass(frozen=True, slots=True)
class Loaded:
    """An entry that OpenCode loads, and what is wrong with it."""

    place: str
    plugin: str
    version: str
    #: One line for what keeps it from working; "" when nothing does.
    fault: str = ""


@dataclass(slots=True)
class Found:
    """All that there is to know about the plugin on this machine."""

    #: Files that hold a configuration, and what is wrong with some of them.
    files: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    everywhere: list[Loaded] = field(default_factory=list)
    #: By project: only those that have an entry of their own.
    projects: dict[str, list[Loaded]] = field(default_factory=dict)
    #: Projects and worktrees that OpenCode knows; those without the plugin; opt-out files.
    known: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    opted_out: list[str] = field(default_factory=list)
    #: Why the projects are not known.
    unread: str = ""
    #: Folders that hold up OpenCode's start.
    slow: list[str] = field(default_factory=list)


def look(environment: Mapping[str, str], database: Path) -> Found:
    """Read the configurations of this person and of every project that OpenCode knows."""
    found = Found()
    pythons: dict[str, str] = {}
    scopes = [places.everywhere({**environment, "OPENCODE_CONFIG_DIR": ""})]
    if environment.get("OPENCODE_CONFIG_DIR"):
        scopes.append(places.everywhere(environment))
    for scope in scopes:
        found.everywhere += _loaded(scope, found, pythons)
        found.everywhere += [
            Loaded(path, path, "") for path in probing.plugins(scope.files[0].parent)
        ]
    for directory in _directories(database, found):
        root = _root_of(directory)
        if root in found.known:
            continue
        found.known.append(root)
        own = _loaded(places.project(Path(root)), found, pythons)
        if own:
            found.projects[root] = own
        outs = [path for name in OPT_OUT_FILES if os.path.lexists(path := f"{root}/{name}")]
        found.opted_out += outs
        if not outs and not own and not found.everywhere:
            found.without.append(root)
    loading = [None] if found.everywhere else []
    roots = [*loading, *(Path(root) for root in (found.known if loading else found.projects))]
    found.slow = _slow(environment, roots)
    return found


def _loaded(scope: Scope, found: Found, pythons: dict[str, str]) -> list[Loaded]:
    seen: list[Seen] = []
    for path in scope.files:
        try:
            one = places.look(path)
        except MemoryFault as fault:
            found.faults.append(str(fault))
            continue
        seen.append(one)
        if one.text is not None:
            found.files.append(str(path))
    return [
        _judged(str(file.path), value, pythons)
        for file, value in places.in_effect(seen, hides=scope.hides)
    ]


def _judged(place: str, value: object, pythons: dict[str, str]) -> Loaded:
    spec, options = (*value, {})[:2] if isinstance(value, list) else (value, {})
    options = options if isinstance(options, dict) else {}
    plugin = Path(place).parent / str(spec).removeprefix("file://")
    version = sources.version_of(plugin)
    python, script = str(options.get("python") or ""), str(options.get("script") or "")
    if not plugin.is_file():
        return Loaded(place, str(plugin), version, f"{plugin} is not there")
    if script and not Path(script).is_file():
        return Loaded(place, str(plugin), version, f"{script} is not there")
    if python and python not in pythons:
        pythons[python] = _fault_of(python)
    return Loaded(place, str(plugin), version, pythons.get(python, ""))


def _fault_of(python: str) -> str:
    """Why the interpreter is of no use, "" when it runs."""
    if not os.access(python, os.X_OK):
        return f"{python} is not there"
    try:
        done = subprocess.run(  # noqa: S603 - what the plugin runs itself
            [python, "-I", "-c", "import sys; sys.exit(sys.version_info < (3, 12))"],
            capture_output=True,
            timeout=probing.PROGRAM_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{python} does not run: {contract.one_line(str(error), 100)}"
    return f"{python} is older than Python 3.12, or does not run" if done.returncode else ""


def _directories(database: Path, found: Found) -> list[str]:
    if not database.exists():
        found.unread = f"{database} is not there"
        return []
    try:
        history = History.open(database)
    except MemoryFault as fault:
        found.unread = str(fault)
        return []
    try:
        sessions = history.sessions()
    except MemoryFault as fault:
        found.unread = str(fault)
        return []
    finally:
        history.close()
    sessions.sort(key=lambda session: -session.updated)
    unique = dict.fromkeys(session.directory for session in sessions)
    there = (folder for folder in unique if folder.startswith("/") and _is_folder(folder))
    return [folder for folder, _ in zip(there, range(_FOLDERS), strict=False)]


def _is_folder(path: str) -> bool:
    return "\0" not in path and os.path.isdir(path)  # noqa: PTH112 - names of any shape


def _root_of(directory: str) -> str:
    real = os.path.realpath(directory)
    found = repository.find(real)
    return found.top if found else real


def _slow(environment: Mapping[str, str], roots: list[Path | None]) -> list[str]:
    folders: dict[Path, None] = {}
    for root in roots:
        folders |= dict.fromkeys(
            places.dependants(places.Scope((), hides=False, root=root), environment)
        )
    told = []
    for folder in folders:
        one = stub.look(folder)
        if one.there and one.unsafe:
            told.append(f"{folder} {one.unsafe}, and holds our stand-in for it")
        elif not one.settled:
            told.append(str(folder))
    return told
