"""The wire to FalkorDB: a bounded pool, deadlines, and the one place where its errors become ours."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Self

import redis.asyncio as redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ClusterError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TooSlow

from memory_manager.errors import MemoryFault, Rejected, Unavailable
from memory_manager.graph.cypher import Value, with_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from memory_manager.settings import MemorySettings

_log = logging.getLogger(__name__)

#: Longest wait for a connection to be made, in seconds; the server is near.
_CONNECT_S = 1.0
#: Seconds until a server that holds back what it has to write is asked again.
_LOOK_AGAIN_S = 0.005
#: An answer begins with its columns' names only when there are rows to name.
_WITH_ROWS = 3


class NoGraphError(MemoryFault):
    """The group has no graph yet. Never leaves this package."""


type Row = tuple[Any, ...]


class Link:
    """Connections to one FalkorDB, for one event loop."""

    def __init__(self, pool: redis.BlockingConnectionPool, timeout_s: float) -> None:
        self._pool = pool
        self._client = redis.Redis(connection_pool=pool)
        self.timeout_s = timeout_s
        #: Grows with every new connection: what was known of the server may be out of date.
        self.epoch = 0

    @classmethod
    def open(cls, settings: MemorySettings, socket: str = "") -> Self:
        """A link that connects at its first use.

        Args:
            settings: where the server is, and the limits.
            socket: the embedded server's Unix socket, when there is one.
        """
        where = _address(settings, socket)
        pool = redis.BlockingConnectionPool(
            max_connections=settings.graph_connections,
            timeout=settings.graph_timeout_s,
            decode_responses=True,
            protocol=2,
            socket_timeout=settings.graph_timeout_s,
            socket_connect_timeout=min(_CONNECT_S, settings.graph_timeout_s),
            # Once more at once on a connection that the server's restart had cut. All our writes
            # may be repeated. A time-out is never retried: it has used up the caller's patience.
            retry=Retry(NoBackoff(), 1, supported_errors=(Disconnected,)),
            **where,
        )
        link = cls(pool, settings.graph_timeout_s)
        pool.connection_kwargs["redis_connect_func"] = link._connected
        return link

    async def _connected(self, connection: Any) -> None:  # noqa: ANN401 - untyped library
        self.epoch += 1
        await connection.on_connect()

    async def execute(self, *command: str | int) -> Any:  # noqa: ANN401 - any answer of any command
        """One command's answer.

        Raises:
            Unavailable: no answer in time, no connection, still loading.
            Rejected: the server refuses.
            NoGraphError: the command names a graph that does not exist.
        """
        try:
            return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise translated(error) from error

    async def read(
        self, graph: str, statement: str, parameters: Mapping[str, Value] | None = None
    ) -> list[Row]:
        """Rows of a statement that cannot write. Never creates the graph."""
        query = with_parameters(statement, parameters or {})
        limit = max(1, int(self.timeout_s * 1000))
        answer = await self.execute("GRAPH.RO_QUERY", graph, query, "--compact", "TIMEOUT", limit)
        return _rows(answer)

    async def write(
        self, graph: str, statement: str, parameters: Mapping[str, Value] | None = None
    ) -> list[Row]:
        """Rows of a statement that may write; creates the graph."""
        query = with_parameters(statement, parameters or {})
        return _rows(await self.execute("GRAPH.QUERY", graph, query, "--compact"))

    async def persisted(self, deadline_s: float) -> None:
        """Return once the server has written its AOF; at once on a server without one.

        Written, not synchronised: then a killed process loses nothing, and `appendfsync everysec`
        would make each batch wait a second for what only a power cut can take (an audit against
        the spool finds that). Redis writes before it answers; only while its disk is slow to
        synchronise does it hold writes back for a moment, hence the look at its buffer.

        Raises:
            Rejected: its last write failed.
            Unavailable: it is away, or still held something back at the deadline.
        """
        until = time.monotonic() + deadline_s
        while True:
            try:
                said = await self._client.execute_command("INFO", "persistence")  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as error:
                if _not_told(error):
                    return
                raise translated(error) from error
            if not said.get("aof_enabled"):
                return
            if said.get("aof_last_write_status", "ok") != "ok":
                raise Rejected("FalkorDB can't write its append-only file; free space on its disk")
            if not said.get("aof_buffer_length"):
                return
            if time.monotonic() > until:
                raise Unavailable("FalkorDB did not write its append-only file in time")
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def close(self) -> None:
        await self._client.aclose()
        await self._pool.disconnect()


def _address(settings: MemorySettings, socket: str) -> dict[str, Any]:
    if socket:
        return {"connection_class": redis.UnixDomainSocketConnection, "path": socket}
    if settings.falkordb_url:
        url = settings.falkordb_url.replace("falkors://", "rediss://").replace(
            "falkor://", "redis://"
        )
        return dict(parse_url(url))
    return {"host": settings.falkordb_host or "localhost", "port": settings.falkordb_port}


def _not_told(error: Exception) -> bool:
    """The server knows no INFO or does not let us ask: what it keeps is its operator's matter."""
    return isinstance(error, NoPermissionError) or "unknown command" in str(error).lower()


def translated(error: BaseException) -> MemoryFault:
    """The library's error as the caller can use it. Messages never carry the query."""
    reason = str(error).partition("errCtx")[0].strip().partition("\n")[0][:200]
    lower = reason.lower()
    match error:
        case TooSlow() | TimeoutError():
            return Unavailable("FalkorDB does not answer in time")
        case OutOfMemoryError() | ReadOnlyError() | NoPermissionError() | AuthenticationError():
            return Rejected(f"FalkorDB refuses: {reason}")
        case Disconnected() | OSError() | ClusterError():
            return Unavailable(f"FalkorDB cannot be reached: {reason}")
        case ResponseError() if "empty key" in lower:
            return NoGraphError("no such graph")
        case ResponseError() if lower.startswith(
            ("query timed out", "tryagain", "busy", "loading")
        ):
            return Unavailable(f"FalkorDB is busy: {reason}")
        case _:
            return Rejected(f"FalkorDB refuses: {reason}")


def _rows(answer: list[Any]) -> list[Row]:
    if len(answer) < _WITH_ROWS:
        return []
    return [tuple([_value(cell) for cell in row]) for row in answer[1]]


def _value(cell: list[Any]) -> Any:  # noqa: ANN401 - whatever the statement returns
    read = _READERS.get(cell[0])
    return read(cell[1]) if read is not None else None


#: By the types of values in FalkorDB's compact answers. Nodes, edges and paths are never asked for.
_READERS: dict[int, Callable[[Any], Any]] = {
    2: lambda value: value,
    3: lambda value: value,
    4: lambda value: value == "true",
    5: float,
    6: lambda value: [_value(each) for each in value],
    10: lambda value: {value[i]: _value(value[i + 1]) for i in range(0, len(value), 2)},
    12: lambda value: [float(each) for each in value],
}
