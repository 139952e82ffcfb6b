"""A bridge of its own in a temporary folder: for the demo, the benchmarks and the tests.

Nothing of the person's settings reaches it, and nothing of it is left afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import memory_manager
from memory_manager import contract
from memory_manager.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from memory_manager.model import Json

#: Variables that would point a sandbox at somebody's real servers, keys or data.
_FOREIGN = (
    "OPENCODE_", "FALKORDB_", "VALKEY_", "DD_", "DATADOG_", "CACHE_TTL", "SPOOL_URL", "EMBEDDER",
    "MEMORY_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_API", "GROQ_", "LLM_", "XDG_",
)  # fmt: skip

SCRIPT = Path(memory_manager.__file__).with_name("memory_manager.py")


class Line:
    """A kept-open connection to the bridge: one request, one answer, in turn."""

    def __init__(self, path: str, timeout: float = 30.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._rest = b""

    def send(self, line: bytes) -> bytes:
        """One line there, one line back."""
        self._socket.sendall(line)
        while b"\n" not in self._rest:
            chunk = self._socket.recv(1 << 18)
            if not chunk:
                raise Unavailable("the bridge hung up")
            self._rest += chunk
        answer, _, self._rest = self._rest.partition(b"\n")
        return answer

    def call(self, method: str, **params: Json) -> Json:
        """The result of a request; raises `Unavailable` with the bridge's words on an error."""
        answer = json.loads(self.send(contract.request_line(method, dict(params))))
        if "error" in answer:
            raise Unavailable(str(answer["error"]["message"]))
        result: Json = answer["result"]
        return result

    def hook(self, name: str, payload: Json, cwd: str = "") -> dict[str, Json]:
        """The reply to one hook call."""
        reply = self.call("hook", name=name, payload=payload, cwd=cwd, project=None)
        assert isinstance(reply, dict)  # noqa: S101 - the contract says so
        return reply

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(slots=True)
class Sandbox:
    """The folder, the environment and the bridge in it."""

    folder: Path
    environment: dict[str, str]
    log: str = ""
    _pids: list[int] = field(default_factory=list)

    @property
    def socket(self) -> str:
        """The bridge's socket."""
        return self.environment["OPENCODE_MEM_SOCKET"]

    def start(self, timeout: float = 60.0) -> dict[str, Json]:
        """Start the bridge by the product's own command; what `ensure` printed."""
        identity: dict[str, Json] = json.loads(self.command("ensure", timeout=timeout).stdout)
        pid = identity["pid"]
        if isinstance(pid, int):
            self._pids.append(pid)
        return identity

    def command(
        self, *arguments: str, stdin: str | None = None, cwd: str = "", timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run `memory_manager.py` as OpenCode would, by path."""
        return subprocess.run(
            [sys.executable, str(SCRIPT), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=self.environment,
            cwd=cwd or self.folder,
            timeout=timeout,
            check=False,
        )

    def line(self) -> Line:
        """A connection to the bridge."""
        return Line(self.socket)

    def until_live(self, timeout: float = 60.0) -> None:
        """Wait until engines and graph have come in behind the socket."""
        until = time.monotonic() + timeout
        while True:
            with self.line() as line:
                status = line.call("status")
            if isinstance(status, dict) and status["degradation"] == "live" and status["worker"]:
                return
            if time.monotonic() > until:
                raise Unavailable(f"the bridge is not live after {timeout:.0f} s: {status}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the bridge, in order if it listens, by its pid if it does not."""
        with contextlib.suppress(OSError, Unavailable), self.line() as line:
            line.call("stop")
        for pid in self._pids:
            until = time.monotonic() + 15
            while _alive(pid):
                if time.monotonic() > until:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)
        self._pids.clear()


@contextmanager
def sandbox(settings: Mapping[str, str] | None = None) -> Iterator[Sandbox]:
    """A fresh sandbox; ended and removed afterwards, whatever happens."""
    # Short, for a Unix socket's path holds 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="ogm-", dir="/tmp"))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)
    }
    home = folder / "home"
    home.mkdir()
    (folder / "run").mkdir(mode=0o700)
    environment |= {
        "HOME": str(home),
        "OPENCODE_MEM_DATA_DIR": str(folder / "data"),
        "OPENCODE_MEM_SOCKET": str(folder / "run" / "bridge.sock"),
        "PYTHONPATH": str(Path(memory_manager.__file__).parents[1]),
        **(settings or {}),
    }
    box = Sandbox(folder, environment)
    with _unwinding():
        try:
            yield box
        finally:
            box.stop()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _unwinding() -> Iterator[None]:
    """A SIGTERM ends us by way of everybody's `finally`, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def told(number: int, _frame: object) -> None:
        # Some send it twice, to us and to our group: the second must not cut the clearing up short.
        signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _alive(pid: int) -> bool:
    # A bridge that we started may be our own child and wait to be reaped.
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
