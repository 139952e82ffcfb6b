"""Keeps OpenCode's boot fast: it installs a package into its folders before it loads any plugin.

Offline that takes over a minute, online some seconds and 60 MB for each folder, and our plugin
needs none of it. OpenCode leaves a folder alone that has `node_modules` and a lock file which names
the package, so we put both there, empty, where nobody else can need them. A later tool or plugin of
the person's own does need the package: `unsafe` finds it, and the next install takes the stub away.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.install import entry as entries
from bridge.install import places
from memory_manager.errors import MemoryFault, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_PACKAGE = "@opencode-ai/plugin"
_LOCK = "package-lock.json"
_MARK = ".opencode-mem"
_LOCK_TEXT = (
    json.dumps(
        {
            "name": "opencode-mem-stub",
            "lockfileVersion": 3,
            "requires": True,
            "packages": {"": {"name": "opencode-mem-stub", "dependencies": {_PACKAGE: "*"}}},
        },
        indent=2,
    )
    + "\n"
)
_SAID = "# Made by opencode-mem install, so that OpenCode starts at once. Wanted by:\n"
_FOREIGN = ("package.json", "package-lock.json", "bun.lock", "bun.lockb", "node_modules")
_KINDS = ("d", "devD", "peerD", "optionalD")
_CODE = ("plugin", "plugins", "tool", "tools")


@dataclass(frozen=True, slots=True)
class Stub:
    """The stub of one folder: whether it is there, who wants it, and why it may not be there."""

    folder: Path
    wanted_by: tuple[str, ...]
    #: Why none may be there; "" when it may.
    unsafe: str
    #: Whether OpenCode installs nothing into the folder any more, whoever saw to it.
    settled: bool

    @property
    def there(self) -> bool:
        """Whether it is ours and there."""
        return bool(self.wanted_by)


def look(folder: Path) -> Stub:
    """The folder's stub as it is now."""
    wanted = _wanted_by(folder)
    return Stub(folder, wanted, _unsafe(folder, ours=bool(wanted)), _settled(folder))


def put(folder: Path, who: str) -> None:
    """Put the stub there, or note that one more wants it.

    Raises:
        Rejected: the folder can't be written to.
    """
    wanted = _wanted_by(folder)
    if who in wanted:
        return
    try:
        modules = folder / "node_modules"
        modules.mkdir(parents=True, exist_ok=True)
        (modules / _MARK).write_text(_marked((*wanted, who)))
        if not wanted:
            (folder / _LOCK).write_text(_LOCK_TEXT)
    except (OSError, UnicodeEncodeError) as error:
        raise Rejected(f"{folder} can't be written to: {error}") from error


def take(folder: Path, who: str | None) -> bool:
    """Nobody called `who` wants the stub any more (None: nobody at all); whether it is gone.

    Raises:
        Rejected: the folder can't be written to.
    """
    wanted = _wanted_by(folder)
    left = [] if who is None else [each for each in wanted if each != who]
    if not wanted or len(left) == len(wanted):
        return False
    mark = folder / "node_modules" / _MARK
    try:
        if left:
            mark.write_text(_marked(left))
            return False
        mark.unlink()
        if _is_ours(folder / _LOCK):
            (folder / _LOCK).unlink()
        if not os.listdir(mark.parent):  # noqa: PTH208 - only whether there is anything
            mark.parent.rmdir()
    except OSError as error:
        raise Rejected(f"{folder} can't be written to: {error.strerror}") from error
    return True


def _marked(who: Iterable[str]) -> str:
    return _SAID + "".join(f"{each}\n" for each in who)


def _wanted_by(folder: Path) -> tuple[str, ...]:
    lines = _text(folder / "node_modules" / _MARK).splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def _unsafe(folder: Path, *, ours: bool) -> str:
    if not ours:
        there = [name for name in _FOREIGN if os.path.lexists(folder / name)]
        if there:
            return f"has a {there[0]} of its own"
    elif (folder / "package.json").exists():
        return "has a package.json of its own"
    elif not _is_ours(folder / _LOCK):
        return "has a package-lock.json of its own"
    for name in _CODE:
        if any(path.suffix in {".ts", ".js"} for path in _files(folder / name)):
            return f"has code of its own in {name}/"
    if any('"plugin"' in _text(folder / name) for name in ("tui.json", "tui.jsonc")):
        return "names plugins of its own in tui.json"
    return _other_plugins(folder)


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _is_ours(lock: Path) -> bool:
    return _text(lock) == _LOCK_TEXT


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _settled(folder: Path) -> bool:
    """As OpenCode decides it: the package stands in the lock file and there is `node_modules`."""
    if not (folder / "node_modules").is_dir():
        return False
    try:
        root = json.loads(_text(folder / _LOCK))["packages"][""]
        return any(_PACKAGE in root.get(f"{kind}ependencies", {}) for kind in _KINDS)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _other_plugins(folder: Path) -> str:
    for name in ("opencode.jsonc", "opencode.json", "config.json"):
        try:
            text = places.look(folder / name).text
        except MemoryFault:
            return f"has a {name} that can't be read"
        if text and any(_is_path(spec) for spec in entries.others(text)):
            return f"names a plugin file of its own in {name}"
    return ""


def _is_path(spec: str) -> bool:
    return spec.startswith((".", "/", "~", "file:"))
