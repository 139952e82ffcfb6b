"""What the entry points to: the plugin's file, this interpreter, the command's script."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import memory_manager
from bridge.install.entry import FILE, Entry
from memory_manager.errors import Rejected

_HERE = Path(__file__).resolve().parent
#: As data of the installed package, and where a checkout has it.
_PLACES = (
    _HERE / "plugin" / FILE,
    _HERE.parents[1] / "deploy" / "opencode-server" / "plugin" / FILE,
)
_VERSION = re.compile(r'export const VERSION = "([^"]+)"')


def plugin_file() -> Path:
    """The plugin that belongs to this version of the bridge.

    Raises:
        Rejected: this copy of the product came without it.
    """
    found = next((path for path in _PLACES if path.is_file()), None)
    if found is None:
        raise Rejected(f"{FILE} is not in this installation; reinstall opencode-graph-memory")
    return found


def interpreter() -> str:
    """This Python by its real path: a shim that picks a version costs 0.1 s at each start.

    A virtual environment's own name for it stays: by it, Python finds the environment's packages.
    """
    return str(Path(sys.executable).absolute())


def entry() -> Entry:
    """What belongs into OpenCode's configuration.

    Raises:
        Rejected: the plugin is missing, or a path can't stand in JSON.
    """
    script = Path(memory_manager.__file__).resolve().with_name("memory_manager.py")
    found = Entry(str(plugin_file()), interpreter(), str(script))
    try:
        found.text().encode()
    except UnicodeEncodeError:
        raise Rejected("the installation's path is not UTF-8; move it") from None
    return found


def version_of(plugin: Path) -> str:
    """The version that a plugin's files say they are; "" when they don't."""
    settings = plugin.with_name(plugin.stem) / "settings.ts"
    for path in (settings, plugin):
        try:
            found = _VERSION.search(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if found:
            return found[1]
    return ""
