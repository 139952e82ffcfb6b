"""The work that is measured, ours and the least it is compared with."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.sandbox import Line, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from memory_manager.model import Json

#: A diff of about 4 KB, as an edit tool reports it.
DIFF = "".join(
    f"@@ -{n},4 +{n},5 @@ def handler_{n}(request):\n"
    f"     session = request.session\n-    total = compute_total(session, {n})\n"
    f"+    total = compute_total(session, {n}, currency='EUR')\n+    audit.record(total)\n"
    for n in range(10, 28)
)
QUIET = {"OPENCODE_MEM_RAW_EVENTS_AUTO_FLUSH": "0", "OPENCODE_MEM_METRICS": "1"}


CWD = "/"


def seed(line: Line, count: int) -> None:
    ingest(line, count)
    line.call("flush")


def ingest(line: Line, count: int) -> None:
    for start in range(0, count, 500):
        events: list[Json] = [event(number) for number in range(start, min(count, start + 500))]
        line.call("ingest", events=events, cwd=CWD)


def event(number: int) -> Json:
    return {
        "event_id": f"bench-{number}",
        "session_id": f"session-{number // 250}",
        "kind": "file_edit",
        "at": 1_795_000_000 + number * 7,
        "content": f"Modified: src/pay/total_{number % 400}.py",
        "metadata": {
            "path": f"src/pay/total_{number % 400}.py",
            "diff": f"@@ -1,2 +1,2 @@ def compute_total_{number}(session):\n-    return {number}\n"
            f"+    return round_money({number}, currency='EUR')\n",
        },
    }


def chats(line: Line, question: str) -> Callable[[], None]:
    counter = iter(range(10**9))
    stamp = time.time_ns()

    def ask() -> None:
        payload: Json = {
            "query": question,
            "session_id": "asking",
            "message_id": f"msg_{stamp}_{next(counter)}",
            "directory": CWD,
        }
        reply = line.hook("chat:start", payload, CWD)
        if reply["outcome"] not in {"injected", "cached"}:
            raise AssertionError(f"the bench asked and got {reply}")

    return ask


def writes(line: Line) -> Callable[[], None]:
    counter = iter(range(10**9))

    def write() -> None:
        number = next(counter)
        payload: Json = {
            "path": f"src/other/file_{number}.py",
            "session_id": "writing",
            "event_id": f"w{number}",
            "diff": DIFF,
        }
        reply = line.hook("file:write", payload, CWD)
        if reply["outcome"] != "accepted":
            raise AssertionError(f"the bench wrote and got {reply}")

    return write


def bare_commit(folder: Path) -> Callable[[], None]:
    db = sqlite3.connect(folder / "bare.sqlite3", autocommit=True)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE row (seq INTEGER PRIMARY KEY, body TEXT)")

    def commit() -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO row (body) VALUES (?)", (DIFF,))
        db.execute("COMMIT")

    return commit


def rows_commit(folder: Path) -> Callable[[Sequence[Json]], None]:
    """Stores events in one durable transaction, with the one index that dedupe needs."""
    db = sqlite3.connect(folder / "rows.sqlite3", autocommit=True)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE IF NOT EXISTS row (id TEXT UNIQUE, body TEXT)")

    def commit(events: Sequence[Json]) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT INTO row (id, body) VALUES (?, ?)",
            ((each["event_id"], json.dumps(each)) for each in events if isinstance(each, dict)),
        )
        db.execute("COMMIT")

    return commit


@contextmanager
def echo(folder: Path) -> Iterator[Line]:
    """A bare asyncio streams echo in a process of its own, and a connection to it."""
    path = folder / "echo.sock"
    program = (
        "import asyncio,sys\n"
        "async def serve(r, w):\n"
        "    while line := await r.readline():\n"
        "        w.write(line)\n"
        "async def main():\n"
        "    server = await asyncio.start_unix_server(serve, sys.argv[1])\n"
        "    await server.serve_forever()\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(path)])
    try:
        while not path.exists():
            time.sleep(0.01)
        with contextlib.closing(Line(str(path))) as line:
            yield line
    finally:
        process.terminate()
        process.wait(10)


#: What a hook without a bridge would do: import Graphiti, connect, search, print.
_DIRECTLY = """
import asyncio, sys
from graphiti_core.search.search_filters import SearchFilters
from graphiti_core.search.search_utils import edge_fulltext_search
from memory_manager.graph.driver import ProjectDriver
from memory_manager.graph.link import Link
from memory_manager.project import identify
from memory_manager.settings import MemorySettings

async def main():
    link = Link.open(MemorySettings(), sys.argv[1])
    driver = ProjectDriver(link, identify(sys.argv[2]).group, 0)
    facts = await edge_fulltext_search(driver, "compute_total", SearchFilters(), limit=5)
    print(*(fact.fact for fact in facts), sep="\\n")
    await link.close()

asyncio.run(main())
"""


def directly(box: Sandbox) -> None:
    """Ask the graph as a script would that has no bridge."""
    socket = str(Path(box.socket).with_suffix("") / "falkordb.sock")
    found = subprocess.run(
        [sys.executable, "-c", _DIRECTLY, socket, CWD],
        check=True,
        env=box.environment,
        capture_output=True,
    )
    if not found.stdout.strip():
        raise AssertionError("the bench asked Graphiti directly and got nothing")


def flush(box: Sandbox) -> None:
    with contextlib.closing(Line(box.socket, timeout=4 * 3600)) as line:
        line.call("flush")


def pid_of(line: Line) -> int:
    identity = line.call("ping")
    pid = identity["pid"] if isinstance(identity, dict) else 0
    return pid if isinstance(pid, int) else 0


def resident(pid: int) -> float:
    """Resident memory in MB, from the kernel where it tells, else from ps."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        kb = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return round(int(kb.split()[1]) / 1024, 1)
    shown = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    return round(int(shown.stdout) / 1024, 1)
