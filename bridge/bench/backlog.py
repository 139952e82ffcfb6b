"""A spool filled without a bridge, and the memory of those who empty it.

Two ways to empty it. Into the real graph: a whole bridge with its worker and engines, as installed.
Into the fake: a process of its own with the spool's thread, the sweep, the worker's own code and a
memory that is emptied after each batch, so that whatever grows is ours and not what was stored.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from itertools import batched
from typing import TYPE_CHECKING

from bridge.bench.figures import Drain, Sample
from bridge.bench.work import CWD, event, flush, pid_of, resident
from memory_manager.model import EventKind, Json, RawEvent
from memory_manager.project import identify
from memory_manager.spool.store import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.sandbox import Sandbox

#: Rows of one transaction while the spool is filled.
_ROWS = 5000
#: Samples of a drain, at least; seconds between two at most.
_SAMPLES, _PAUSE_S = 60, 1.0


def fill(path: Path, count: int, told: Callable[[int], None]) -> None:
    """A spool at `path` with `count` events that wait, in sessions of 250.

    Args:
        path: the file, which must not be there yet.
        count: how many.
        told: called with the number of rows so far.
    """
    group = identify(CWD).group
    spool = Spool.open(path)
    try:
        done = 0
        for numbers in batched(range(count), _ROWS):
            spool.append_many([[_row(number, group) for number in numbers]])
            done += len(numbers)
            told(done)
        spool.checkpoint()
    finally:
        spool.close()


def _row(number: int, group: str) -> RawEvent:
    made = event(number)
    assert isinstance(made, dict)  # noqa: S101 - made for us
    metadata = made["metadata"]
    assert isinstance(metadata, dict)  # noqa: S101 - as above
    kind = EventKind.FILE_EDIT
    details: dict[str, Json] = {"type": str(kind), "directory": CWD, **metadata}
    return RawEvent(
        str(made["event_id"]), group, str(made["session_id"]), kind,
        1_795_000_000.0 - 10 * (10**6 - number), str(made["content"]), details,
    )  # fmt: skip


def drain_real(box: Sandbox, count: int, told: Callable[[int], None]) -> Drain:
    """Flush everything that waits in a running bridge, and sample all its processes."""
    with box.line() as line:
        status = line.call("status")
        assert isinstance(status, dict)  # noqa: S101 - the contract says so
        engines = status["engines"]
        assert isinstance(engines, dict)  # noqa: S101 - as above
        pids: dict[str, int] = {"bridge": pid_of(line), "worker": _number(status["worker"])}
        for name, about in engines.items():
            pids[name] = _number(about["pid"]) if isinstance(about, dict) else 0
        flushing = threading.Thread(target=flush, args=(box,))
        began = time.monotonic()
        flushing.start()
        samples: list[Sample] = []
        while flushing.is_alive():
            done = count - _pending(line.call("status"))
            at = time.monotonic() - began
            samples.append(
                Sample(at, done, {name: resident(pid) for name, pid in pids.items() if pid})
            )
            told(done)
            flushing.join(min(_PAUSE_S, max(0.02, at / _SAMPLES)))
        left = _pending(line.call("status"))
    if left:
        raise AssertionError(f"{left} events were not flushed")
    seconds = time.monotonic() - began
    return Drain("into FalkorDB", count, seconds, tuple(samples), ("bridge", "worker"))


def drain_fake(path: Path, count: int, told: Callable[[int], None]) -> Drain:
    """Flush the spool at `path`, with no bridge on it, into a memory that forgets."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge.bench.forgetful", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    samples: list[Sample] = []
    try:
        for line in process.stdout:
            at, done, megabytes = json.loads(line)
            samples.append(Sample(at, done, {"bridge and worker in one": megabytes}))
            told(done)
        status = process.wait(60)
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
    if status or not samples or samples[-1].done < count:
        raise AssertionError(f"the drain into the fake ended with status {status}")
    seconds = samples[-1].at
    return Drain("into the fake", count, seconds, tuple(samples), ("bridge and worker in one",))


def _pending(status: Json) -> int:
    spool = status["spool"] if isinstance(status, dict) else None
    return _number(spool["pending"]) if isinstance(spool, dict) else 0


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0
