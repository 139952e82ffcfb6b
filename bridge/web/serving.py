"""uvicorn in the bridge's own loop: signals left alone, quiet, bounded, ended within a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, cast, override

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from bridge.web.answers import Refusal, encoded
from bridge.web.guard import with_headers

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from bridge.web.app import Web

#: Connections at once; a browser has six, a streaming plugin one.
MOST_CONNECTIONS = 128
#: Seconds that a request's headers may take to come, that an idle connection stays open, and that
#: a client may leave what was sent to it unread.
_HEADERS_S, _KEEP_ALIVE_S, _UNREAD_S = 10.0, 75, 60.0
#: Seconds that an answer's Date may be behind.
_DATE_S = 1.0
#: Share of the deadline for what is under way; the rest is for hanging up on it.
_GRACE = 0.7


class WebServer:
    """One app at one port, from `start` to `close`."""

    def __init__(self, web: Web) -> None:
        self._web = web
        # What goes wrong inside is logged where it happens, with its traceback.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._server = _Server(
            uvicorn.Config(
                cast("Any", web),
                http=_Connection,
                ws="none",
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self, sockets: list[socket.socket]) -> None:
        """Answer at these sockets, which are the server's from now on."""
        self._serving = asyncio.create_task(self._server.serve(sockets), name="http")
        began = asyncio.create_task(self._server.began.wait())
        await asyncio.wait({began, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        began.cancel()
        if self._serving.done():
            self._serving.result()

    async def close(self, deadline: float) -> None:
        """Take no more, end the streams, let requests under way finish; all within `deadline` seconds."""
        if self._serving is None:
            return
        self._web.streams.close()
        self._server.end()
        await asyncio.wait({self._serving}, timeout=deadline * _GRACE)
        if not self._serving.done():
            for connection in list(self._server.server_state.connections):
                cast("_Connection", connection).transport.abort()
            # Who was writing to them ends by itself; who waits for a part of the bridge does not.
            await asyncio.wait({self._serving}, timeout=deadline * (1 - _GRACE) / 2)
            for task in list(self._server.server_state.tasks):
                task.cancel()
            await asyncio.wait({self._serving}, timeout=deadline * (1 - _GRACE) / 2)
        if not self._serving.done():
            self._serving.cancel()
            await asyncio.wait({self._serving})


class _Server(uvicorn.Server):
    """A server among others in its process, that wakes once a second and ends when it is told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.began = asyncio.Event()
        self._told = asyncio.Event()

    def end(self) -> None:
        """Take no more, finish what is under way."""
        self.should_exit = True
        self._told.set()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The bridge has its own way with signals."""
        yield

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.began.set()

    @override
    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # the Date header
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_S):
                    await self._told.wait()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks)
        # Connections, too, that are being closed: what was answered is on its way.
        for server in self.servers:
            await server.wait_closed()


class _Connection(H11Protocol):
    """One client, which may be slow or broken, but not for long and not with many others."""

    _refused = False
    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        if len(self.connections) >= MOST_CONNECTIONS:
            self._refused = True
            refusal = Refusal(503, f"{MOST_CONNECTIONS} connections are open; close some")
            transport.write(_whole(refusal, b"Service Unavailable"))
            transport.close()
            return
        super().connection_made(transport)
        self._expect()

    @override
    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        self._expect()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._waiting, self._unread):
            if timer is not None:
                timer.cancel()
        if not self._refused:
            super().connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(_UNREAD_S, self.transport.abort)

    @override
    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    @override
    def send_400_response(self, msg: str) -> None:
        # In the middle of an answer nothing can be said any more.
        if not self._under_way:
            refusal = Refusal(400, "this is not HTTP, or its headers are larger than 16 KiB")
            self.transport.write(_whole(refusal, b"Bad Request"))
        self.transport.close()

    @property
    def _first(self) -> bool:
        return cast("RequestResponseCycle | None", self.cycle) is None

    @property
    def _under_way(self) -> bool:
        return not self._first and not self.cycle.response_complete

    def _expect(self) -> None:
        """Between two requests a connection may idle; a request that has begun has to come."""
        if not self._under_way and (self._first or self.conn.trailing_data[0]):
            if self._waiting is None:
                self._waiting = self.loop.call_later(_HEADERS_S, self.transport.abort)
        elif self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def _whole(refusal: Refusal, phrase: bytes) -> bytes:
    """An answer that is made without the app."""
    body = encoded(refusal.body())
    headers = with_headers(
        [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *refusal.headers,
        ]
    )
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (refusal.status, phrase, lines, body)
