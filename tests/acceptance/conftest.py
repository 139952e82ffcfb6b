"""A real bridge with its real engines, one for each module; every test has a project of its own."""

from __future__ import annotations

import json
import os
import time
import uuid
from dataclasses import dataclass, field

import pytest

from bridge.sandbox import Line, Sandbox, sandbox
from memory_manager import contract

#: Long enough for any machine, and nothing is flushed but by hand.
CALM = {
    "OPENCODE_MEM_CHAT_DEADLINE_MS": "30000",
    "OPENCODE_MEM_HOOK_DEADLINE_MS": "30000",
    "OPENCODE_MEM_RAW_EVENTS_AUTO_FLUSH": "0",
}


@dataclass
class Place:
    """One project and one session, seen over one connection."""

    box: Sandbox
    line: Line
    cwd: str = "/work/shop"
    project: str | None = field(default_factory=lambda: f"p-{uuid.uuid4().hex}")
    session: str = field(default_factory=lambda: f"ses_{uuid.uuid4().hex}")

    def request(self, method, **params):
        """The bytes that the bridge answers."""
        where = {"cwd": self.cwd, "project": self.project}
        return self.line.send(contract.request_line(method, {**where, **params}))

    def call(self, method, **params):
        answer = json.loads(self.request(method, **params))
        assert "error" not in answer, answer
        return answer["result"]

    def hook(self, name, /, **payload):
        return self.call("hook", name=name, payload={"session_id": self.session, **payload})

    def ask(self, query, session=None, **payload):
        """A question of a session that nothing else happened in, unless one is named."""
        session = session or f"ses_{uuid.uuid4().hex}"
        return self.hook("chat:start", query=query, session_id=session, **payload)

    def store(self, content, **params):
        metadata = {"session_id": self.session}
        params = {"metadata": metadata, "event_id": uuid.uuid4().hex, "wait": False, **params}
        return self.call("store", content=content, **params)

    def texts(self, question, **params):
        return [hit["text"] for hit in self.call("query", text=question, **params)["hits"]]

    def flush(self, *sessions):
        """What waits of the place's session, or of others: each costs a second of the disk's."""
        for session in sessions or (self.session,):
            report = self.call("flush", session=session)
            assert report["failed"] == 0, report


@pytest.fixture(scope="module")
def box():
    with sandbox(CALM) as made:
        made.start()
        made.until_live()
        yield made


@pytest.fixture
def place(box):
    with box.line() as line:
        yield Place(box, line)


def running(pid):
    """Whether the process is there and not merely waiting to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition, seconds=60.0):
    """Wait for a condition; what it gave at last."""
    end = time.monotonic() + seconds
    while not (given := condition()):
        assert time.monotonic() < end, f"still {given!r} after {seconds} s"
        time.sleep(0.01)
    return given


def pids_of(box):
    """Bridge, worker and engines, by name."""
    with box.line() as line:
        status = line.call("status")
    engines = {name: about["pid"] for name, about in status["engines"].items()}
    return {"bridge": status["pid"], "worker": status["worker"], **engines}


@pytest.fixture
def processes():
    """`until`, `running` and `pids_of`, for tests that end processes."""
    return _Processes


class _Processes:
    calm = CALM
    place = Place
    until = staticmethod(until)
    running = staticmethod(running)
    pids_of = staticmethod(pids_of)

    @staticmethod
    def gone(pids):
        until(lambda: not any(running(pid) for pid in pids if pid))

    @staticmethod
    def kill(pid, number):
        os.kill(pid, number)
