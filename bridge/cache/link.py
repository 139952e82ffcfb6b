"""The wire to Valkey: one connection, driven directly. With `valkey.py` the only importer of it.

The library's pool and client cost more than the server does, so its connection is driven
directly: one of them, used by one call at a time. Nearly all of a call's 0.1 ms is our own
processor time, so a second connection would gain nothing.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import libvalkey
from valkey.asyncio.connection import ConnectionPool, UnixDomainSocketConnection
from valkey.exceptions import ConnectionError as LostConnection
from valkey.exceptions import ResponseError, ValkeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TIMEOUT_S = 0.1

type Command = Sequence[bytes | str | int]
type Reply = Any  # bytes, int, None, list or ResponseError; the server may send anything

# UnicodeError: an error reply that is no text.
_FAULTS = (ValkeyError, OSError, UnicodeError)


class LinkDown(Exception):  # noqa: N818 - a state of the link, not a mistake
    """No (sensible, timely) answer; the connection was dropped. What was sent may have happened."""


class LinkBusy(LinkDown):
    """Others use the connection and it did not come free in time: says nothing of the server."""


class ValkeyLink:
    """One connection to one server, opened when needed, used by one exchange at a time."""

    def __init__(self, address: str, timeout: float = TIMEOUT_S) -> None:
        """Nothing is opened yet.

        Args:
            address: a URL (`redis://`, `rediss://`, `valkey://`, `valkeys://`, `unix://`) or the
                absolute path of a Unix socket.
            timeout: seconds to wait for a connection, and again for the answers.

        Raises:
            ValueError: the address cannot be used.
        """
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._connection = _connection(address)
        self._server = b""
        self._faults = 0
        self._closed = False

    async def exchange(self, commands: Callable[[bytes], Sequence[Command]]) -> list[Reply]:
        """Send commands in one go and wait for all replies.

        Args:
            commands: makes them, given the id of the server's present run (another one after each
                restart). May be asked twice: a connection that the server had closed is replaced.

        Raises:
            LinkDown: for whatever reason; error replies to single commands are returned instead.
            LinkBusy: its turn did not come.
        """
        faults = self._faults
        try:
            async with asyncio.timeout(self._timeout):
                await self._lock.acquire()
        except TimeoutError as fault:
            if self._faults != faults:  # what it waited for failed, and so would it have
                raise LinkDown("the call before it failed") from fault
            raise LinkBusy("too many at once") from fault
        try:
            reused = self._connection.is_connected
            async with asyncio.timeout(self._timeout * (1 if reused else 2)):
                try:
                    return await self._attempt(commands)
                except LostConnection:
                    if not reused:
                        raise
                return await self._attempt(commands)
        except _FAULTS as fault:
            self._faults += 1
            raise LinkDown(f"{type(fault).__name__}: {fault}") from fault
        finally:
            self._lock.release()

    async def close(self) -> None:
        """Waits for the exchange under way, which is bounded. Later ones are refused."""
        async with self._lock:
            self._closed = True
            await self._drop()
        await asyncio.sleep(0)  # the transport closes its socket in the loop's next round

    async def _attempt(self, commands: Callable[[bytes], Sequence[Command]]) -> list[Reply]:
        connection = self._connection
        if self._closed:
            raise LinkDown("closed")
        try:
            if not connection.is_connected:
                async with asyncio.timeout(self._timeout):
                    await connection.connect()
                    self._server = await self._run_id()
            packed = [libvalkey.pack_command(tuple(one)) for one in commands(self._server)]
            await connection.send_packed_command(packed, check_health=False)
            return [await self._read() for _ in packed]
        except BaseException:
            # Cancelled, timed out or desynchronised: a late reply must not meet the next call.
            await self._drop()
            raise

    async def _drop(self) -> None:
        if (writer := self._connection._writer) is not None:  # noqa: SLF001 - no public way
            # Not close(): that would linger until a server that has stopped takes the rest.
            writer.transport.abort()
        await self._connection.disconnect(nowait=True)

    async def _read(self) -> Reply:
        try:
            return await self._connection.read_response()
        except ResponseError as refusal:
            return refusal

    async def _run_id(self) -> bytes:
        await self._connection.send_packed_command(
            [libvalkey.pack_command(("INFO", "server"))], check_health=False
        )
        info = await self._read()
        for line in info.splitlines() if isinstance(info, bytes) else ():
            if line.startswith(b"run_id:"):
                return bytes(line)
        return os.urandom(16)  # not told: take every connection for a new run


def _connection(address: str) -> Any:  # noqa: ANN401 - the library's methods have no types
    pool: Any
    if address.startswith("/"):
        pool = ConnectionPool(connection_class=UnixDomainSocketConnection, path=address)
    else:
        pool = ConnectionPool.from_url(address.replace("valkey+unix://", "unix://", 1))
    # These win over the URL's own. Time-outs are ours: the library starts a timer for each step.
    pool.connection_kwargs.update(
        socket_timeout=None,
        socket_connect_timeout=None,
        health_check_interval=0,
        decode_responses=False,
        protocol=2,
        lib_name=None,
        lib_version=None,
        retry_on_timeout=False,
    )
    try:
        return pool.make_connection()
    except TypeError as unknown:
        raise ValueError(f"unusable option in the cache's address: {unknown}") from unknown
