"""The command as OpenCode and people run it: a process by path, against a scripted bridge."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "memory_manager" / "memory_manager.py"
OLD = sorted(Path.home().glob(".pyenv/versions/3.[89].*/bin/python3")) + sorted(
    Path.home().glob(".pyenv/versions/3.1[01].*/bin/python3")
)


def run(*words, stdin=b"", env=None, python=sys.executable, cwd="/"):
    return subprocess.run(
        [str(python), str(SCRIPT), *words],
        input=stdin,
        capture_output=True,
        env=os.environ | (env or {}),
        cwd=cwd,
        timeout=60,
        check=False,
    )


class Bridge:
    """Answers each connection by the next of its scripts, and keeps what it was asked.

    A script is a result, an exception object with a code, or None: hang up without an answer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scripts: list[object] = []
        self.asked: list[dict] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rwb") as stream:
                line = stream.readline()
                if not line:
                    return
                self.asked.append(json.loads(line))
                script = self.scripts.pop(0)
                if script is None:
                    continue
                if isinstance(script, bytes):
                    stream.write(script)
                    continue
                name = "error" if isinstance(script, dict) and "code" in script else "result"
                reply = {"jsonrpc": "2.0", "id": self.asked[-1]["id"], name: script}
                stream.write(json.dumps(reply).encode() + b"\n")

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def bridge(own_folders, monkeypatch):
    path = own_folders / "run" / "b.sock"
    monkeypatch.setenv("OPENCODE_MEM_SOCKET", str(path))
    made = Bridge(path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "command: missing"),
        (["frobnicate"], "command: no 'frobnicate'"),
        (["import", "x"], "import: not available yet"),
        (["store"], "content: missing"),
        (["store", " "], "content: empty"),
        (["store", "x", "[1]"], "metadata_json: not a JSON object"),
        (["store", "x", "nope"], "metadata_json: not JSON"),
        (["store", "x", "{}", "y"], "'y': one argument too many"),
        (["store", "x", "--bogus"], "--bogus: unknown option"),
        (["query"], "text: missing"),
        (["query", ""], "text: empty"),
        (["query", "x", "--limit", "0"], "--limit: '0'"),
        (["query", "x", "--limit", "many"], "--limit: 'many'"),
        (["query", "x", "--at", "soon"], "--at: 'soon'"),
        (["query", "x", "--group", ""], "--group:"),
        (["ensure", "now"], "'now': one argument too many"),
        (["--limit", "3"], "--limit: the command comes first"),
    ],
)
def test_a_malformed_request_is_refused_in_one_line_before_anything_is_started(
    own_folders, words, says
):
    done = run(*words)

    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.decode().startswith(f"memory_manager: {says}")
    assert done.stderr.count(b"\n") == 1
    assert not (Path(os.environ["XDG_DATA_HOME"]) / "opencode-mem").exists()


@pytest.mark.parametrize("words", [["--help"], ["help"], ["query", "-h"]], ids=" ".join)
def test_help_is_on_stdout_and_names_what_there_is(words):
    done = run(*words)

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"store <content> [metadata_json]" in done.stdout
    assert b"import" not in done.stdout


def test_by_name_it_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "memory_manager", "--help"],
        capture_output=True,
        cwd=ROOT,
        check=True,
    )

    assert done.stdout == run("--help").stdout


@pytest.mark.skipif(not OLD, reason="no old Python here")
@pytest.mark.parametrize("python", OLD, ids=lambda path: path.parts[-3])
def test_an_old_python_gets_a_sentence(python):
    done = run("query", "x", python=python)

    assert done.returncode == 1
    assert done.stderr.startswith(b"memory_manager: needs Python 3.12 or newer")
    assert done.stderr.count(b"\n") == 1


def test_it_runs_from_its_own_folder_through_a_link_and_isolated(bridge, tmp_path):
    bridge.scripts = [{"text": "a", "hits": []}] * 3
    (tmp_path / "mm.py").symlink_to(SCRIPT)
    ways = [
        (["memory_manager.py"], SCRIPT.parent),
        ([str(tmp_path / "mm.py")], tmp_path),
        (["-I", str(SCRIPT)], "/"),
    ]

    for words, cwd in ways:
        done = subprocess.run(
            [sys.executable, *words, "query", "x"], capture_output=True, cwd=cwd, check=True
        )
        assert done.stdout == b"a\n"


def test_a_query_prints_its_text_or_its_hits_or_nothing(bridge, tmp_path):
    hits = [{"text": "é", "score": 0.5}]
    bridge.scripts = [
        {"text": "- é", "hits": hits},
        {"text": "- é", "hits": hits},
        {"text": "", "hits": []},
    ]
    env = {"OPENCODE_MEM_PROJECT": "shop", "PYTHONIOENCODING": "latin-1", "LC_ALL": "C"}

    text = run("query", "wörds", "--limit", "3", env=env, cwd=tmp_path)
    as_json = run("query", "--json", "x")
    nothing = run("query", "x")

    assert (text.stdout, text.stderr, text.returncode) == ("- é\n".encode(), b"", 0)
    assert json.loads(as_json.stdout) == hits
    assert (nothing.stdout, nothing.returncode) == (b"", 0)
    assert bridge.asked[0]["params"] == {
        "text": "wörds",
        "limit": 3,
        "group": None,
        "budget": None,
        "at": None,
        "json": False,
        "cwd": str(tmp_path),
        "project": "shop",
    }


def test_a_store_prints_the_episode_s_name(bridge):
    bridge.scripts = [{"name": "episode_1", "uuid": "u", "event_id": "e", "outcome": "accepted"}]

    done = run("store", "text", '{"type": "note"}', "--source", "me", "--no-wait")
    params = bridge.asked[0]["params"]

    assert (done.stdout, done.stderr, done.returncode) == (b"episode_1\n", b"", 0)
    assert params["metadata"] == {"type": "note"}
    assert (params["content"], params["source"], params["wait"]) == ("text", "me", False)
    assert len(params["event_id"]) == 36
    assert params["at"] > 0


HOSTILE = [
    "'; DROP TABLE x; --",
    '"quoted" `ticks` $(touch /tmp/pwned) ${HOME} %s %n {0}',
    "line\nline\ttab\r\x1b[31m",
    "} RETURN 1 //",
    "@field:{tag} *|~(-x)",
    "ünï¢ødé 🙂 \u2028",
    "--looks like=an option",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_in_a_value_is_interpreted(bridge, text):
    bridge.scripts = [{"name": "n"}, {"text": text, "hits": []}]

    stored = run("store", text, json.dumps({"k": text}))
    asked = run("query", "--", text)

    assert (stored.returncode, asked.returncode) == (0, 0)
    assert bridge.asked[0]["params"]["content"] == bridge.asked[1]["params"]["text"] == text
    assert bridge.asked[0]["params"]["metadata"] == {"k": text}
    assert asked.stdout == f"{text}\n".encode()


def test_bytes_that_are_no_text_are_replaced(bridge):
    bridge.scripts = [{"name": "n\udcff"}, {"name": "n"}]

    argument = run("store", b"a\xffb")
    stdin = run("store", "-", stdin=b"a\xffb\xed\xa0\x80")

    assert (argument.returncode, stdin.returncode, argument.stdout) == (0, 0, b"n?\n")
    assert bridge.asked[0]["params"]["content"] == "a\ufffdb"
    assert bridge.asked[1]["params"]["content"].startswith("a\ufffdb")


def test_a_megabyte_comes_through_stdin_and_not_a_byte_more(bridge):
    bridge.scripts = [{"name": "n"}]
    megabyte = b"x" * (1 << 20)

    fits = run("store", "-", stdin=megabyte)
    more = run("store", "-", stdin=megabyte + b"x")

    assert fits.returncode == 0
    assert len(bridge.asked[0]["params"]["content"]) == 1 << 20
    assert (more.returncode, more.stderr.count(b"\n")) == (2, 1)


@pytest.mark.parametrize(
    ("code", "status"), [(-32602, 2), (-32001, 3), (-32002, 1), (-32603, 1), (7, 1)]
)
def test_an_error_of_the_bridge_is_a_status_and_one_line(bridge, code, status):
    bridge.scripts = [{"code": code, "message": "limit: too\nlarge"}]

    done = run("query", "x")

    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr == b"memory_manager: limit: too large\n"


@pytest.mark.parametrize(
    "script", [b"nonsense\n", b"{}\n", [1], {"hits": []}], ids=["text", "empty", "list", "lacks"]
)
def test_an_answer_of_another_shape_is_a_failure(bridge, script):
    bridge.scripts = [script]

    done = run("query", "x")

    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)


def test_a_lost_connection_is_tried_once_more_with_the_same_id(bridge):
    bridge.scripts = [None, {"name": "n"}]

    done = run("store", "x")

    assert (done.returncode, done.stdout) == (0, b"n\n")
    assert bridge.asked[0] == bridge.asked[1]


def test_a_bridge_that_only_hangs_up_is_unavailable(bridge):
    bridge.scripts = [None, None]

    assert run("query", "x").returncode == 3


def test_lists_counts_and_files_are_printed(bridge, tmp_path):
    bridge.scripts = [
        {"entities": [{"name": "a.py", "type": "File"}]},
        {"path": str(tmp_path / "out.json"), "counts": {"episodes": 2, "facts": 1}},
        {"inserted": 1, "received": 2, "duplicates": 1, "more": 1},
        {"socket": "s", "pid": 7, "version": "1", "url": None, "more": 1},
    ]
    ndjson = b'{"event_id": "e", "kind": "note"}\n\n{"kind": "note"}\n'

    entities = run("entities", "File")
    export = run("export", "out.json", cwd=tmp_path)
    ingest = run("ingest", stdin=ndjson)
    ensure = run("ensure")

    assert json.loads(entities.stdout) == [{"name": "a.py", "type": "File"}]
    assert export.stdout.decode() == f"Exported 2 episodes, 1 facts to {tmp_path}/out.json\n"
    assert json.loads(ingest.stdout) == {"inserted": 1, "received": 2, "duplicates": 1}
    assert json.loads(ensure.stdout) == {"socket": "s", "pid": 7, "version": "1", "url": None}
    assert bridge.asked[1]["params"]["path"] == str(tmp_path / "out.json")
    first, second = bridge.asked[2]["params"]["events"]
    assert (first["event_id"], len(second["event_id"])) == ("e", 36)


def test_a_bad_line_of_ingest_is_named():
    done = run("ingest", stdin=b'{"kind": "note"}\n[1]\n')

    assert (done.returncode, done.stderr[:24]) == (2, b"memory_manager: line 2: ")


def test_slips_are_corrected_with_a_note(bridge):
    bridge.scripts = [{"name": "n"}]

    done = run("Store", "--no_wait", "--group=g", "- an item")

    assert (done.returncode, done.stdout) == (0, b"n\n")
    assert done.stderr.count(b"memory_manager: note: ") == 4
    assert bridge.asked[0]["params"]["content"] == "- an item"


def test_a_hook_prints_the_reply(bridge):
    bridge.scripts = [{"outcome": "injected", "context": "[Memory Context]"}]

    done = run("hook", "chat-start", stdin=b'\xef\xbb\xbf{"query": "x", "message_id": "m"}')
    params = bridge.asked[0]["params"]

    assert json.loads(done.stdout) == {"outcome": "injected", "context": "[Memory Context]"}
    assert (done.returncode, done.stderr) == (0, b"")
    assert (params["name"], params["payload"]) == ("chat:start", {"query": "x", "message_id": "m"})
    assert len(params["event_id"]) == 36


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        ([], b"{}"),
        (["nope"], b"{}"),
        (["error", "more"], b"{}"),
        (["error", "--what"], b"{}"),
        (["error"], b""),
        (["error"], b"{"),
        (["error"], b"[]"),
        (["error"], b"NaN"),
        (["error"], b"\xff\xfe"),
        (["error"], b"[" * 100_000),
        (["error"], b"x" * (8 * 1024 * 1024 + 1)),
    ],
    ids=range(11),
)
def test_a_hook_is_never_an_error(words, stdin):
    done = run("hook", *words, stdin=stdin)

    assert done.returncode == 0
    assert json.loads(done.stdout)["outcome"] == "invalid"
    assert done.stderr.startswith(b"Memory plugin error: ")


def test_a_hook_that_the_bridge_refuses_is_a_reply(bridge):
    bridge.scripts = [
        {"code": -32602, "message": "path: missing"},
        {"code": -32603, "message": "bug"},
    ]

    invalid, failed = (run("hook", "file:write", stdin=b"{}") for _ in range(2))

    assert json.loads(invalid.stdout) == {"outcome": "invalid", "note": "path: missing"}
    assert json.loads(failed.stdout) == {"outcome": "failed", "note": "bug"}
    assert (invalid.returncode, failed.returncode) == (0, 0)


def test_a_disabled_hook_asks_nobody():
    done = run("hook", "chat:start", env={"OPENCODE_MEM_DISABLED": "1"})

    assert (json.loads(done.stdout), done.returncode) == ({"outcome": "disabled"}, 0)


def test_a_hook_does_not_wait_for_a_stdin_that_stays_open(bridge):
    bridge.scripts = [{"outcome": "accepted"}]
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "hook", "error"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OPENCODE_MEM_HOOK_DEADLINE_MS": "2000"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"message": "x"}')
        process.stdin.flush()

        assert json.loads(process.stdout.read()) == {"outcome": "accepted"}


def test_a_reader_that_goes_away_is_no_failure(bridge):
    bridge.scripts = [{"text": "x" * 1_000_000, "hits": []}]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "query", "x"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_behind_stdout_is_a_failure(bridge):
    bridge.scripts = [{"text": "x", "hits": []}]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "query", "x"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith(b"memory_manager: stdout: ")


def test_a_closed_stdout_is_not_the_bridge_s_socket(bridge):
    bridge.scripts = [{"text": "x", "hits": []}]
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$1" query x >&-', sys.executable, str(SCRIPT)],
        stderr=subprocess.PIPE,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_folder_that_others_may_write_to_is_not_trusted(bridge):
    bridge.path.parent.chmod(0o777)
    try:
        done = run("query", "x")
    finally:
        bridge.path.parent.chmod(0o700)

    assert done.returncode == 1
    assert b"OPENCODE_MEM_SOCKET" in done.stderr
    assert bridge.asked == []


@pytest.mark.parametrize(
    "env",
    [
        {"OPENCODE_MEM_SOCKET": "here.sock"},
        {"OPENCODE_MEM_SOCKET": "/" + "x" * 200},
        {"OPENCODE_MEM_DATA_DIR": "here"},
    ],
    ids=["relative", "long", "data"],
)
def test_an_address_of_no_use_is_refused(env):
    done = run("query", "x", env=env)

    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert next(iter(env)).encode() in done.stderr


def test_a_deadline_that_is_no_number_is_noted(bridge):
    bridge.scripts = [{"outcome": "accepted"}]

    done = run(
        "hook", "error", stdin=b'{"message": "x"}', env={"OPENCODE_MEM_HOOK_DEADLINE_MS": "soon"}
    )

    assert json.loads(done.stdout) == {"outcome": "accepted"}
    assert b"OPENCODE_MEM_HOOK_DEADLINE_MS=soon" in done.stderr
