"""`./dev bench hooks`: the hook path against the least that the same work can cost.

Both sides of every comparison run in this one process, alternating in rounds, on this machine and
at this hour; medians and p99 are of all rounds. Targets are the project's, not guarantees.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console

from bridge.bench.measure import Row, alternate, ms, p99, table, timed
from bridge.bench.work import (
    CWD,
    QUIET,
    bare_commit,
    chats,
    directly,
    echo,
    flush,
    ingest,
    pid_of,
    resident,
    seed,
    writes,
)
from bridge.sandbox import sandbox
from memory_manager import contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from memory_manager.model import Json


def run(*, as_json: bool, quick: bool) -> int:
    """Measure, print the table (or JSON); 0 when every target was reached, else 1."""
    rounds = 200 if quick else 2000
    console = Console(stderr=True)
    rows: list[Row] = []
    for title, part in _PARTS.items():
        console.print(f"[dim]measuring: {title} …[/dim]")
        rows += part(rounds)
    if as_json:
        print(json.dumps([asdict(row) | {"ratio": row.ratio} for row in rows], indent=2))
    else:
        Console().print(table(rows))
    return contract.DONE if all(row.reached for row in rows) else contract.FAILED


def hook_path(rounds: int) -> list[Row]:
    """Cached question and file write on a kept-open socket, against a bare echo and a bare commit."""
    with sandbox(QUIET) as box, echo(box.folder) as plain:
        box.start()
        box.until_live()
        with box.line() as line:
            seed(line, 50)
            hit = chats(line, "how is compute_total for EUR done in src/pay/total_7.py?")
            hit()
            ours, base = alternate(rounds, hit, lambda: plain.send(b"x" * 200 + b"\n"))
            write = writes(line)
            commit = bare_commit(box.folder)
            written, bare = alternate(max(100, rounds // 4), write, commit)
            rss = resident(pid_of(line))
    ratio = median(ours) / median(base)
    return [
        Row(
            "cached chat:start, kept-open socket",
            ms(median(ours)),
            ms(p99(ours)),
            ms(median(base)),
            "asyncio streams echo",
            "≤ 12 × and p99 ≤ 2 ms",
            ratio <= 12 and p99(ours) <= 0.002,
        ),
        Row(
            "file:write with a 4 KB diff, on disk",
            ms(median(written)),
            ms(p99(written)),
            ms(median(bare)),
            "bare SQLite commit, synchronous=FULL",
            "≤ 4 ×",
            median(written) / median(bare) <= 4,
        ),
        Row("resident memory of the bridge, MB", rss, rss, None, "", "≤ 200 MB", rss <= 200),
    ]


def during_flush(_rounds: int) -> list[Row]:
    """The cached question while 5,000 events are flushed."""
    with sandbox(QUIET) as box:
        box.start()
        box.until_live()
        with box.line() as line:
            seed(line, 50)
            hit = chats(line, "how is compute_total for EUR done in src/pay/total_7.py?")
            hit()
            ingest(line, 5000)
        flushing = threading.Thread(target=flush, args=(box,))
        flushing.start()
        times: list[float] = []
        with box.line() as line:
            hit = chats(line, "how is compute_total for EUR done in src/pay/total_7.py?")
            while flushing.is_alive():
                times.append(timed(hit))
                time.sleep(0.002)
        flushing.join()
    return [
        Row(
            f"the same during a flush of 5,000 events ({len(times)} asked)",
            ms(median(times)),
            ms(p99(times)),
            None,
            "",
            "p99 ≤ 20 ms",
            p99(times) <= 0.02,
        )
    ]


def misses(rounds: int) -> list[Row]:
    """A question that the cache does not know, at 1,000 episodes."""
    with sandbox(QUIET) as box:
        box.start()
        box.until_live()
        with box.line() as line:
            ingest(line, 1000)
        flush(box)
        times: list[float] = []
        with box.line() as line:
            for number in range(max(60, rounds // 10)):
                question = f"what happened to compute_total in src/pay/total_{number}.py lately?"
                times.append(timed(lambda q=question: line.call("query", text=q, cwd=CWD)))  # type: ignore[misc]
    return [
        Row(
            "a miss at 1,000 episodes",
            ms(median(times)),
            ms(p99(times)),
            None,
            "",
            "median ≤ 15 ms",
            median(times) <= 0.015,
        )
    ]


def whole_process(rounds: int) -> list[Row]:
    """`memory_manager.py query` of a cached question, against bare Python and against Graphiti."""
    count = max(20, rounds // 40)
    bare = [sys.executable, "-I", "-c", "pass"]
    with sandbox(QUIET) as box:
        box.start()
        box.until_live()
        with box.line() as line:
            ingest(line, 200)
        flush(box)
        ask = ("query", "how is compute_total done in src/pay/total_7.py?")
        box.command(*ask, cwd=CWD)
        if not box.command(*ask, cwd=CWD).stdout:
            raise AssertionError("the bench asked by command and got nothing")
        ours, base = alternate(
            count,
            lambda: box.command(*ask, cwd=CWD),
            lambda: subprocess.run(bare, check=True, env=box.environment),
        )
        direct = [timed(lambda: directly(box)) for _ in range(3)]
    return [
        Row(
            "memory_manager.py query, cached, whole process",
            ms(median(ours)),
            ms(p99(ours)),
            ms(median(base)),
            "python -I -c pass",
            "≤ 3 ×",
            median(ours) / median(base) <= 3,
        ),
        Row(
            "the same, against asking Graphiti directly",
            ms(median(ours)),
            ms(p99(ours)),
            ms(median(direct)),
            "import graphiti_core, connect, search",
            "≥ 30 × faster",
            median(direct) / median(ours) >= 30,
        ),
    ]


#: What a fresh bridge is told first.
_FIRST: dict[str, Json] = {
    "file:write": {"path": "a.py", "session_id": "s"},
    "error": {"message": "boom", "session_id": "s"},
    "completion": {"task": "ship", "session_id": "s"},
}


def cold_start(rounds: int) -> list[Row]:
    """From no bridge to one that takes hooks, and to one with its engines."""
    accepting: list[float] = []
    ready: list[float] = []
    for _ in range(3 if rounds < 1000 else 5):
        with sandbox(QUIET) as box:
            began = time.perf_counter()
            box.start()
            with box.line() as line:
                for name, payload in _FIRST.items():
                    reply = line.hook(name, payload, str(box.folder))
                    if reply["outcome"] != "accepted":
                        raise AssertionError(f"the bench reported {name} and got {reply}")
            accepting.append(time.perf_counter() - began)
            box.until_live()
            ready.append(time.perf_counter() - began)
    return [
        Row(
            "cold: ensure, then file, error and completion hooks accepted",
            ms(median(accepting)),
            ms(max(accepting)),
            None,
            "",
            "≤ 1 s",
            median(accepting) <= 1,
        ),
        Row(
            "cold: engines, graph and worker ready",
            ms(median(ready)),
            ms(max(ready)),
            None,
            "",
            "≤ 3 s",
            median(ready) <= 3,
        ),
    ]


_PARTS: dict[str, Callable[[int], list[Row]]] = {
    "the hook path": hook_path,
    "the hook path during a flush": during_flush,
    "misses": misses,
    "the whole command": whole_process,
    "a cold start": cold_start,
}
