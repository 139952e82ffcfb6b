"""The Unix socket: JSON-RPC 2.0, one message a line, many clients, pipelined.

A reader that floods is slowed by its own connection: above a number of requests in flight its
socket is not read, and nothing grows. Answers leave in the order they are ready.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast, override

from bridge.bulky import bulky, in_pieces
from memory_manager import contract
from memory_manager.errors import Unavailable
from memory_manager.model import Json

if TYPE_CHECKING:
    from pathlib import Path

#: A method's answer: `(result, None)` or `(None, error object)`.
type Dispatch = Callable[[str, dict[str, Json]], Awaitable[tuple[Json, dict[str, Json] | None]]]

PARSE_ERROR, INVALID_REQUEST = -32700, -32600
#: Connections that may wait to be taken.
_BACKLOG = 512
#: Requests of one connection that may be under way before its socket is left unread.
_MOST_IN_FLIGHT = 64

_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(separators=(",", ":")).encode


def _in_pieces(answer: dict[str, Json]) -> bytes:
    told = ((name, _encode(value)) for name, value in answer.items() if name != "result")
    head = "".join(f'"{name}":{value},' for name, value in told)
    return f'{{{head}"result":{in_pieces(answer["result"], _encode)}}}\n'.encode()


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: SocketServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._scanned = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self._writable = True

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.joined(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        # What was asked is still carried out: a write must not depend on who waits for its answer.
        self._transport = None
        self._server.left(self)

    @override
    def pause_writing(self) -> None:
        self._writable = False
        self._balance()

    @override
    def resume_writing(self) -> None:
        self._writable = True
        self._balance()

    @override
    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while (end := buffer.find(b"\n", self._scanned)) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            self._scanned = 0
            if line.strip():
                self._request(line)
        self._scanned = len(buffer)
        if self._scanned >= contract.LINE_LIMIT:
            buffer.clear()
            self._scanned = 0
            self._refuse(INVALID_REQUEST, f"a line is longer than {contract.LINE_LIMIT} bytes")
            if self._transport is not None:
                self._transport.close()

    def close(self) -> None:
        """End the connection once its answers are written."""
        if self._transport is not None:
            self._transport.close()

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The requests under way."""
        return self._tasks

    def _request(self, line: bytes) -> None:
        self._server.touched()
        try:
            message = _decode(line.decode())
        except (ValueError, RecursionError):
            self._refuse(PARSE_ERROR, "the line is not JSON")
            return
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            self._refuse(INVALID_REQUEST, "a request is an object with a method")
            return
        params = message.get("params", {})
        if not isinstance(params, dict):
            self._refuse(INVALID_REQUEST, "params is an object", message.get("id"))
            return
        task = asyncio.Task(
            self._answer(message["method"], params, message.get("id")),
            loop=self._server.loop,
            eager_start=True,
        )
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._finished)
            self._balance()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._balance()

    async def _answer(self, method: str, params: dict[str, Json], id_: Json) -> None:
        result, error = await self._server.dispatch(method, params)
        if id_ is None:
            return
        if error is None:
            answer: dict[str, Json] = {"jsonrpc": "2.0", "id": id_, "result": result}
            if bulky(result):
                self._send(await asyncio.to_thread(_in_pieces, answer))
            else:
                self._write(answer)
        else:
            self._write({"jsonrpc": "2.0", "id": id_, "error": error})

    def _refuse(self, code: int, message: str, id_: Json = None) -> None:
        self._write({"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": message}})

    def _write(self, message: dict[str, Json]) -> None:
        if self._transport is not None:
            self._send(_encode(message).encode() + b"\n")

    def _send(self, line: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(line)

    def _balance(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        wanted = self._writable and len(self._tasks) < _MOST_IN_FLIGHT
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()


class SocketServer:
    """Listens, counts its clients, and ends in order."""

    def __init__(self, path: Path, dispatch: Dispatch, touched: Callable[[], None]) -> None:
        self.path = path
        self.dispatch = dispatch
        self.touched = touched
        self.loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._inode = 0

    @property
    def clients(self) -> int:
        """Connections that are open."""
        return len(self._connections)

    def joined(self, connection: Connection) -> None:
        """A client came."""
        self._connections.add(connection)
        self.touched()

    def left(self, connection: Connection) -> None:
        """A client went."""
        self._connections.discard(connection)
        self.touched()

    async def listen(self) -> None:
        """Open the socket, mode 0600 in a folder of ours alone.

        The caller holds the bridge's lock, so a socket that is there is a dead bridge's.

        Raises:
            Unavailable: the folder is not ours alone, or the path is too long.
        """
        own_folder(self.path.parent)
        if len(os.fsencode(self.path)) > contract.SOCKET_PATH_LIMIT:
            raise Unavailable(
                f"the socket path {self.path} is longer than {contract.SOCKET_PATH_LIMIT} bytes; "
                "set OPENCODE_MEM_SOCKET to a shorter one"
            )
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            # Listening before it has its name: whoever finds the socket is answered.
            nameless = self.path.with_name(f".{os.getpid()}")
            nameless.unlink(missing_ok=True)
            listener.bind(str(nameless))
            listener.listen(_BACKLOG)
            nameless.replace(self.path)
        except OSError as error:
            listener.close()
            raise Unavailable(f"the socket {self.path} can't be opened: {error}") from error
        finally:
            os.umask(mask)
        self._inode = self.path.stat().st_ino
        self._server = await self.loop.create_unix_server(
            lambda: Connection(self), sock=listener, backlog=_BACKLOG
        )

    async def close(self, deadline: float) -> None:
        """Stop listening, let requests under way finish within `deadline` seconds, hang up."""
        if self._server is not None:
            self._server.close()
        with_tasks = [task for connection in self._connections for task in connection.tasks]
        under_way = [task for task in with_tasks if task is not asyncio.current_task()]
        if under_way:
            await asyncio.wait(under_way, timeout=deadline)
        for connection in list(self._connections):
            connection.close()
        # A newer bridge may own the path by now: only our own socket is removed.
        try:
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        except FileNotFoundError:
            pass


def own_folder(folder: Path) -> None:
    """Make `folder` (0700) or check that it is ours alone.

    Raises:
        Unavailable: it belongs to somebody else, others may write to it, or it can't be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise Unavailable(f"the folder {folder} can't be made: {error}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise Unavailable(f"{folder} is not a folder of this user; set OPENCODE_MEM_SOCKET")
    if status.st_mode & 0o077:
        folder.chmod(0o700)


def sockets_folder(bridge_socket: Path) -> Path:
    """Where the embedded engines' sockets stand: beside the bridge's, in a folder of its name."""
    folder = bridge_socket.with_suffix("")
    return folder if folder != bridge_socket else folder.with_name(folder.name + ".d")
