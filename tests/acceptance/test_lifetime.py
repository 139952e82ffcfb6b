"""How a bridge begins, ends, is killed, and lives with engines that are not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.sandbox import SCRIPT, sandbox
from memory_manager.engine_spec import falkordb_binaries, valkey_binary

SERVE = [sys.executable, str(SCRIPT), "serve"]
OPERATE = [sys.executable, "-m", "bridge"]


@pytest.fixture
def fresh(processes):
    with sandbox(processes.calm) as box:
        yield box


def _log(box):
    return (box.folder / "data" / "log" / "bridge.log").read_text()


def test_many_that_start_it_at_once_get_one_bridge(fresh, processes):
    ensure = [sys.executable, str(SCRIPT), "ensure"]
    started = [
        subprocess.Popen(ensure, env=fresh.environment, stdout=subprocess.PIPE) for _ in range(12)
    ]
    printed = [json.loads(process.communicate(timeout=90)[0]) for process in started]
    identity = fresh.start()

    assert printed == [identity] * 12
    assert processes.running(identity["pid"])
    assert _log(fresh).count("listening at") == 1


def test_a_stop_ends_everything_in_order_and_what_was_acknowledged_is_there_again(fresh, processes):
    fresh.start()
    fresh.until_live()
    pids = processes.pids_of(fresh)
    with fresh.line() as line:
        line.call("store", content="the last words", wait=False, project="p")
    done = subprocess.run(
        [*OPERATE, "stop"], env=fresh.environment, capture_output=True, check=True
    )

    assert done.stdout == b"the bridge has ended\n"
    assert all(pids.values())
    processes.gone(pids.values())
    assert "ended in order" in _log(fresh)
    assert not Path(fresh.socket).exists()
    again = subprocess.run(
        [*OPERATE, "stop"], env=fresh.environment, capture_output=True, check=True
    )
    assert again.stdout == b"no bridge is running\n"
    found = fresh.command("query", "last words", "--group", "p")
    assert found.stdout.endswith("the last words\n")
    fresh.start()


def test_what_is_killed_takes_its_worker_and_engines_along_and_is_replaced(fresh, processes):
    fresh.start()
    fresh.until_live()
    pids = processes.pids_of(fresh)
    processes.kill(pids["bridge"], signal.SIGKILL)
    processes.gone(pids.values())
    found = fresh.command("store", "written after the kill", "--no-wait")
    fresh.start()

    assert found.returncode == 0
    assert found.stdout.startswith("episode_")
    fresh.until_live()


@contextmanager
def _served(box, processes):
    """The bridge as our own child: its exit status is ours to see."""
    process = subprocess.Popen(SERVE, env=box.environment, stderr=subprocess.PIPE)
    try:
        processes.until(lambda: Path(box.socket).exists() or process.poll() is not None)
        box.until_live()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_first_sigterm_ends_in_order_and_the_second_at_once(fresh, processes):
    with _served(fresh, processes) as process:
        pids = processes.pids_of(fresh)
        for name in ("falkordb", "valkey"):
            processes.kill(pids[name], signal.SIGSTOP)
        process.terminate()
        processes.until(lambda: "told to end by signal SIGTERM" in _log(fresh))
        process.terminate()

        assert process.wait(30) == 128 + signal.SIGTERM
    processes.gone(pids.values())
    assert "ended in order" not in _log(fresh)


def test_one_sigterm_ends_in_order(fresh, processes):
    with _served(fresh, processes) as process:
        pids = processes.pids_of(fresh)
        process.terminate()

        assert process.wait(30) == 0
    processes.gone(pids.values())
    assert "ended in order" in _log(fresh)


def test_it_ends_by_itself_when_nobody_wants_it(processes):
    with sandbox({**processes.calm, "OPENCODE_MEM_IDLE_EXIT_S": "1"}) as box:
        pid = box.start()["pid"]
        processes.until(lambda: not processes.running(pid))

        assert "idle for 1 s: ending" in _log(box)
        assert "ended in order" in _log(box)


BAD = {
    "CACHE_TTL_SECONDS": "soon",
    "OPENCODE_MEM_CHAT_DEADLINE_MS": "1",
    "OPENCODE_MEM_HOOK_DEADLINE_MS": "99999999",
    "OPENCODE_MEM_INJECT": "perhaps",
    "OPENCODE_MEM_DISABLED": "perhaps",
    "OPENCODE_MEM_IDLE_EXIT_S": "-1",
    "OPENCODE_MEM_RAW_EVENTS_RETRY": "never",
    "OPENCODE_MEM_RAW_EVENTS_MAX_FLUSH_ATTEMPTS": "0",
    "VALKEY_URL": "localhost:6379",
    "VALKEY_PORT": "70000",
    "FALKORDB_URL": "http://localhost",
    "FALKORDB_PORT": "x",
    "EMBEDDER": "magic",
    "SPOOL_URL": "postgres://localhost/x",
    "DD_DOGSTATSD_PORT": "0",
    "DD_DOGSTATSD_URL": "tcp://x",
}


@pytest.mark.parametrize(("variable", "value"), [
    *BAD.items(), ("VALKEY_URL", "redis://localhost:port"), ("FALKORDB_URL", "redis://h:99999999"),
])  # fmt: skip
def test_a_bad_setting_stops_the_start_with_its_name_its_fault_and_the_mend(
    own_folders, variable, value
):
    env = os.environ | {variable: value, "OPENCODE_MEM_DATA_DIR": str(own_folders / "data")}
    done = subprocess.run(SERVE, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"opencode-mem: {variable}={value}: ")
    assert done.stderr.endswith("; correct or unset it\n")
    assert done.stderr.count("\n") == 1
    assert not (own_folders / "data").exists()


def test_a_bad_setting_is_told_by_the_command_that_wanted_a_bridge(fresh):
    fresh.environment["CACHE_TTL_SECONDS"] = "soon"
    done = fresh.command("query", "x")
    hook = fresh.command("hook", "error", stdin='{"message": "boom"}')
    del fresh.environment["CACHE_TTL_SECONDS"]

    assert done.returncode == 3
    assert "CACHE_TTL_SECONDS=soon" in done.stderr
    assert json.loads(hook.stdout)["outcome"] == "accepted"
    fresh.start()
    assert "boom" in fresh.command("query", "boom").stdout


def test_a_damaged_ledger_is_named_and_nothing_stays_behind(own_folders):
    data = own_folders / "data"
    data.mkdir()
    (data / "ledger.sqlite3").write_bytes(b"no database" * 100)
    env = os.environ | {"OPENCODE_MEM_DATA_DIR": str(data)}
    done = subprocess.run(SERVE, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "ledger is damaged" in done.stderr
    assert done.stderr.count("\n") == 1


@contextmanager
def _server(argv, socket, folder):
    folder.mkdir(exist_ok=True)
    common = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([*argv[:1], *common, *argv[1:]], stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)
        socket.unlink(missing_ok=True)


def test_without_engines_it_keeps_and_recalls_and_recovers_as_they_come_and_go(
    own_folders, processes
):
    graph, cache = own_folders / "f.sock", own_folders / "v.sock"
    falkordb = [str(path) for path in falkordb_binaries()]
    settings = {
        "FALKORDB_URL": f"unix://{graph}",
        "VALKEY_URL": f"unix://{cache}",
        "OPENCODE_MEM_RAW_EVENTS_AUTO_FLUSH": "1",
        "OPENCODE_MEM_RAW_EVENTS_DEBOUNCE_MS": "0",
        "OPENCODE_MEM_RAW_EVENTS_SWEEPER_IDLE_MS": "0",
        "OPENCODE_MEM_RAW_EVENTS_SWEEPER_INTERVAL_MS": "100",
    }
    os.environ["GRAPHBLAS_CACHE_PATH"] = str(own_folders / "jit")
    with sandbox({**processes.calm, **settings}) as box:
        box.start()
        with box.line() as line:
            place = processes.place(box, line)

            def word():
                return place.call("status")["degradation"]

            processes.until(lambda: place.call("status")["worker"])
            assert word() == "spool-only"
            stored = place.store("the gerenuk is tall", wait=True)
            assert "not in the graph yet" in stored["note"]
            assert place.texts("gerenuk") == ["the gerenuk is tall"]
            assert place.hook("file:write", path="a.py")["outcome"] == "accepted"
            assert place.ask("how tall is a gerenuk?")["outcome"] == "injected"
            assert place.ask("quite unknown?")["outcome"] == "failed"
            assert json.loads(place.request("entities"))["error"]["code"] == -32001
            with _server([str(valkey_binary())], cache, own_folders / "v"):
                processes.until(lambda: word() == "no-graph")
                load = [falkordb[0], "--loadmodule", falkordb[1]]
                with _server(load, graph, own_folders / "f"):
                    processes.until(lambda: word() == "live")
                    processes.until(lambda: place.call("status")["spool"]["pending"] == 0)
                    names = {each["name"] for each in place.call("entities")["entities"]}
                    assert "a.py" in names
                    assert place.ask("quite unknown?")["outcome"] in {"empty", "injected"}
                processes.until(lambda: word() == "no-graph")
            processes.until(lambda: word() == "spool-only")
            with _server(load, graph, own_folders / "f"):
                processes.until(lambda: word() == "no-cache")
