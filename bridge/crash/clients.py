"""Clients that do not let go: a request is sent again, the same, until it is acknowledged."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from bridge.sandbox import Line
from memory_manager import contract
from memory_manager.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.crash.workload import Delivery

#: Seconds between two attempts, and that one may take.
_PAUSE_S, _PATIENCE_S = 0.01, 60.0
_COUNT = 3


@dataclass(slots=True)
class Clients:
    """A few connections to one bridge, each with a thread. `close` them."""

    path: str
    #: Requests that were answered, and those whose answer may have been lost with a bridge.
    acknowledged: list[Delivery] = field(default_factory=list)
    resent: int = 0
    #: Answers that no client should get: a fault of the bridge, or of this suite.
    refused: list[str] = field(default_factory=list)
    #: What messages were given, by project, session and message: it belongs to them from then on.
    given: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _given: int = 0
    _under_way: int = 0
    _closing: bool = False
    _queue: SimpleQueue[tuple[Delivery, float] | None] = field(default_factory=SimpleQueue)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def give(self, deliveries: Iterable[Delivery], pace: float = 0.0) -> None:
        """Send these, in about this order, each client with `pace` seconds between two."""
        for delivery in deliveries:
            self._given += 1
            self._queue.put((delivery, pace))

    @property
    def waiting(self) -> int:
        """Requests that were given and not answered yet."""
        return self._given - len(self.acknowledged) - len(self.refused)

    @property
    def under_way(self) -> bool:
        """Whether the bridge has a request that it has not answered."""
        return self._under_way > 0

    def close(self) -> None:
        """Give up what was not sent and wait for the threads."""
        self._closing = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(_PATIENCE_S)

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._serve, name=f"client {number}", daemon=True)
            for number in range(_COUNT)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        line: Line | None = None
        while (item := self._queue.get()) is not None:
            delivery, pace = item
            time.sleep(pace)
            sent = False
            while not self._closing:
                try:
                    if line is None:
                        line = Line(self.path, _PATIENCE_S)
                    sent = True
                    fault = self._sent(line, delivery)
                except (OSError, Unavailable):
                    if line is not None:
                        line.close()
                    line = None
                    with self._lock:
                        self.resent += sent
                    sent = False
                    time.sleep(_PAUSE_S)
                else:
                    with self._lock:
                        if fault:
                            self.refused.append(fault)
                        else:
                            self.acknowledged.append(delivery)
                    break
        if line is not None:
            line.close()

    def _sent(self, line: Line, delivery: Delivery) -> str:
        """Once there and back; what is wrong with the answer, "" when nothing is.

        Raises:
            Unavailable: the bridge asks to try again, or hung up.
        """
        with self._counted():
            answer = json.loads(
                line.send(contract.request_line(delivery.method, {**delivery.params}))
            )
        if error := answer.get("error"):
            if error["code"] == contract.NOT_AVAILABLE:
                raise Unavailable(str(error["message"]))
            return f"{delivery.method}: {error['message']}"
        result = answer["result"]
        match delivery.method:
            case "hook" if result["outcome"] == "failed" and delivery.binding:
                raise Unavailable(str(result.get("note")))
            case "hook" if result["outcome"] in {"invalid", "disabled"}:
                return f"hook: {result}"
            case "hook" if result.get("context"):
                payload: Any = delivery.params["payload"]
                where = str(delivery.params["project"])
                key = (where, payload["session_id"], payload["message_id"])
                self.given[key] = result["context"]
            case "ingest" if result["inserted"] + result["duplicates"] != len(delivery.events):
                return f"ingest: {result} for {len(delivery.events)} events"
        return ""

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
