"""What the fast path loads: every module costs each hook and each query its time."""

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

#: Ours, and the parts of the standard library that are written in C.
ALLOWED = {
    "memory_manager",
    "memory_manager.arguments",
    "memory_manager.cli",
    "memory_manager.calling",
    "memory_manager.client",
    "memory_manager.contract",
    "memory_manager.errors",
    "memory_manager.terminal",
    "memory_manager.wire",
    "_json",
    "_socket",
    "binascii",
    "select",
}

PROBE = """
import sys
before = set(sys.modules)
sys.path.insert(0, {root!r})
from memory_manager import cli
status = cli.run(sys.argv[1:])
print(status, *sorted(set(sys.modules) - before), file=sys.stderr)
"""


@pytest.fixture
def bridge(own_folders):
    """Answers one request on a socket of this test."""
    path = own_folders / "run" / "b.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def answer():
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            method = json.loads(stream.readline())["method"]
            result = {"outcome": "empty"} if method == "hook" else {"text": "- é", "hits": [1.5]}
            stream.write(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode() + b"\n")

    thread = threading.Thread(target=answer)
    thread.start()
    yield path
    thread.join(10)
    listener.close()


@pytest.mark.parametrize(
    "words",
    [["query", "what now?"], ["query", "--json", "--limit", "3", "x"], ["hook", "chat:start"]],
    ids=["query", "json", "hook"],
)
def test_the_fast_path_loads_nothing_heavy(bridge, words):
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE.format(root=str(ROOT)), *words],
        input=b'{"query": "x"}',
        capture_output=True,
        env=os.environ | {"OPENCODE_MEM_SOCKET": str(bridge), "COVERAGE_PROCESS_START": ""},
        check=True,
        timeout=30,
    )
    status, *modules = done.stderr.decode().split()

    assert status == "0"
    measured = {name for name in modules if name.split(".")[0] in {"coverage", "_distutils_hack"}}
    assert set(modules) - measured <= ALLOWED
