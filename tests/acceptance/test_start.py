"""The command when no bridge runs: one is started, once; without one, questions are unavailable."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from memory_manager import contract
from memory_manager.model import episode_name
from memory_manager.spool.store import Spool

ROOT = Path(__file__).parents[2]

BRIDGE = """
import fcntl, json, os, socket, sys
from memory_manager import contract
data = contract.data_dir(os.environ)
with open(data + "/starts", "a") as starts:
    starts.write(json.dumps([os.getpid(), os.getcwd(), os.environ.get("OPENCODE_MEM_PROJECT")]) + "\\n")
lock = open(data + "/lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(0)
path = contract.socket_path(os.environ, os.getuid())
os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(64)
while True:
    connection, _ = listener.accept()
    with connection, connection.makefile("rwb") as stream:
        request = json.loads(stream.readline())
        result = {"text": "up", "hits": [], "socket": path, "pid": os.getpid(), "version": "0", "url": None}
        stream.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode() + b"\\n")
"""


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Our package beside a bridge of the test's; gives the function that runs the command."""
    monkeypatch.setenv("OPENCODE_MEM_CHAT_DEADLINE_MS", "30000")
    monkeypatch.setenv("OPENCODE_MEM_HOOK_DEADLINE_MS", "30000")
    shutil.copytree(ROOT / "memory_manager", tmp_path / "house" / "memory_manager")
    # What happens is the matter here, not how fast: a busy machine gets the time it needs.
    contract_file = tmp_path / "house" / "memory_manager" / "contract.py"
    text = contract_file.read_text(encoding="utf-8")
    assert "APPEND_DEADLINE, BULK_DEADLINE = 2.0, 20.0" in text
    contract_file.write_text(
        text.replace("BULK_DEADLINE = 2.0, 20.0", "BULK_DEADLINE = 60.0, 60.0"), encoding="utf-8"
    )
    (tmp_path / "house" / "bridge").mkdir()
    (tmp_path / "house" / "bridge" / "__init__.py").touch()
    return tmp_path / "house"


@pytest.fixture
def data():
    """The data folder; whatever was started in it is ended."""
    folder = Path(os.environ["XDG_DATA_HOME"]) / "opencode-mem"
    yield folder
    for pid, *_ in starts(folder):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def starts(data):
    path = data / "starts"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def command(house, *words, flags=()):
    return [sys.executable, *flags, str(house / "memory_manager" / "memory_manager.py"), *words]


def run(house, *words, flags=(), stdin=b""):
    return subprocess.run(
        command(house, *words, flags=flags), input=stdin, capture_output=True, check=False, cwd="/"
    )


def test_clients_that_come_at_once_end_with_one_bridge(house, data, monkeypatch):
    (house / "bridge" / "__main__.py").write_text(BRIDGE)
    monkeypatch.setenv("OPENCODE_MEM_PROJECT", "of-this-call")
    clients = [
        subprocess.Popen(command(house, "query", "x"), stdout=subprocess.PIPE) for _ in range(6)
    ]
    answers = [(client.communicate(timeout=60)[0], client.returncode) for client in clients]
    (started,) = starts(data)
    ensured = json.loads(run(house, "ensure").stdout)

    assert answers == [(b"up\n", 0)] * 6
    assert ensured["pid"] == started[0]
    assert started[1:] == ["/", None]
    assert os.getsid(started[0]) == started[0]


def test_a_socket_left_by_a_killed_bridge_is_replaced(house, data):
    (house / "bridge" / "__main__.py").write_text(BRIDGE)
    first = json.loads(run(house, "ensure").stdout)
    os.kill(first["pid"], signal.SIGKILL)
    # It is our grandchild: gone when its lock is free, which the next one waits for.
    second = json.loads(run(house, "ensure").stdout)

    assert second["socket"] == first["socket"]
    assert second["pid"] != first["pid"]


def test_a_bridge_that_can_t_start_is_told_with_its_own_words(house, data):
    (house / "bridge" / "__main__.py").write_text("import sys; sys.exit('VALKEY_URL=x: no URL')")

    done = run(house, "query", "x")

    assert (done.returncode, done.stdout) == (3, b"")
    assert b"VALKEY_URL=x: no URL" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert (data / "bridge.log").stat().st_mode & 0o777 == 0o600


def test_a_python_without_the_dependencies_is_named_with_the_mend(house, data):
    (house / "bridge" / "__main__.py").write_text(BRIDGE)

    query = run(house, "query", "x", flags=["-S"])
    store = run(house, "store", "x", flags=["-S"])

    for done in (query, store):
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (3, b"", 1)
        assert f"{sys.executable} has no ".encode() in done.stderr
        assert b"pip install" in done.stderr
    assert starts(data) == []


def test_a_data_folder_that_can_t_be_made_is_named(house, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPENCODE_MEM_DATA_DIR", str(tmp_path / "file" / "data"))

    done = run(house, "query", "x")

    assert done.returncode == 3
    assert b"OPENCODE_MEM_DATA_DIR" in done.stderr


BROKEN = "import sys; sys.exit('no bridge today')"


def rows():
    with closing(Spool.open(Path(contract.spool_path(os.environ)), readonly=True)) as spool:
        return spool.tail(flushed_since=0.0, limit=100)


@pytest.fixture
def broken(house):
    (house / "bridge" / "__main__.py").write_text(BROKEN)
    return house


def test_without_a_bridge_a_store_is_in_the_spool_redacted(broken):
    secret = "AKIA" + "IOSFODNN7EXAMPLZ"
    done = run(broken, "store", f"the key is {secret} <private>mine</private>", '{"a": 1}')
    (row,) = rows()

    assert done.returncode == 0
    assert done.stdout.decode().strip() == episode_name(row.event.at, row.event.event_id)
    assert done.stderr.startswith(b"memory_manager: note: ")
    assert secret not in row.event.content
    assert "mine" not in row.event.content
    assert (row.event.kind, row.event.metadata["a"]) == ("note", 1)


@pytest.mark.parametrize(
    ("name", "payload", "content"),
    [
        ("chat:start", {"query": "why?", "message_id": "m"}, "why?"),
        ("file:write", {"path": "./src/../a.py"}, "Modified: a.py"),
        ("error", {"message": "boom"}, "Error: boom"),
        ("completion", {"task": "ship"}, "Completed: ship"),
    ],
    ids=["chat", "file", "error", "done"],
)
def test_without_a_bridge_a_hook_s_event_is_in_the_spool(broken, tmp_path, name, payload, content):
    payload |= {"session_id": "s", "directory": str(tmp_path)}
    done = run(broken, "hook", name, stdin=json.dumps(payload).encode())
    (row,) = rows()

    assert json.loads(done.stdout)["outcome"] == "accepted"
    assert (done.returncode, b"no bridge today" in done.stderr) == (0, True)
    assert (row.event.content, row.event.session) == (content, "s")


def test_without_a_bridge_the_same_event_is_one_row(broken):
    payload = b'{"message": "boom", "event_id": "e"}'
    replies = [json.loads(run(broken, "hook", "error", stdin=payload).stdout) for _ in range(2)]

    assert [reply["outcome"] for reply in replies] == ["accepted", "duplicate"]
    assert len(rows()) == 1


def test_without_a_bridge_a_malformed_hook_is_a_reply_and_a_replay_has_failed(broken):
    invalid = run(broken, "hook", "error", stdin=b'{"message": 3}')
    replay = run(broken, "hook", "context:replay", stdin=b'{"session_id": "s"}')

    assert json.loads(invalid.stdout) == {"outcome": "invalid", "note": "message: not a string"}
    assert json.loads(replay.stdout)["outcome"] == "failed"
    assert (invalid.returncode, replay.returncode) == (0, 0)


def test_serve_becomes_the_bridge(house, data, monkeypatch):
    said = "import os, sys; print(os.getpid(), sys.argv[1:], os.environ['OPENCODE_MEM_PROJECT'])"
    (house / "bridge" / "__main__.py").write_text(said)
    monkeypatch.setenv("OPENCODE_MEM_PROJECT", "p")
    with subprocess.Popen(command(house, "serve"), stdout=subprocess.PIPE) as process:
        out = process.communicate(timeout=30)[0]

    assert out.decode().split(" ", 1) == [str(process.pid), "['serve'] p\n"]
