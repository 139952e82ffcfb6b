"""Looks at this machine: folders, sockets, the spool, OpenCode. What can't be seen is not raised."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.doctor.judging import Folder
from memory_manager.errors import MemoryFault
from memory_manager.spool.reading import SpoolReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Seconds that one answer may take.
PATIENCE_S = 2.0
#: Seconds that a program of somebody else's may take.
PROGRAM_S = 10.0
#: Files of the data folder whose times are looked at.
_FILES = 2000
_MARKS = ("opencode-graph-memory", "opencode-mem", "memory_manager")
_PLUGIN_BYTES = 1024 * 1024


def package_versions(names: Sequence[str]) -> dict[str, str | None]:
    """The installed versions; None: not installed."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def folder(path: Path) -> Folder | None:
    """The folder as it is; None: there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    may = os.access(path, os.W_OK | os.X_OK)
    return Folder(status.st_uid, stat.S_IMODE(status.st_mode), may)


def room(path: Path) -> tuple[int, int]:
    """Free and total bytes where `path` is, or will be."""
    while not path.exists() and path != path.parent:
        path = path.parent
    usage = shutil.disk_usage(path)
    return usage.free, usage.total


def newest_file(path: Path) -> float | None:
    """When the newest file in the folder was changed."""
    times: list[float] = []
    for root, _, files in os.walk(path):
        for file in files:
            try:
                times.append(Path(root, file).lstat().st_mtime)
            except OSError:
                continue
        if len(times) > _FILES:
            break
    return max(times, default=None)


def listens(path: Path) -> bool:
    """Whether somebody takes connections at a Unix socket."""
    with closing(socket.socket(socket.AF_UNIX)) as one:
        one.settimeout(PATIENCE_S)
        try:
            one.connect(str(path))
        except BlockingIOError:
            return True  # so many wait that there is no room
        except OSError:
            return False
    return True


def locked(path: Path) -> bool:
    """Whether a process holds the lock. Taking it for a moment makes a starting bridge try again."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def spool(path: Path, small: int) -> tuple[str, int, list[str] | None, bool]:
    """Why the spool can't be opened, its size, what its integrity check found, whether writable."""
    size = path.stat().st_size
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)
    try:
        SpoolReader.open(path, readonly=True).close()
        if size > small:
            return "", size, None, writable
        with closing(_readonly(path)) as db:
            rows = [str(row[0]) for row in db.execute("PRAGMA quick_check(3)")]
    except (MemoryFault, sqlite3.Error) as fault:
        return str(fault), size, None, writable
    return "", size, [row for row in rows if row != "ok"], writable


def opencode_fault(path: Path) -> str:
    """Why OpenCode's sessions can't be read from this database, "" when they can."""
    try:
        with closing(_readonly(path)) as db:
            db.execute("SELECT 1 FROM session LIMIT 1").fetchall()
    except sqlite3.Error as fault:
        return str(fault)
    return ""


def _readonly(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)


def opencode_database(environment: Mapping[str, str]) -> Path:
    """Where OpenCode keeps its sessions."""
    if named := environment.get("OPENCODE_DB"):
        return Path(named)
    share = environment.get("XDG_DATA_HOME", "")
    base = (
        Path(share) if share.startswith("/") else Path(environment.get("HOME", "/"), ".local/share")
    )
    return base / "opencode" / "opencode.db"


def opencode_version(path: str) -> str:
    """What `opencode --version` prints; "" when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - the program that was found on PATH
            [path, "--version"], capture_output=True, timeout=PROGRAM_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def plugins(config: Path) -> list[str]:
    """Files in OpenCode's plugin folders that are our plugin; it loads whatever lies there."""
    return [str(path) for path in _plugin_files(config) if _names_us(path)]


def _plugin_files(config: Path) -> Iterator[Path]:
    for name in ("plugin", "plugins"):
        for pattern in ("*.ts", "*.js"):
            yield from sorted((config / name).glob(pattern))


def _names_us(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            text = file.read(_PLUGIN_BYTES).decode(errors="replace")
    except OSError:
        return False
    return any(mark in text for mark in _MARKS)
