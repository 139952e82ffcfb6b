"""Where OpenCode looks for its configuration, and which of the files ours goes into.

As OpenCode 1.18.33 was seen to do it:

- the global folder is `$XDG_CONFIG_HOME/opencode` (or `~/.config/opencode`): `config.json`, then
  `opencode.json`, then `opencode.jsonc`, and a list of a later file *replaces* an earlier one's;
- `$OPENCODE_CONFIG_DIR` is read as well: `opencode.json` and `opencode.jsonc`, lists are joined;
- a project has both, in its folder and in its `.opencode`, up to the worktree's root; joined too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.install import entry as entries
from bridge.install import jsonc
from memory_manager import repository
from memory_manager.errors import InvalidRequest, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The strongest first; the first is what is made where there is none.
_NAMES = ("opencode.jsonc", "opencode.json")
_OLD_NAME = "config.json"


@dataclass(frozen=True, slots=True)
class Scope:
    """Files that OpenCode reads for one purpose, the strongest first."""

    files: tuple[Path, ...]
    #: Whether the list of a stronger file hides that of a weaker one.
    hides: bool
    #: The worktree's root; None: every project.
    root: Path | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it is. `text` None: there is none."""

    path: Path
    text: str | None
    held: entries.Held


def global_folder(environment: Mapping[str, str]) -> Path:
    """The folder that OpenCode always has: it makes it when it starts."""
    config = environment.get("XDG_CONFIG_HOME") or str(_home(environment) / ".config")
    return Path(config).absolute() / "opencode"


def everywhere(environment: Mapping[str, str]) -> Scope:
    """For every project of this person."""
    if named := environment.get("OPENCODE_CONFIG_DIR"):
        return Scope(tuple(Path(named).absolute() / name for name in _NAMES), hides=False)
    folder = global_folder(environment)
    return Scope(tuple(folder / name for name in (*_NAMES, _OLD_NAME)), hides=True)


def project(directory: Path) -> Scope:
    """For the worktree that the directory is in; without Git, for the directory."""
    real = directory.resolve()
    found = repository.find(str(real))
    root = Path(found.top) if found else real
    folders = (root, root / ".opencode")
    return Scope(
        tuple(folder / name for folder in folders for name in _NAMES), hides=False, root=root
    )


def dependants(scope: Scope, environment: Mapping[str, str]) -> list[Path]:
    """The folders that OpenCode installs packages into before it loads a plugin of this scope."""
    home = _home(environment) / ".opencode"
    folders = [global_folder(environment)]
    if named := environment.get("OPENCODE_CONFIG_DIR"):
        folders.append(Path(named).absolute())
    folders += [
        folder
        for folder in (home, scope.root and scope.root / ".opencode")
        if folder and folder.is_dir()
    ]
    return list(dict.fromkeys(folders))


def look(path: Path) -> Seen:
    """The file, and what it holds of us.

    Raises:
        InvalidRequest: it is no configuration; says where and why.
        Rejected: it can't be read.
    """
    try:
        text = path.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):
        return Seen(path, None, entries.Held((), listed=False))
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path}: not UTF-8 at byte {error.start}; correct it first") from None
    except OSError as error:
        raise Rejected(f"{path} can't be read: {error.strerror}") from error
    try:
        return Seen(path, text, entries.held(text))
    except jsonc.Broken as broken:
        raise InvalidRequest(f"{path}, {broken}; correct it first") from None
    except InvalidRequest as fault:
        raise InvalidRequest(f"{path}: {fault}; correct it first") from None


def chosen(files: Sequence[Seen], *, hides: bool) -> Seen:
    """The file that our entry belongs into; `files` is as in `Scope`."""
    listed = next((seen for seen in files if seen.held.listed), None)
    there = next((seen for seen in files if seen.text is not None), None)
    ours = None if hides else next((seen for seen in files if seen.held.ours), None)
    return ours or listed or there or files[0]


def in_effect(files: Sequence[Seen], *, hides: bool) -> list[tuple[Seen, object]]:
    """Our entries that OpenCode loads, each with its file."""
    if hides:
        files = [seen for seen in files if seen.held.listed][:1]
    return [(seen, value) for seen in files for value in seen.held.ours]


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home())
