"""The thin caller: one line to the resident bridge, one line back, within a deadline.

Imported at every call, so built-in modules only (a test lists what may be loaded). `_socket` is
the part of `socket` that is written in C; the rest of it would cost 2 ms.
"""

import _socket
import os
import stat
import time

from memory_manager import contract
from memory_manager.errors import Rejected, Unavailable

#: Bytes read at once.
_CHUNK = 256 * 1024

#: Seconds until a bridge that has no room for another connection is tried again.
_CROWDED = 0.005


class Absent(Unavailable):
    """No bridge listens: it may be started."""


class Lost(Unavailable):
    """The connection ended before the answer: the request may or may not have been carried out."""


def ask(path: str, line: bytes, until: float) -> bytes:
    """The answer of the bridge at the socket `path` to one request line.

    A connection lost in mid-call is tried once more with the same line: the ids in it are the
    same, so what was stored the first time is not stored again.

    Args:
        path: the bridge's socket.
        line: the request, its line feed included.
        until: the monotonic time at which to give up.

    Raises:
        Absent: nobody listens.
        Rejected: the socket's folder is not ours alone, or the bridge may not be talked to.
        Unavailable: no answer in time, or the connection was lost twice.
    """
    check_folder(path)
    try:
        return _exchange(path, line, until)
    except Lost:
        return _exchange(path, line, until)


def check_folder(path: str) -> None:
    """Refuses a socket that somebody else could have put there.

    Raises:
        Absent: there is no such folder, so nobody listens in it.
        Rejected: it is not ours, or others may write to it.
    """
    folder = os.path.dirname(path)  # noqa: PTH120 - pathlib costs 10 ms
    try:
        status = os.stat(folder)  # noqa: PTH116 - as above
    except (FileNotFoundError, NotADirectoryError):
        raise Absent(f"no bridge listens at {path}") from None
    except OSError as error:
        raise Rejected(f"the socket's folder {folder} can't be used: {error.strerror}") from error
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Rejected(
            f"the socket's folder {folder} is not this user's alone (mode "
            f"{stat.S_IMODE(status.st_mode):o}, owner {status.st_uid}); set OPENCODE_MEM_SOCKET"
        )


def _exchange(path: str, line: bytes, until: float) -> bytes:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        _connect(connection, path, until)
        try:
            connection.settimeout(_left(until))
            connection.sendall(line)
        except TimeoutError:
            raise Unavailable("the bridge does not read; try again") from None
        except OSError:
            # It hung up; it may have said why before that.
            pass
        return _line_from(connection, until)
    finally:
        connection.close()


def _connect(connection: _socket.socket, path: str, until: float) -> None:
    while True:
        try:
            connection.settimeout(_left(until))
            connection.connect(os.fsencode(path))
        except (FileNotFoundError, ConnectionRefusedError):
            # Also the file that a killed bridge left behind: the next one replaces it.
            raise Absent(f"no bridge listens at {path}") from None
        except BlockingIOError:
            time.sleep(_CROWDED)
        except TimeoutError:
            raise Unavailable(f"the bridge at {path} takes no connection; try again") from None
        except OSError as error:
            raise Rejected(f"the bridge's socket {path} can't be used: {error.strerror}") from error
        else:
            return


def _line_from(connection: _socket.socket, until: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        try:
            connection.settimeout(_left(until))
            chunk = connection.recv(_CHUNK)
        except TimeoutError:
            raise Unavailable("the bridge did not answer in time; try again") from None
        except OSError as error:
            raise Lost(f"the bridge hung up: {error.strerror}") from error
        if not chunk:
            raise Lost("the bridge hung up before it answered")
        end = chunk.find(b"\n")
        if end >= 0:
            chunks.append(chunk[:end])
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        if size > contract.LINE_LIMIT:
            raise Rejected(f"the bridge's answer is longer than {contract.LINE_LIMIT} bytes")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
