"""A spool on a thread of its own, for asyncio: appends are committed in groups, in order.

Everything that was queued while a commit ran goes into the next single transaction, so that many
callers share one wait for the disk. The event loop only puts into a queue and is called back once
for each group; all bookkeeping happens on the loop's thread, hence without locks.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from memory_manager.errors import Unavailable
from memory_manager.spool.batches import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memory_manager.model import RawEvent
    from memory_manager.spool.store import Spool

#: Most operations and characters of text that may wait; beyond, `Unavailable`.
MOST_WAITING = 4096
MOST_TEXT = 32 * 1024 * 1024


@dataclass(slots=True)
class _Append:
    make: Callable[[], Sequence[RawEvent]]
    size: int
    future: asyncio.Future[Any]
    events: Sequence[RawEvent] = field(default=())


@dataclass(slots=True)
class _Call:
    run: Callable[[Spool], Any]
    future: asyncio.Future[Any]
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Outcome:
    of: _Append | _Call
    result: Any = None
    error: BaseException | None = None


class SpoolThread:
    """Owns a `Spool` and its thread. Use it from the event loop that started it, and close it."""

    @classmethod
    async def start(
        cls,
        open_spool: Callable[[], Spool],
        *,
        most_waiting: int = MOST_WAITING,
        most_text: int = MOST_TEXT,
    ) -> SpoolThread:
        """Opens the spool in its thread; raises what `open_spool` raises."""
        self = cls(most_waiting, most_text)
        opened: asyncio.Future[None] = self._loop.create_future()
        threading.Thread(target=self._run, args=(open_spool, opened), name="spool").start()
        await asyncio.shield(opened)
        return self

    def __init__(self, most_waiting: int, most_text: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Append | _Call | None] = SimpleQueue()
        self._most_waiting = most_waiting
        self._most_text = most_text
        self._waiting = 0
        self._text = 0
        self._closing = False
        self._abandon = False
        self._ended: asyncio.Future[None] = self._loop.create_future()

    @property
    def waiting(self) -> int:
        """Operations that are queued or running."""
        return self._waiting

    @property
    def use(self) -> float:
        """How full the queue is, from 0 to 1."""
        return max(self._waiting / self._most_waiting, self._text / self._most_text)

    async def append(self, events: Sequence[RawEvent]) -> Receipt:
        """Stores the events; on return they are on disk. See `append_from`."""
        if not events:
            return Receipt(0)
        return await self.append_from(lambda: events, sum(map(_size, events)))

    async def append_from(self, make: Callable[[], Sequence[RawEvent]], size: int) -> Receipt:
        """Stores what `make` gives; it runs on the spool's thread, so a long redaction may.

        A cancelled wait neither loses nor repeats anything: what was queued is still committed.

        Args:
            make: gives the events; what it raises is raised here.
            size: about how many characters of text that is, for the queue's bound.

        Raises:
            Unavailable: the queue is full or the spool is closing; nothing was stored.
            MemoryFault: as `Spool.append_many`.
        """
        future = self._put(_Append(make, size, self._loop.create_future()))
        receipt: Receipt = await future
        return receipt

    async def call[T](self, run: Callable[[Spool], T]) -> T:
        """Runs any other operation on the spool's thread, after what was queued before it."""
        result: T = await self._put(_Call(run, self._loop.create_future()))
        return result

    async def close(self, deadline: float = 5.0) -> int:
        """Refuses new work, finishes what is queued, closes the spool, ends the thread.

        Args:
            deadline: longest wait in seconds; what has not begun by then fails with `Unavailable`.

        Returns:
            How many operations were still unfinished at the deadline.
        """
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await asyncio.wait([self._ended], timeout=deadline)
        unfinished = 0 if self._ended.done() else self._waiting
        self._abandon = True
        return unfinished

    def _put(self, item: _Append | _Call) -> asyncio.Future[Any]:
        if self._closing:
            raise Unavailable("the spool is closing; try again")
        if self._waiting >= self._most_waiting or self._text + item.size > self._most_text:
            raise Unavailable(f"the spool's queue is full ({self._waiting} waiting); try again")
        self._waiting += 1
        self._text += item.size
        self._queue.put(item)
        return item.future

    def _deliver(self, outcomes: list[_Outcome]) -> None:
        for outcome in outcomes:
            self._waiting -= 1
            self._text -= outcome.of.size
            future = outcome.of.future
            if future.done():  # its waiter was cancelled
                continue
            if outcome.error is None:
                future.set_result(outcome.result)
            else:
                future.set_exception(outcome.error)

    # From here on: the spool's thread.

    def _run(self, open_spool: Callable[[], Spool], opened: asyncio.Future[None]) -> None:
        try:
            spool = open_spool()
        except BaseException as error:  # noqa: BLE001 - it belongs to the one who awaits the start
            self._tell(_fail, opened, error)
            return
        self._tell(_succeed, opened)
        try:
            self._serve(spool)
        finally:
            spool.close()
            self._tell(_succeed, self._ended)

    def _serve(self, spool: Spool) -> None:
        while True:
            queued = [self._queue.get()]
            while True:
                try:
                    queued.append(self._queue.get_nowait())
                except Empty:
                    break
            items = deque(queued)
            while items:
                item = items.popleft()
                if item is None:
                    return
                if self._abandon:
                    outcomes = [_Outcome(item, error=Unavailable("the spool was closed"))]
                elif isinstance(item, _Call):
                    outcomes = [_call(spool, item)]
                else:
                    group = [item]
                    while items and isinstance(items[0], _Append):
                        group.append(items.popleft())  # type: ignore[arg-type] # checked above
                    outcomes = _commit(spool, group)
                self._tell(self._deliver, outcomes)

    def _tell(self, function: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            # The loop is gone and nobody waits any more; what is queued still goes to disk.
            return


def _commit(spool: Spool, group: list[_Append]) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    ready: list[_Append] = []
    for item in group:
        try:
            item.events = item.make()
        except BaseException as error:  # noqa: BLE001 - it belongs to the one who awaits it
            outcomes.append(_Outcome(item, error=error))
        else:
            ready.append(item)
    if ready:
        outcomes += _append(spool, ready)
    return outcomes


def _append(spool: Spool, group: list[_Append]) -> list[_Outcome]:
    try:
        receipts = spool.append_many([item.events for item in group])
    except Unavailable as error:
        # Each waiter its own: a shared exception would collect everybody's traceback.
        return [_Outcome(item, error=Unavailable(*error.args)) for item in group]
    except BaseException as error:  # noqa: BLE001 - it belongs to those who await it
        if len(group) == 1:
            return [_Outcome(group[0], error=error)]
        # One caller's bad event shall not fail its neighbours.
        return [outcome for item in group for outcome in _append(spool, [item])]
    return [_Outcome(item, receipt) for item, receipt in zip(group, receipts, strict=True)]


def _call(spool: Spool, item: _Call) -> _Outcome:
    try:
        return _Outcome(item, item.run(spool))
    except BaseException as error:  # noqa: BLE001 - it belongs to the one who awaits it
        return _Outcome(item, error=error)


def _succeed(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _size(event: RawEvent) -> int:
    bulk = sum(len(value) for value in event.metadata.values() if isinstance(value, str))
    return len(event.content) + bulk + 256
