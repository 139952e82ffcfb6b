"""The live stream: server-sent events out of the timeline's ring.

A listener is a place in the ring and nothing more, so a slow one costs no memory: it reads on from
where it was, and one that has fallen too far behind, or comes back too late, is told `reset` and
goes on with the newest. Between two events nothing runs but a heartbeat.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.web.answers import Refusal, encoded
from bridge.web.given import from_query
from bridge.web.reading import header
from bridge.web.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from bridge.timeline import Entry, Timeline
    from memory_manager.model import Json

#: Streams at once.
MOST_LISTENERS = 16
#: Entries of one go, and seconds after which it ends with fewer; what comes within so many seconds
#: goes together, and between two goes others have their turn.
_AT_ONCE, _GO_S, _TOGETHER_S, _BETWEEN_S = 64, 0.001, 0.03, 0.002
#: Entries whose text is kept for the other listeners.
_MADE = 256
#: Entries that a listener may lag behind, and with how many of the newest it then goes on.
_FAR, _NEWEST = 2000, 100

_PARAMS = next(route.params for route in ROUTES if route.path == "/api/stream")
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between heartbeats of a quiet stream, and between two states."""

    heartbeat: float = 15.0
    status: float = 2.0


@dataclass(slots=True, eq=False)
class _Listener:
    """Who listens, and the last entry and state that it was given."""

    seen: int
    status: int
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False


class Streams:
    """All listeners of one timeline."""

    def __init__(
        self,
        timeline: Timeline,
        status: Callable[[], Awaitable[Json]],
        run: str,
        pace: Pace | None = None,
    ) -> None:
        """`status` gives the state that is told now and then; `run` names this run of the bridge.

        Ids begin anew with each run, so each carries its name.
        """
        self._timeline = timeline
        self._ask = status
        self._run = run
        self._pace = pace or Pace()
        self._listeners: set[_Listener] = set()
        self._made: dict[int, bytes] = {}
        self._closing = False
        self._status, self._statuses = b"", 0
        self._asking: asyncio.Task[None] | None = None
        self._stop: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._listeners)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell one listener until it goes or the bridge ends."""
        recent = from_query(scope["query_string"], _PARAMS).get("recent", 0)
        if len(self._listeners) >= MOST_LISTENERS:
            raise Refusal(429, f"{MOST_LISTENERS} live streams are open; close one", retry_after=5)
        if self._closing:
            raise Refusal(503, "the bridge is ending; try again")
        listener = _Listener(self._timeline.newest, self._statuses)
        last, missed = header(scope["headers"], b"last-event-id"), False
        if last:
            run, _, number = last.rpartition("-")
            missed = run != self._run or not (number.isascii() and number.isdigit())
            listener.seen = 0 if missed else min(int(number[:18]), self._timeline.newest)
        elif isinstance(recent, int):
            listener.seen = max(listener.seen - recent, self._timeline.oldest - 1)
        self._join(listener)
        leaving = asyncio.create_task(_until_gone(receive, listener), name="stream")
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
            await _put(send, b": opencode-mem\nretry: 2000\n\n")
            await self._tell(listener, send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            self._leave(listener)
            with contextlib.suppress(asyncio.CancelledError):
                await leaving

    def close(self) -> None:
        """End every stream, in order."""
        self._closing = True
        self._wake()

    async def _tell(self, listener: _Listener, send: Send) -> None:
        while not (listener.gone or self._closing):
            listener.woken.clear()
            if told := self._news(listener):
                await _put(send, told)
                await asyncio.sleep(_BETWEEN_S)
                continue
            try:
                async with asyncio.timeout(self._pace.heartbeat):
                    await listener.woken.wait()
            except TimeoutError:
                await _put(send, b": still here\n\n")
            else:
                await asyncio.sleep(_TOGETHER_S)

    def _news(self, listener: _Listener) -> bytes:
        """What this listener has not been given yet, or a part of it."""
        timeline = self._timeline
        lost = timeline.oldest - 1 - listener.seen
        if lost > 0 or timeline.newest - listener.seen > _FAR:
            listener.seen = max(timeline.newest - _NEWEST, timeline.oldest - 1)
            return self._event("reset", listener.seen, {"oldest": self._id(timeline.oldest)})
        told: list[bytes] = []
        until = asyncio.get_running_loop().time() + _GO_S
        for entry in timeline.since(listener.seen, _AT_ONCE):
            told.append(self._shown(entry))
            listener.seen = entry.id
            if asyncio.get_running_loop().time() > until:
                break
        if told:
            return b"".join(told)
        if listener.status != self._statuses:
            listener.status = self._statuses
            return self._status
        return b""

    def _shown(self, entry: Entry) -> bytes:
        """The entry as an event. That it waits no more comes behind it, in an event of its own."""
        shown = self._made.get(entry.id)
        if shown is None:
            shown = self._made[entry.id] = self._event(entry.name, entry.id, entry.told())
            if len(self._made) > _MADE:
                del self._made[next(iter(self._made))]
        return shown

    def _event(self, name: str, id_: int, data: Json) -> bytes:
        return b"id: %s\n%s" % (self._id(id_).encode(), _event(name, data))

    def _id(self, id_: int) -> str:
        return f"{self._run}-{id_}"

    def _join(self, listener: _Listener) -> None:
        self._listeners.add(listener)
        if self._stop is None:
            self._stop = self._timeline.listen(self._wake)
            self._asking = asyncio.create_task(self._keep_asking(), name="stream status")

    def _leave(self, listener: _Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._stop is not None and self._asking is not None:
            self._stop()
            self._asking.cancel()
            self._stop = self._asking = None

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.woken.set()

    async def _keep_asking(self) -> None:
        while True:
            self._status = _event("status", await self._ask())
            self._statuses += 1
            self._wake()
            await asyncio.sleep(self._pace.status)


async def _until_gone(receive: Receive, listener: _Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.gone = True
    listener.woken.set()


async def _put(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _event(name: str, data: Json) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), encoded(data))
