"""`opencode-mem doctor` on a whole and on a really broken installation."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bridge.sandbox import sandbox
from bridge.server import sockets_folder

#: What a machine without OpenCode and without an agent is told.
ELSEWHERE = {"metrics", "opencode database", "opencode", "plugin"}


def doctor(box, *words, **settings):
    """Status and findings by name."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "doctor", "--json", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=box.environment | settings,
        cwd=box.folder,
        timeout=115,
        check=False,
    )
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    checks = {each["name"]: each for each in answer["checks"]}
    assert answer["ok"] == (done.returncode == 0)
    assert len(checks) == len(answer["checks"])
    for each in checks.values():
        assert set(each) == {"name", "verdict", "seen", "mend"}
        assert bool(each["mend"]) == (each["verdict"] in {"warn", "fail"}), each
    return done.returncode, checks


def not_well(checks):
    return {
        name: each["verdict"]
        for name, each in checks.items()
        if each["verdict"] not in {"ok", "skip"}
    }


def test_a_whole_installation_has_no_failure_and_the_canary_leaves_nothing(box, place):
    before = place.call("stats")["projects"]
    status, checks = doctor(box)

    assert status == 0
    assert not_well(checks).keys() <= ELSEWHERE
    for name in ("bridge", "hook", "spool", "cache", "canary", "flush worker", "clock", "http"):
        assert checks[name]["verdict"] == "ok", checks[name]
    assert "removed" in checks["canary"]["seen"]
    assert place.call("stats")["projects"] == before


def test_people_get_a_line_for_each_check_and_then_the_mends(box):
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "doctor"],
        capture_output=True,
        text=True,
        env=box.environment,
        timeout=110,
        check=False,
    )
    lines = done.stdout.splitlines()

    assert done.returncode == 0
    assert any(line.startswith("ok    canary") for line in lines)
    assert any(line.startswith("to mend opencode database: ") for line in lines)


@pytest.mark.parametrize(
    ("check", "settings"),
    [
        ("cache", {"VALKEY_URL": "redis://127.0.0.1:1"}),
        ("metrics", {"DD_AGENT_HOST": "127.0.0.1", "DD_DOGSTATSD_PORT": "1"}),
        ("metrics", {"DD_DOGSTATSD_URL": "unix:///nowhere/dsd.socket"}),
        ("settings", {"CACHE_TTL_SECONDS": "soon"}),
        ("settings", {"OPENCODE_MEM_SOCKET": "here.sock"}),
        ("hook", {"MEMORY_SCRIPT": "/nowhere/memory_manager.py"}),
        ("opencode database", {"OPENCODE_DB": __file__}),
    ],
)
def test_what_is_set_wrong_fails_its_check_and_the_status_says_so(box, check, settings):
    status, checks = doctor(box, **settings)

    assert status == 1
    assert checks[check]["verdict"] == "fail"
    fails = {name for name, verdict in not_well(checks).items() if verdict == "fail"}
    assert fails == {check}


def test_a_working_agent_an_open_code_and_its_plugin_are_found(box, tmp_path):
    import sqlite3

    subprocess.run(
        [sys.executable, "-m", "bridge", "install", "--no-check"],
        env=box.environment,
        cwd=box.folder,
        timeout=60,
        check=True,
    )
    program = tmp_path / "opencode"
    program.write_text("#!/bin/sh\necho 1.18.33\n")
    program.chmod(0o755)
    with closing(sqlite3.connect(tmp_path / "opencode.db")) as db:
        db.execute("CREATE TABLE session (id TEXT)")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as agent:
        agent.bind(("127.0.0.1", 0))
        status, checks = doctor(
            box,
            DD_AGENT_HOST="127.0.0.1",
            DD_DOGSTATSD_PORT=str(agent.getsockname()[1]),
            OPENCODE_DB=str(tmp_path / "opencode.db"),
            PATH=f"{tmp_path}:{os.environ['PATH']}",
        )

    assert (status, not_well(checks)) == (0, {})
    assert checks["opencode"]["seen"].startswith("1.18.33 at ")


@pytest.mark.parametrize(("engine", "check"), [("valkey", "cache"), ("falkordb", "canary")])
def test_an_engine_that_does_not_answer_fails_its_check(box, processes, engine, check):
    pid = processes.pids_of(box)[engine]
    os.kill(pid, signal.SIGSTOP)
    try:
        status, checks = doctor(box)
    finally:
        os.kill(pid, signal.SIGCONT)
        box.until_live()

    assert status == 1
    assert checks[check]["verdict"] == "fail"
    assert checks["degradation"]["verdict"] == "warn"
    assert checks["hook"]["verdict"] == "ok"


def test_a_folder_that_is_open_to_others_is_told(box):
    data = Path(box.environment["OPENCODE_MEM_DATA_DIR"])
    data.chmod(0o755)
    try:
        status, checks = doctor(box)
    finally:
        data.chmod(0o700)

    assert (status, checks["data folder"]["verdict"]) == (0, "warn")
    assert checks["data folder"]["mend"] == f"chmod 700 '{data}'"


def test_a_bridge_of_another_address_is_told_from_none(box):
    other = str(Path(box.socket).with_name("other.sock"))

    status, checks = doctor(box, OPENCODE_MEM_SOCKET=other)

    assert status == 1
    assert checks["sockets and locks"]["verdict"] == "fail"
    assert "holds the data folder's lock" in checks["sockets and locks"]["seen"]
    assert checks["bridge"]["verdict"] == "warn"


@pytest.fixture
def quiet(processes):
    """A sandbox in which no bridge was started."""
    with sandbox(processes.calm) as made:
        yield made


def test_without_a_bridge_what_needs_it_is_skipped_with_the_reason(quiet):
    status, checks = doctor(quiet)
    skipped = {name for name, each in checks.items() if each["verdict"] == "skip"}

    assert status == 0
    assert checks["bridge"]["verdict"] == "warn"
    # What is asked of OpenCode itself is skipped too, where there is none.
    of_opencode = {"opencode config", "opencode start", "plugin in projects"}
    needed = {"degradation", "flush worker", "hook", "spool", "cache", "canary"}
    assert skipped - of_opencode == needed
    assert checks["hook"]["seen"] == "needs the bridge: none is running"
    assert not Path(quiet.environment["OPENCODE_MEM_DATA_DIR"]).exists()


def test_it_starts_a_bridge_when_told_to(quiet, processes):
    _, checks = doctor(quiet, "--start")
    pid = int(checks["bridge"]["seen"].rpartition(" ")[2])

    assert checks["bridge"]["verdict"] == "ok"
    quiet.stop()
    processes.gone([pid])


def test_a_stale_socket_a_taken_port_and_a_damaged_spool_are_seen(quiet):
    data = Path(quiet.environment["OPENCODE_MEM_DATA_DIR"])
    data.mkdir(mode=0o700)
    (data / "spool.sqlite3").write_bytes(b"no spool at all" * 100)
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(quiet.socket)
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        status, checks = doctor(quiet, OPENCODE_MEM_PORT=port)

    assert status == 1
    assert checks["sockets and locks"]["verdict"] == "warn"
    assert "stale socket" in checks["sockets and locks"]["seen"]
    assert checks["spool"]["verdict"] == checks["http"]["verdict"] == "fail"


def test_engines_without_a_bridge_are_seen(quiet):
    folder = sockets_folder(Path(quiet.socket))
    folder.mkdir(mode=0o700)
    with closing(socket.socket(socket.AF_UNIX)) as engine:
        engine.bind(str(folder / "valkey.sock"))
        engine.listen()
        _, checks = doctor(quiet)

    assert "engines answer without a bridge" in checks["sockets and locks"]["seen"]


def test_a_clock_that_went_back_is_seen(quiet):
    data = Path(quiet.environment["OPENCODE_MEM_DATA_DIR"])
    data.mkdir(mode=0o700)
    (data / "note").touch()
    os.utime(data / "note", (4e9, 4e9))

    status, checks = doctor(quiet)

    assert (status, checks["clock"]["verdict"]) == (1, "fail")
