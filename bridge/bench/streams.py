"""Clients that send as fast as they are answered, over the socket and over HTTP; and the bare cost."""

from __future__ import annotations

import contextlib
import json
import re
import socket
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

_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)

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
    """One kept-alive connection over HTTP; as little work at this end as can be."""
    where = urlsplit(url)
    head = (
        f"POST /api/raw-events HTTP/1.1\r\nHost: {where.netloc}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: "
    ).encode()
    with socket.create_connection((where.hostname, where.port), 60) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send(request: bytes, count: int) -> None:
            line.sendall(b"%s%d\r\n\r\n%s" % (head, len(request), request))
            _check(json.loads(_answered(line)), count)

        yield send


def _answered(line: socket.socket) -> bytes:
    """The body of one answer."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += _received(line)
    fields, _, body = said.partition(b"\r\n\r\n")
    length = _LENGTH.search(fields)
    if length is None:
        raise AssertionError(f"the bench got an answer without a length: {fields[:200]!r}")
    while len(body) < int(length[1]):
        body += _received(line)
    return body


def _received(line: socket.socket) -> bytes:
    chunk = line.recv(1 << 16)
    if not chunk:
        raise AssertionError("the bridge hung up on the bench")
    return chunk


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
