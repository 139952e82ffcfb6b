"""The embedded servers, FalkorDB and Valkey, as supervised children of ours.

What an engine is stands in an `EngineSpec`; `Engine` starts it, keeps it alive and stops it. An
engine never outlives its owner (`launch.py`), and a data folder never has two.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import random
import signal
import stat
import sys
import threading
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from memory_manager import contract
from memory_manager.engine_spec import EngineSpec, environment
from memory_manager.errors import Corrupt, InvalidRequest, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

#: Longest wait for the first answer of a server that is not loading data, in seconds.
_START_S = 30.0
#: Longest wait while it says LOADING: 84 s were measured for 40,000 vectors; ten times the margin.
_LOADING_S = 900.0
_POLL_S = 0.01
#: A server that lived this long has recovered: its next failure is a first one again, in seconds.
_STEADY_S = 60.0
#: The engine's own log is put aside at a start once it is larger than this, in bytes.
_LOG_BYTES = 1024 * 1024


class EngineState(StrEnum):
    """Where an engine is in its life."""

    #: Not started, or stopped on request, or given up at the first start.
    STOPPED = "stopped"
    #: Launched; it does not answer yet.
    STARTING = "starting"
    #: It answered.
    READY = "ready"
    #: It died; the supervisor starts it again after a pause.
    DOWN = "down"


def pause(failures: int, chance: float) -> float:
    """Seconds to wait before the next start: 0.1 s doubling to 30 s, of which half is chance.

    Args:
        failures: deaths in a row, this one included.
        chance: from 0 to 1; spreads restarts that have one cause.
    """
    full = min(30.0, 0.1 * 2.0 ** min(failures - 1, 16))
    return full * (0.5 + 0.5 * chance)


class Engine:
    """One supervised server. Use it from the main thread's event loop only.

    Linux kills a leashed child when the *thread* that started it ends, hence the main thread.
    """

    def __init__(
        self,
        spec: EngineSpec,
        *,
        on_state: Callable[[str, EngineState], None] | None = None,
        leash: Literal["signal", "guard"] | None = None,
    ) -> None:
        """Nothing happens yet.

        Args:
            spec: what to run.
            on_state: told (name, state) at every change; it must not raise or block.
            leash: how the child is tied to us (default: what the platform has).
        """
        self.spec = spec
        self._on_state = on_state
        self._leash = leash or ("signal" if sys.platform == "linux" else "guard")
        self._state = EngineState.STOPPED
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._lock: int | None = None
        self._pipe: int | None = None

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def pid(self) -> int | None:
        """The server's process, while there is one."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self, *, patience: float = 10.0) -> None:
        """Own the data folder, start the server, return when it answers PING.

        Args:
            patience: longest wait, in seconds, for another owner of the folder to be gone.

        Raises:
            Unavailable: someone else owns the folder, or the server does not come up.
            Corrupt: the server refuses its data files.
            InvalidRequest: the socket's path is longer than a Unix socket's can be.
        """
        if self._supervisor is not None:
            return
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("an engine is started from the main thread's event loop")
        if len(os.fsencode(self.spec.socket)) > contract.SOCKET_PATH_LIMIT:
            raise InvalidRequest(
                f"socket path of {self.spec.name} is longer than {contract.SOCKET_PATH_LIMIT} bytes:"
                f" {self.spec.socket}"
            )
        _private_folder(self.spec.data)
        _private_folder(self.spec.socket.parent)
        self._lock = await _own(self.spec.data / "engine.lock", patience)
        try:
            await self._launch()
        except BaseException:
            await self._end(0.0)
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name=f"engine {self.spec.name}")

    async def stop(self, *, deadline: float = 5.0) -> None:
        """End the server: SIGTERM, then SIGKILL after `deadline` seconds. Harmless when stopped."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None
        await self._end(deadline)

    async def _end(self, deadline: float) -> None:
        await self._reap(deadline)
        with contextlib.suppress(FileNotFoundError):
            self.spec.socket.unlink()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._become(EngineState.STOPPED)

    async def _reap(self, deadline: float) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM if deadline > 0 else signal.SIGKILL)
            try:
                await asyncio.wait_for(process.wait(), max(deadline, 0.001))
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    async def _launch(self) -> None:
        self._become(EngineState.STARTING)
        await self._reap(0.0)
        with contextlib.suppress(FileNotFoundError):
            self.spec.socket.unlink()  # the lock is ours: whoever made it is gone
        reader, self._pipe = os.pipe()
        log = _open_log(self.spec.data / "engine.log")
        lock = self._lock
        assert lock is not None  # noqa: S101 - start() took it
        try:
            launcher = Path(__file__).with_name("launch.py")
            leash = (self._leash, str(os.getpid()), str(reader))
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(launcher), *leash, *self.spec.argv,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.spec.data,
                env=environment(self.spec), pass_fds=(lock, reader), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)
            os.close(reader)
        await self._until_ready(self._process)
        self._become(EngineState.READY)

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        begun = time.monotonic()
        loading = False
        while process.returncode is None:
            answer = await _ping(self.spec.socket)
            if answer.startswith(b"+PONG"):
                return
            loading = loading or answer.startswith(b"-LOADING")
            if time.monotonic() - begun > (_LOADING_S if loading else _START_S):
                raise Unavailable(f"{self.spec.name} does not answer; see {self._log_path}")
            await asyncio.sleep(_POLL_S * 10 if loading else _POLL_S)
        said = _last_words(self._log_path)
        if b"Bad file format" in said:
            raise Corrupt(
                f"{self.spec.name} refuses its data in {self.spec.data}; see its log there"
            )
        reason = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise Unavailable(f"{self.spec.name} ended at its start: {reason or 'it said nothing'}")

    async def _supervise(self) -> None:
        failures = 0
        while True:
            process = self._process
            if process is not None:
                begun = time.monotonic()
                status = await process.wait()
                failures = 1 if time.monotonic() - begun > _STEADY_S else failures + 1
                _log.warning("%s ended with status %s", self.spec.name, status)
            self._become(EngineState.DOWN)
            await asyncio.sleep(pause(failures, random.random()))  # noqa: S311 - jitter, no secret
            try:
                await self._launch()
            except (Unavailable, Corrupt, OSError) as fault:
                failures += 1
                _log.warning("%s did not restart: %s", self.spec.name, fault)
                await self._reap(0.0)

    def _become(self, state: EngineState) -> None:
        if state is not self._state:
            self._state = state
            if self._on_state is not None:
                self._on_state(self.spec.name, state)

    @property
    def _log_path(self) -> Path:
        return self.spec.data / "engine.log"


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.stat()
    if about.st_uid != os.getuid():
        raise Unavailable(f"{folder} belongs to another user; name a folder of your own")
    if stat.S_IMODE(about.st_mode) & 0o077:
        folder.chmod(0o700)


async def _own(path: Path, patience: float) -> int:
    """Take the folder's lock. The server inherits the descriptor, so the lock lasts as it does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise Unavailable(
                        f"{path.parent} is in use by another bridge (or its server is still ending)"
                    ) from None
                await asyncio.sleep(_POLL_S)
            else:
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise


async def _ping(socket: Path) -> bytes:
    """The first line of the server's answer to PING; empty when there is none within a second."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(b"PING\r\n")
                return await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


def _open_log(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _last_words(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 4096))
        return log.read()
    return b""
