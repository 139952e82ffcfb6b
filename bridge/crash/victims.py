"""Who is killed: found by pid, ended without warning, and waited for until it is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from memory_manager.errors import Unavailable

if TYPE_CHECKING:
    from bridge.sandbox import Sandbox

_LOOK_S, _PATIENCE_S = 0.002, 60.0


class Target(StrEnum):
    """One process of the product, or all."""

    BRIDGE = "bridge"
    WORKER = "worker"
    FALKORDB = "falkordb"
    VALKEY = "valkey"
    ALL = "all at once"


def pids_of(box: Sandbox) -> dict[str, int]:
    """The product's processes that run, by name."""
    with box.line() as line:
        status = line.call("status")
    assert isinstance(status, dict)  # noqa: S101 - the contract says so
    engines = status["engines"]
    assert isinstance(engines, dict)  # noqa: S101 - as above
    found = {"bridge": status["pid"], "worker": status["worker"]}
    found |= {name: about["pid"] for name, about in engines.items() if isinstance(about, dict)}
    return {name: pid for name, pid in found.items() if isinstance(pid, int)}


def chosen(target: Target, pids: dict[str, int]) -> list[int]:
    """Those that the target names."""
    return [pid for name, pid in pids.items() if target in (Target.ALL, name)]


def kill(pids: list[int]) -> None:
    """SIGKILL, one right after the other; returns when they are gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    gone(pids)


def gone(pids: list[int]) -> None:
    """Wait until none of them runs.

    Raises:
        Unavailable: one does not end.
    """
    until = time.monotonic() + _PATIENCE_S
    while still := [pid for pid in pids if runs(pid)]:
        if time.monotonic() > until:
            raise Unavailable(f"processes {still} don't end")
        time.sleep(_LOOK_S)


def runs(pid: int) -> bool:
    """Whether it is there and not merely waiting for its parent to notice."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return not Path("/proc/self/stat").exists()  # without a /proc, the signal decided
    return state.rpartition(")")[2].split()[0] != "Z"
