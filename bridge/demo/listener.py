"""A loopback stand-in for the Datadog agent: it keeps the datagrams that it gets."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import suppress
from typing import Self


class Listener:
    """Listens on a free UDP port of loopback, on a thread of its own, until closed."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port: int = self._socket.getsockname()[1]
        self._lines: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="statsd listener")
        self._thread.start()

    @property
    def lines(self) -> list[str]:
        """What came so far, a metric or event each; the client's own telemetry left out."""
        return [line for line in list(self._lines) if not line.startswith("datadog.")]

    def counts(self) -> Counter[str]:
        """How many lines of each metric."""
        return Counter(_name(line) for line in self.lines)

    def close(self) -> None:
        """Stop listening."""
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                packet = self._socket.recv(65536).decode("utf-8", "replace")
                self._lines += [line for line in packet.splitlines() if line]


def _name(line: str) -> str:
    if line.startswith("_e{"):
        return line.partition(":")[2].partition("|")[0]
    return line.partition(":")[0]
