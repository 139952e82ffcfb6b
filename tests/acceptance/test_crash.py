"""Killed at any moment of a flush, the graph ends as if nothing had happened. Hung, hooks answer."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from functools import partial
from pathlib import Path

import pytest
import redis

from bridge.sandbox import sandbox
from bridge.server import sockets_folder
from memory_manager.errors import Unavailable
from memory_manager.project import group_of
from memory_manager.spool.store import Spool

PROJECT = "crash"
WHERE = {"cwd": "/work/shop", "project": PROJECT}
SESSIONS = ("ses_one", "ses_two")
BEGAN = 1_790_000_000.0


def _turn(session, number):
    """Four events of one turn: asked, broken, mended, done."""
    path = f"src/{session}/part{number % 13}.py"
    ran = {"command": f"pytest {path}", "tool": "bash"}
    failed = f"E   KeyError: 'coupon{number % 7}'\n{path}:{number}: KeyError\n1 failed"
    rows = (
        ("prompt", f"why does coupon{number % 7} fail in {path}? we decided on Decimal", {}),
        ("command", f"Ran: pytest {path}", {**ran, "exit": 1, "output": failed}),
        ("file_edit", f"Modified: {path}", {"path": path, "change": "modified",
                                            "diff": f"+def part_{number}():\n+    return {number}"}),
        ("command", f"Ran: pytest {path}", {**ran, "exit": 0, "output": "1 passed"}),
        ("success", f"Completed: mend coupon{number % 7}", {"tokens": 5, "duration": 2}),
    )  # fmt: skip
    return [
        {"event_id": f"{session}-{number}-{step}", "session_id": session, "kind": kind,
         "at": BEGAN + number * 60 + step, "content": content, "metadata": metadata}
        for step, (kind, content, metadata) in enumerate(rows)
    ]  # fmt: skip


#: Two sessions of 260 events: a batch holds 200.
EVENTS = [event for number in range(52) for session in SESSIONS for event in _turn(session, number)]


def _exported(box, line):
    path = box.folder / "export.json"
    line.call("export", path=str(path), **WHERE)
    return {
        name: {json.dumps(item, sort_keys=True) for item in items}
        if isinstance(items, list)
        else ()
        for name, items in json.loads(path.read_text()).items()
    }


def _drained(box):
    """Everything that waits is flushed, however often it has to be asked for."""
    with box.line() as line:
        for _ in range(50):
            with contextlib.suppress(Unavailable):
                line.call("flush")
            status = line.call("status")
            if not status["spool"]["pending"] and status["degradation"] == "live":
                break
        assert status["spool"]["pending"] == 0, status
        assert set(status["spool"]["batches"]) <= {"completed"}, status
        return _exported(box, line)


@pytest.fixture(scope="module")
def undisturbed():
    with sandbox({"OPENCODE_MEM_RAW_EVENTS_AUTO_FLUSH": "0"}) as box:
        box.start()
        box.until_live()
        with box.line() as line:
            assert line.call("ingest", events=EVENTS, **WHERE)["inserted"] == len(EVENTS)
        return _drained(box)


def _nodes(box):
    """Nodes that stand in the graph now; the flush under way does not tell."""
    socket = sockets_folder(Path(box.socket)) / "falkordb.sock"
    with redis.Redis(unix_socket_path=str(socket)) as client:
        try:
            answer = client.execute_command(
                "GRAPH.RO_QUERY", group_of(f"name:{PROJECT}"), "MATCH (n) RETURN count(n)"
            )
        except redis.RedisError:
            return 0
        return answer[1][0][0]


def _spooled(box):
    """Batches by state, and what waits; read beside the bridge, which may be dead."""
    with contextlib.closing(
        Spool.open(box.folder / "data" / "spool.sqlite3", readonly=True)
    ) as spool:
        status = spool.status()
    return status.batches, status.pending


def _worker(bridge):
    """The process of the flush worker; None when there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(bridge) and b"flush.worker" in (folder / "cmdline").read_bytes():
                return int(folder.name)
    return None


def _until_live(box, processes):
    """Not `box.until_live`: that waits for a worker too, which may be dead until it is needed."""

    def live():
        with box.line() as line:
            return line.call("status")["degradation"] == "live"

    processes.until(live)


def _second(box, _before):
    batches, _ = _spooled(box)
    return batches.get("completed") and batches.get("started")


#: When to strike: a function of the box and the number of nodes before the flush.
MOMENTS = {
    "claimed": lambda box, _before: _spooled(box)[0].get("started"),
    "written": lambda box, before: _nodes(box) > before,
    "second": _second,
}


@contextlib.contextmanager
def _flushing(box):
    """A flush by hand, behind; whatever becomes of it."""

    def flush():
        with contextlib.suppress(OSError, Unavailable), box.line() as line:
            line.call("flush")

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        yield
    finally:
        thread.join(120)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("victims", "moments"),
    [
        (("bridge",), ("claimed", "written", "second")),
        (("worker",), ("claimed", "written", "second")),
        (("falkordb",), ("claimed", "written", "second")),
        (("valkey", "worker"), ("written",)),
        (("falkordb", "valkey", "worker", "bridge"), ("written", "second")),
    ],
    ids="+".join,
)
@pytest.mark.timeout(300)
def test_whoever_is_killed_whenever_nothing_is_lost_and_nothing_doubled(
    undisturbed, processes, victims, moments
):
    with sandbox({"OPENCODE_MEM_RAW_EVENTS_AUTO_FLUSH": "0"}) as box:
        box.start()
        box.until_live()
        with box.line() as line:
            line.call("ingest", events=EVENTS, **WHERE)
        struck = 0
        for moment in moments:
            _until_live(box, processes)
            pids, before = processes.pids_of(box), _nodes(box)
            with _flushing(box):
                processes.until(partial(MOMENTS[moment], box, before))
                # It is started when it is needed.
                pids["worker"] = processes.until(lambda pids=pids: _worker(pids["bridge"]))
                for name in victims:
                    processes.kill(pids[name], signal.SIGKILL)
                processes.gone(pids[name] for name in victims)
            if "bridge" in victims:
                processes.gone(pids.values())
                box.start()
            processes.until(lambda: not _spooled(box)[0].get("started"))
            struck += 1
            if not _spooled(box)[1]:
                break  # it had just finished
        _until_live(box, processes)
        disturbed = _drained(box)

    assert struck
    assert disturbed.keys() == undisturbed.keys()
    for name, items in undisturbed.items():
        assert disturbed[name] == items, name
    # Two batches of each session, each with its summary.
    assert len(undisturbed["episodes"]) == len(EVENTS) + 2 * len(SESSIONS)
    assert len(undisturbed["facts"]) > 100


@pytest.mark.timeout(300)
def test_hooks_answer_while_engines_hang_and_recover_when_they_go_on(processes):
    settings = {
        "OPENCODE_MEM_RAW_EVENTS_AUTO_FLUSH": "0",
        "OPENCODE_MEM_CHAT_DEADLINE_MS": "4000",
        "OPENCODE_MEM_HOOK_DEADLINE_MS": "4000",
        "OPENCODE_MEM_GRAPH_TIMEOUT_S": "1",
    }
    with sandbox(settings) as box:
        box.start()
        box.until_live()
        pids = processes.pids_of(box)
        with box.line() as line:
            place = processes.place(box, line)
            place.store("the potto is slow", wait=True)
            place.store("the potto sleeps by day")

            def asked():
                return place.ask("what of the potto?"), place.hook("file:write", path="potto.py")

            for names, word in (
                (("valkey",), "no-cache"),
                (("valkey", "falkordb"), "spool-only"),
                (("falkordb",), "no-graph"),
            ):
                for name in names:
                    processes.kill(pids[name], signal.SIGSTOP)
                chat, write = asked()
                assert chat["outcome"] == "injected"
                assert "sleeps by day" in chat["context"]
                assert write["outcome"] == "accepted"
                processes.until(lambda word=word: place.call("status")["degradation"] == word)
                chat, write = asked()
                assert (chat["outcome"], write["outcome"]) == ("injected", "accepted")
                report = json.loads(place.request("flush", session=place.session))
                if "falkordb" in names:
                    assert report["error"]["code"] == -32001
                for name in names:
                    processes.kill(pids[name], signal.SIGCONT)
                processes.until(lambda: place.call("status")["degradation"] == "live")
            processes.until(lambda: place.call("query", text="potto?")["cache"] == "hit")
            place.flush()
            assert {"the potto is slow", "the potto sleeps by day"} <= set(
                place.texts("potto", limit=50)
            )
            assert processes.pids_of(box)["falkordb"] == pids["falkordb"]
