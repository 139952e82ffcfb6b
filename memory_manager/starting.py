"""What the thin caller does when no bridge runs: start one, or write to the spool without one.

Imported only then: `subprocess` alone costs as much as the rest of the command.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from memory_manager import client, contract
from memory_manager.errors import InvalidRequest, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Libraries without which neither the bridge nor the way into the spool works.
_NEEDED = ("pydantic_settings", "re2", "valkey")

#: Seconds between two looks whether the bridge answers yet.
_LOOK = 0.01

#: Seconds until a bridge is started again that found another one still there.
_AGAIN = 0.1

#: Bytes of the start-up log above which it begins anew (one old one is kept).
_LOG_LIMIT = 1024 * 1024

#: The folder that holds our packages.
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - as in client.py


def interpreter() -> str:
    """The Python that has our dependencies: this one, else the one in `.venv` beside us.

    Raises:
        Unavailable: neither has; says which one has not, and what to run.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if not missing and sys.executable:
        return sys.executable
    beside = f"{ROOT}/.venv/bin/python"
    if os.access(beside, os.X_OK):
        return beside
    here = sys.executable or "this Python"
    mend = (
        f"{ROOT}/dev setup"
        if os.access(f"{ROOT}/dev", os.X_OK)
        else f"{here} -m pip install opencode-graph-memory"
    )
    lack = ", ".join(missing) or "an executable of its own"
    raise Unavailable(f"{here} has no {lack}; run: {mend}")


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """What our processes get: everything, and where our packages are.

    Which project it is belongs to a call and not to the bridge that outlives it.
    """
    ours = {name: value for name, value in env.items() if name != "OPENCODE_MEM_PROJECT"}
    path = ours.get("PYTHONPATH", "")
    ours["PYTHONPATH"] = f"{ROOT}{os.pathsep}{path}" if path else ROOT
    return ours


def serve() -> int:
    """Become the bridge, in the foreground. Returns only when that failed."""
    python = interpreter()
    env = environment(os.environ)
    if "OPENCODE_MEM_PROJECT" in os.environ:
        env["OPENCODE_MEM_PROJECT"] = os.environ["OPENCODE_MEM_PROJECT"]
    os.execve(python, [python, "-P", "-m", "bridge", "serve"], env)  # noqa: S606 - no shell


def ask(data: str, path: str, line: bytes, until: float, start_until: float) -> bytes:
    """The bridge's answer, after starting one if no other caller is at it already.

    Args:
        data: the data folder.
        path: the bridge's socket.
        line: the request.
        until: the monotonic time at which to give up the answer.
        start_until: the one at which to give up the start.

    Raises:
        Unavailable: it did not start, or did not answer in time.
        Rejected: as `client.ask`.
    """
    child: subprocess.Popen[bytes] | None = None
    turn: int | None = None
    log, offset = f"{data}/bridge.log", 0
    try:
        while True:
            try:
                return client.ask(path, line, until)
            except client.Absent:
                pass
            ended = None if child is None else child.poll()
            if ended:
                raise Unavailable(f"the bridge did not start: {_said(log, offset)}; see {log}")
            if ended == contract.DONE:
                # It left to another one, which may have been about to end: so try again.
                child = None
                time.sleep(_AGAIN)
            if time.monotonic() >= start_until:
                raise Unavailable(f"the bridge is not up yet; see {log}")
            if turn is None:
                # Look once more before starting one: whoever had the turn may just have done it.
                turn = _turn(data)
                if turn is not None:
                    continue
            elif child is None:
                python = interpreter()
                offset = _make_room(log)
                child = _spawn(python, log)
            time.sleep(_LOOK)
    finally:
        if turn is not None:
            os.close(turn)


def append(method: str, params: dict[str, object], timeout: float) -> object:
    """Carry out a write without a bridge; gives what the bridge would have answered.

    Raises:
        InvalidRequest: the payload is malformed.
        Rejected: the spool refuses.
        Unavailable: it could not be done in time, or not by this Python.
    """
    command = [interpreter(), "-P", "-m", "memory_manager", "append"]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command,
            input=contract.request_line(method, params),
            capture_output=True,
            timeout=timeout,
            cwd="/",
            env=environment(os.environ),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"the spool took longer than {timeout:.1f} s; try again") from None
    except OSError as error:
        raise Unavailable(f"{command[0]} can't be run: {error.strerror}") from error
    if done.returncode == contract.DONE:
        return contract.reply_of(done.stdout)[0]
    last = contract.one_line(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    why = last.removeprefix("memory_manager: ") or f"append ended with {done.returncode}"
    if done.returncode == contract.MALFORMED:
        raise InvalidRequest(why)
    if done.returncode == contract.FAILED:
        raise Rejected(why)
    raise Unavailable(why)


def _turn(data: str) -> int | None:
    """A lock that says it is this caller's turn to start the bridge; None: another's."""
    try:
        os.makedirs(data, mode=0o700, exist_ok=True)  # noqa: PTH103 - strings all the way
        lock = os.open(f"{data}/bridge.start", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(
            f"the data folder {data} can't be used: {error.strerror}; set OPENCODE_MEM_DATA_DIR"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _make_room(log: str) -> int:
    """The size of the start-up log, which begins anew when it has grown too long."""
    try:
        size = os.stat(log).st_size  # noqa: PTH116 - as above
    except OSError:
        return 0
    if size > _LOG_LIMIT:
        os.replace(log, f"{log}.1")  # noqa: PTH105 - as above
        return 0
    return size


def _spawn(python: str, log: str) -> subprocess.Popen[bytes]:
    """A bridge of its own session, which neither a closed terminal nor our end takes along."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            [python, "-P", "-m", "bridge", "serve"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            env=environment(os.environ),
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"{python} can't be run: {error.strerror}") from error
    finally:
        os.close(out)


def _said(log: str, offset: int) -> str:
    """The last line that the failed bridge wrote."""
    try:
        with open(log, "rb") as file:  # noqa: PTH123 - as above
            file.seek(offset)
            text = file.read(_LOG_LIMIT).decode(errors="replace")
    except OSError:
        return "it left no log"
    return contract.one_line(text.strip().rpartition("\n")[2]) or "it said nothing"
