"""Starts OpenCode once, in a project and with data of its own, and sees whether the plugin speaks."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING
from urllib.parse import quote

from bridge.install.listening import Listener
from memory_manager import contract
from memory_manager.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.install.entry import Entry
    from memory_manager.model import Json

#: Seconds that OpenCode may take to listen, its plugin to speak, and our own command to start.
PATIENCE_S, ENSURE_S = 20.0, 20.0
_POLL_S, _ANSWER_S, _END_S = 0.1, 1.0, 3.0
#: What is asked of the plugin: that it comes, and that it tells of the session that we make.
_WANTED = frozenset({"hello", "event"})
#: What must not reach this OpenCode: other data, another bridge, what it should not do now.
_AWAY = (
    "OPENCODE_DB", "OPENCODE_SERVER_USERNAME", "OPENCODE_MEM_URL", "OPENCODE_MEM_DISABLED",
    "OPENCODE_CONFIG_CONTENT", "OPENCODE_CLIENT",
)  # fmt: skip
_TEMP_LIMIT = 60
_SERVE = ("serve", "--hostname", "127.0.0.1", "--print-logs")


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. `ok` None: it could not be tried."""

    ok: bool | None
    said: str
    #: Seconds until OpenCode answered for its project.
    seconds: float = 0.0
    #: Details for a person who mends it.
    log: tuple[str, ...] = ()

    def json(self) -> dict[str, Json]:
        """As programs get it."""
        return {"ok": self.ok, "said": self.said, "log": list(self.log)}


def opencode_binary(environment: Mapping[str, str]) -> str | None:
    """OpenCode's program: `OPENCODE_BIN`, else the one on PATH."""
    named = environment.get("OPENCODE_BIN")
    return which(named or "opencode", path=environment.get("PATH"))


def ensure(entry: Entry, environment: Mapping[str, str]) -> Trial:
    """What the plugin does first: the pinned interpreter starts a bridge by the pinned script."""
    words = [entry.python, entry.script, "ensure"]
    began = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and script
            words,
            capture_output=True,
            env=dict(environment),
            cwd="/",
            timeout=ENSURE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Trial(ok=False, said=f"no bridge could be started: {contract.one_line(str(error))}")
    took = time.monotonic() - began
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return Trial(ok=False, said=f"no bridge could be started: {contract.one_line(why)}")
    return Trial(ok=True, said=f"the bridge answers (after {took:.1f} s)", seconds=took)


def start_once(
    binary: str,
    environment: Mapping[str, str],
    extra: Path | None = None,
    patience: float = PATIENCE_S,
) -> Trial:
    """Start OpenCode, make a session, and listen for the plugin.

    Args:
        binary: OpenCode's program.
        environment: the person's: their configuration is what is tried.
        extra: a configuration that is read besides, for one that is a project's own.
        patience: seconds until OpenCode listens, and as many for the plugin.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(_short_folder()))
        listener = stack.enter_context(Listener(folder))
        server = _Server([binary, *_SERVE], folder, secrets.token_hex(16), _free_port())
        began = time.monotonic()
        try:
            server.start(_environment(environment, server, extra))
            stack.callback(server.end)
            server.wait(began + patience)
        except Unavailable as fault:
            return Trial(None, f"not tried: {fault}", log=_told(server.log))
        until = time.monotonic() + patience
        try:
            server.ask("GET", "/config", until)
            took = time.monotonic() - began
            server.ask("POST", "/session", until, b"{}")
        except Unavailable as fault:
            return Trial(ok=False, said=str(fault), log=_told(server.log))
        heard = listener.heard.wait(_WANTED, until - time.monotonic())
        calls = listener.heard.calls
        if heard:
            version = contract.one_line(str(calls["hello"].get("plugin")), 40)
            said = (
                f"OpenCode started in {took:.1f} s; the plugin {version} came and told of a session"
            )
            return Trial(ok=True, said=said, seconds=took)
        missing = "did not come" if "hello" not in calls else "came, and told nothing"
        said = f"OpenCode started, and the plugin {missing} within {patience:.0f} s"
        return Trial(ok=False, said=said, seconds=took, log=_told(server.log))


@dataclass(slots=True)
class _Server:
    """`opencode serve` in a project of its own in `folder`."""

    words: list[str]
    folder: Path
    password: str
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self, environment: Mapping[str, str]) -> None:
        self.project.mkdir()
        with self.log.open("wb") as out:
            try:
                self.process = subprocess.Popen(  # noqa: S603 - OpenCode itself
                    [*self.words, "--port", str(self.port)],
                    cwd=self.project,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            except OSError as error:
                raise Unavailable(f"{self.words[0]} can't be started: {error.strerror}") from error

    def wait(self, until: float) -> None:
        """Until it answers. Whole requests only: OpenCode waits for the rest of a bare connection."""
        while True:
            try:
                self.ask("GET", "/global/health", min(until, time.monotonic() + _ANSWER_S))
            except Unavailable:
                if self._ended() is not None or time.monotonic() >= until:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def ask(self, method: str, path: str, until: float, body: bytes | None = None) -> None:
        """One request; its answer does not matter."""
        if (status := self._ended()) is not None:
            raise Unavailable(f"OpenCode ended at once, with status {status}")
        key = base64.b64encode(f"opencode:{self.password}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}?directory={quote(str(self.project))}",
            data=body,
            method=method,
            headers={"Authorization": f"Basic {key}", "Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=max(_POLL_S, until - time.monotonic())) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            raise Unavailable(f"OpenCode answered {error.code} to {path}") from error
        except (OSError, HTTPException) as error:
            raise Unavailable("OpenCode did not answer in time") from error

    def end(self) -> None:
        """End it and what it started: they are a process group of their own."""
        if self.process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_S)

    def _ended(self) -> int | None:
        return None if self.process is None else self.process.poll()


def _environment(
    environment: Mapping[str, str], server: _Server, extra: Path | None
) -> dict[str, str]:
    folder = server.folder
    ours = {name: value for name, value in environment.items() if name not in _AWAY}
    ours |= {
        "PWD": str(server.project),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_STATE_HOME": str(folder / "state"),
        "OPENCODE_SERVER_PASSWORD": server.password,
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_MEM_SOCKET": str(folder / "s"),
        # A folder in which nothing of a real bridge is.
        "OPENCODE_MEM_DATA_DIR": str(folder / "memory"),
    }
    if extra is not None:
        ours["OPENCODE_CONFIG"] = str(extra)
    return ours


@contextmanager
def _short_folder() -> Iterator[str]:
    """A folder for us alone whose path leaves room for a socket's name."""
    base = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(
        prefix="ocm-",
        dir=base if len(base) <= _TEMP_LIMIT else "/tmp",  # noqa: S108 - a new folder in it
        ignore_cleanup_errors=True,
    ) as folder:
        yield folder


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _told(log: Path) -> tuple[str, ...]:
    """What OpenCode said that has to do with plugins or with trouble."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    marks = ("plugin", "level=ERROR", "level=WARN", "graphiti", "dependency")
    return tuple(contract.one_line(line, 300) for line in lines if any(m in line for m in marks))[
        -8:
    ]
