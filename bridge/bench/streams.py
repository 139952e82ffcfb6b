"""Clients that send as fast as they are answered, over the socket and over HTTP; and the bare cost."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.bench.work import CWD, event, rows_commit
from bridge.sandbox import Line
from memory_manager import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.sandbox import Sandbox
    from memory_manager.model import Json

#: Sends one request's bytes; raises when not all of `count` events were taken in.
type Send = Callable[[bytes, int], None]


@dataclass(frozen=True, slots=True)
class Flow:
    """What some clients got done: seconds in all, and of each request."""

    events: int
    seconds: float
    times: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Acknowledged events a second."""
        return self.events / self.seconds


@contextlib.contextmanager
def socket_sender(box: Sandbox) -> Iterator[Send]:
    """One kept-open connection to the Unix socket."""
    with box.line() as line:

        def send(request: bytes, count: int) -> None:
            _check(json.loads(line.send(request))["result"], count)

        yield send


def socket_request(events: Sequence[Json]) -> bytes:
    """`ingest` of these."""
    return contract.request_line("ingest", {"events": list(events), "cwd": CWD})


@contextlib.contextmanager
def http_sender(url: str, token: str) -> Iterator[Send]:
    """One kept-alive connection over HTTP."""
    connection = http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def send(request: bytes, count: int) -> None:
        connection.request("POST", "/api/raw-events", body=request, headers=headers)
        answer = connection.getresponse()
        _check(json.loads(answer.read()), count)

    try:
        yield send
    finally:
        connection.close()


def http_request(events: Sequence[Json]) -> bytes:
    """A body for `POST /api/raw-events`."""
    return json.dumps({"events": list(events), "cwd": CWD}).encode()


def http_of(box: Sandbox) -> tuple[str, str] | None:
    """Where the sandbox's bridge listens for HTTP, and its token; None when it does not."""
    with box.line() as line:
        about = line.call("ping")
    url = about.get("url") if isinstance(about, dict) else None
    token = Path(box.environment["OPENCODE_MEM_DATA_DIR"]) / "http-token"
    if not isinstance(url, str) or not token.exists():
        return None
    return url, token.read_text(encoding="utf-8").strip()


def batches(first: int, count: int, size: int) -> list[list[Json]]:
    """Events nobody has sent yet, in lists."""
    return [
        [event(number) for number in range(start, min(first + count, start + size))]
        for start in range(first, first + count, size)
    ]


def flow(
    senders: Sequence[contextlib.AbstractContextManager[Send]],
    requests: Sequence[bytes],
    size: int,
) -> Flow:
    """Have all requests sent, dealt out to as many clients as there are senders."""
    times: list[list[float]] = [[] for _ in senders]
    begin = threading.Barrier(len(senders) + 1)

    def client(number: int) -> None:
        with senders[number] as send:
            begin.wait()
            for request in requests[number :: len(senders)]:
                asked = time.perf_counter()
                send(request, size)
                times[number].append(time.perf_counter() - asked)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(len(senders))]
    before = sys.getswitchinterval()
    # A client that has its answer shall not wait for its neighbours in this process.
    sys.setswitchinterval(0.0005)
    try:
        for thread in threads:
            thread.start()
        begin.wait(60)
        began = time.perf_counter()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
    finally:
        sys.setswitchinterval(before)
    sent = tuple(each for some in times for each in some)
    if len(sent) != len(requests):
        raise AssertionError(f"the bench sent {len(requests)} requests, {len(sent)} were answered")
    return Flow(len(sent) * size, seconds, sent)


def bare(folder: Path, lists: Sequence[Sequence[Json]]) -> Flow:
    """The same events, one durable SQLite transaction for each list, and nothing else."""
    commit = rows_commit(folder)
    began = time.perf_counter()
    times: list[float] = []
    for events in lists:
        asked = time.perf_counter()
        commit(events)
        times.append(time.perf_counter() - asked)
    return Flow(sum(map(len, lists)), time.perf_counter() - began, tuple(times))


def pings(path: str, over: threading.Event) -> list[float]:
    """How long a request that costs nothing takes, every few milliseconds until it is over."""
    times: list[float] = []
    with Line(path) as line:
        while not over.wait(0.005):
            asked = time.perf_counter()
            line.call("ping")
            times.append(time.perf_counter() - asked)
    return times


def _check(result: dict[str, Json], count: int) -> None:
    if result.get("inserted") != count:
        raise AssertionError(f"the bench sent {count} events and got {result}")
