"""What the doctor thinks of what it sees, and that it sees what is really broken."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing

import pytest

from bridge.doctor import judging, knocking, probing
from bridge.doctor.finding import Verdict
from bridge.doctor.judging import Folder
from memory_manager.spool.store import Spool
from metrics.settings import MetricsSettings

GIB = 1024**3


def verdict(finding):
    """The verdict; whatever is not well comes with its mend."""
    assert finding.seen
    assert bool(finding.mend) == (finding.verdict in {Verdict.WARN, Verdict.FAIL})
    return finding.verdict


@pytest.mark.parametrize(
    ("finding", "is_"),
    [
        (judging.python((3, 12, 1), "/usr/bin/python3"), "ok"),
        (judging.python((3, 11, 9), "/usr/bin/python3"), "fail"),
        (judging.packages({"valkey": "6.1"}), "ok"),
        (judging.packages({"valkey": "6.1", "numpy": None}), "fail"),
        (judging.settings(""), "ok"),
        (judging.settings("CACHE_TTL_SECONDS=x: not a number"), "fail"),
        (judging.data_folder("/d", Folder(7, 0o700, writable=True), 7), "ok"),
        (judging.data_folder("/d", None, 7), "warn"),
        (judging.data_folder("/d", Folder(0, 0o700, writable=True), 7), "fail"),
        (judging.data_folder("/d", Folder(7, 0o500, writable=False), 7), "fail"),
        (judging.data_folder("/d", Folder(7, 0o755, writable=True), 7), "warn"),
        (judging.disk(5 * GIB, 100 * GIB), "ok"),
        (judging.disk(GIB // 2, 100 * GIB), "warn"),
        (judging.disk(GIB // 100, 100 * GIB), "fail"),
        (judging.clock(1.8e9, 1.8e9 + 60, 1.8e9 + 0.5), "ok"),
        (judging.clock(1.8e9, None, None), "ok"),
        (judging.clock(3600.0, None, None), "fail"),
        (judging.clock(1.8e9, 1.8e9 + 600, None), "fail"),
        (judging.clock(1.8e9, None, 1.8e9 - 60), "fail"),
        (judging.bridge({"version": "1", "pid": 4}, "1", ""), "ok"),
        (judging.bridge({"version": "2", "pid": 4}, "1", ""), "fail"),
        (judging.bridge(None, "1", "none is running"), "warn"),
        (judging.degradation("live"), "ok"),
        (judging.degradation("no-cache"), "warn"),
        (judging.degradation(None), "warn"),
        (judging.worker(7, alive=True), "ok"),
        (judging.worker(7, alive=False), "fail"),
        (judging.worker(None, alive=False), "fail"),
        (judging.hook(0, "accepted", 12.0, ""), "ok"),
        (judging.hook(0, "disabled", 12.0, ""), "warn"),
        (judging.hook(0, "failed", 12.0, "Memory plugin error: x"), "fail"),
        (judging.hook(1, "", 12.0, "boom"), "fail"),
        (judging.spool(path="/s", fault="", size=1, faults=[], writable=True), "ok"),
        (judging.spool(path="/s", fault="", size=1, faults=None, writable=True), "ok"),
        (judging.spool(path="/s", fault="", size=1, faults=["row 1"], writable=True), "fail"),
        (judging.spool(path="/s", fault="", size=1, faults=[], writable=False), "fail"),
        (judging.spool(path="/s", fault="no spool", size=1, faults=[], writable=True), "fail"),
        (judging.canary({"found_ms": 1}, ""), "ok"),
        (judging.canary(None, "the graph is away"), "fail"),
        (judging.cache("embedded", ""), "ok"),
        (judging.cache("host:1", "no answer"), "fail"),
        (judging.metrics(enabled=False, address="", fault="", asked_for=True), "ok"),
        (judging.metrics(enabled=True, address="h:1", fault="", asked_for=True), "ok"),
        (judging.metrics(enabled=True, address="h:1", fault="refused", asked_for=False), "warn"),
        (judging.metrics(enabled=True, address="h:1", fault="refused", asked_for=True), "fail"),
        (judging.opencode_database("/o", exists=True, fault=""), "ok"),
        (judging.opencode_database("/o", exists=False, fault=""), "warn"),
        (judging.opencode_database("/o", exists=True, fault="not a database"), "fail"),
        (judging.opencode("/bin/opencode", "1.18.33\n"), "ok"),
        (judging.opencode("/bin/opencode", ""), "warn"),
        (judging.opencode(None, ""), "warn"),
        (judging.http("http://127.0.0.1:80", None, ""), "ok"),
        (judging.http("http://127.0.0.1:80", None, "refused"), "fail"),
        (judging.http("http://0.0.0.0:80", None, ""), "fail"),
        (judging.http(None, None, ""), "ok"),
        (judging.http(None, 8000, ""), "warn"),
        (judging.http(None, 8000, "port 8000 is taken"), "fail"),
    ],
)
def test_a_verdict_follows_from_what_was_seen_and_what_is_not_well_has_a_mend(finding, is_):
    assert verdict(finding) == is_


@pytest.mark.parametrize(
    ("seen", "is_"),
    [
        ({"there": True, "listens": True, "locked": True}, "ok"),
        ({"there": False, "listens": False, "locked": False}, "ok"),
        ({"there": True, "listens": False, "locked": False}, "warn"),
        ({"there": True, "listens": False, "locked": True}, "fail"),
        ({"there": True, "listens": True, "locked": False}, "fail"),
        ({"there": True, "listens": False, "locked": False, "orphans": ["e.sock"]}, "warn"),
    ],
    ids=["running", "nothing", "stale", "hung", "another", "orphans"],
)
def test_what_a_bridge_leaves_behind_is_told_from_one_that_runs(seen, is_):
    assert verdict(judging.leftovers("/s", **{"orphans": [], **seen})) == is_


def test_a_socket_without_a_listener_is_seen_to_be_stale(own_folders):
    path = own_folders / "b.sock"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()
        assert probing.listens(path)

    assert path.exists()
    assert not probing.listens(path)
    assert not probing.listens(own_folders / "none.sock")


def test_a_lock_is_seen_and_left_alone(tmp_path):
    import fcntl

    path = tmp_path / "bridge.lock"
    assert not probing.locked(path)
    path.touch()
    assert not probing.locked(path)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert probing.locked(path)
        assert probing.locked(path)


@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_folder_s_mode_is_what_it_is(tmp_path, mode):
    tmp_path.chmod(mode)

    assert probing.folder(tmp_path) == Folder(os.getuid(), mode, writable=True)
    assert probing.folder(tmp_path / "none") is None


def test_room_is_measured_where_the_folder_will_be(tmp_path):
    free, total = probing.room(tmp_path / "not" / "yet")

    assert 0 < free <= total


def test_the_newest_file_tells_of_a_clock_that_went_back(tmp_path):
    assert probing.newest_file(tmp_path) is None
    (tmp_path / "a").touch()
    os.utime(tmp_path / "a", (4e9, 4e9))

    finding = judging.clock(1.8e9, probing.newest_file(tmp_path), None)

    assert (finding.verdict, "behind files" in finding.seen) == ("fail", True)


def test_a_sound_spool_is_sound_and_a_damaged_one_is_not(tmp_path):
    path = tmp_path / "spool.sqlite3"
    Spool.open(path).close()
    assert probing.spool(path, GIB)[::2] == ("", [])
    assert probing.spool(path, 0)[::2] == ("", None)

    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(os.urandom(4096 * 3))
    fault, size, faults, writable = probing.spool(path, GIB)

    assert fault or faults
    finding = judging.spool(path="s", fault=fault, size=size, faults=faults, writable=writable)
    assert verdict(finding) == "fail"


def test_what_is_no_spool_is_said_to_be_none(tmp_path):
    path = tmp_path / "spool.sqlite3"
    path.write_bytes(b"hello" * 1000)

    assert "not a database" in probing.spool(path, GIB)[0]


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is forbidden to root")
def test_a_spool_that_may_not_be_written_is_seen(tmp_path):
    path = tmp_path / "spool.sqlite3"
    Spool.open(path).close()
    path.chmod(0o400)

    assert probing.spool(path, GIB)[3] is False


def test_open_code_s_database_is_found_and_read(tmp_path):
    named = {"OPENCODE_DB": "/x/y.db"}
    by_folder = {"XDG_DATA_HOME": "/d", "HOME": "/h"}
    assert str(probing.opencode_database(named)) == "/x/y.db"
    assert str(probing.opencode_database(by_folder)) == "/d/opencode/opencode.db"
    assert str(probing.opencode_database({"HOME": "/h"})).startswith("/h/.local/share/")

    good, bad = tmp_path / "good.db", tmp_path / "bad.db"
    with closing(sqlite3.connect(good)) as db:
        db.execute("CREATE TABLE session (id TEXT)")
    bad.write_bytes(b"no database at all" * 100)
    assert probing.opencode_fault(good) == ""
    assert "not a database" in probing.opencode_fault(bad)
    (tmp_path / "empty.db").touch()
    assert "no such table: session" in probing.opencode_fault(tmp_path / "empty.db")


def test_the_plugin_is_found_in_the_plugin_folders(tmp_path):
    assert probing.plugins(tmp_path) == []
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "other.ts").write_text("export default {}")
    (tmp_path / "plugins" / "memory.ts").write_text("// opencode-mem\n")

    found = probing.plugins(tmp_path)

    assert found == [str(tmp_path / "plugins" / "memory.ts")]


def test_a_program_tells_its_version_or_nothing(tmp_path):
    program = tmp_path / "opencode"
    program.write_text("#!/bin/sh\necho 1.18.33\n")
    program.chmod(0o755)
    assert probing.opencode_version(str(program)).strip() == "1.18.33"

    program.write_text("#!/bin/sh\nexit 3\n")
    assert probing.opencode_version(str(program)) == ""
    assert probing.opencode_version(str(tmp_path / "none")) == ""


def test_a_datagram_that_nobody_takes_is_noticed():
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as agent:
        agent.bind(("127.0.0.1", 0))
        port = agent.getsockname()[1]
        settings = MetricsSettings(agent_host="127.0.0.1", dogstatsd_port=port)
        assert knocking.datagram_fault(settings) == ""
        assert agent.recv(100) == b"\n"

    assert "refused" in knocking.datagram_fault(settings)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_an_agent_s_socket_of_either_kind_is_enough(own_folders, kind):
    path = own_folders / "dsd.sock"
    settings = MetricsSettings(dogstatsd_url=f"unix://{path}")
    assert "No such file" in knocking.datagram_fault(settings)
    with closing(socket.socket(socket.AF_UNIX, kind)) as agent:
        agent.bind(str(path))
        if kind is socket.SOCK_STREAM:
            agent.listen()
        assert knocking.datagram_fault(settings) == ""

    assert "refused" in knocking.datagram_fault(settings)


def test_a_port_is_free_or_taken():
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert knocking.taken(port)

    assert not knocking.taken(port)
    assert knocking.http_fault(f"http://127.0.0.1:{port}")


def test_a_cache_sets_gets_and_forgets(valkey_server):
    assert knocking.cache_fault(f"unix://{valkey_server}") == ""


def test_a_cache_that_is_not_there_does_not_answer(own_folders):
    assert knocking.cache_fault(f"unix://{own_folders}/none.sock") == "no answer"
    assert knocking.cache_fault("ftp://nowhere")


def test_packages_have_versions_or_are_missing():
    found = probing.package_versions(["numpy", "no-such-package-at-all"])

    assert found["numpy"]
    assert found["no-such-package-at-all"] is None
