"""Stands in for the bridge while OpenCode is tried out, and remembers what the plugin asked.

So the trial leaves nothing in anybody's memory, and "the hooks fire" is what was really heard.
"""

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import memory_manager

if TYPE_CHECKING:
    from pathlib import Path

    from memory_manager.model import Json

_LINE = 4 * 1024 * 1024


@dataclass(slots=True)
class Heard:
    """What came, by method, with the parameters of the last one."""

    calls: dict[str, dict[str, Json]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def note(self, method: str, params: dict[str, Json]) -> None:
        """One more call."""
        with self.changed:
            self.calls[method] = params
            self.changed.notify_all()

    def wait(self, methods: frozenset[str], seconds: float) -> bool:
        """Whether all of these have come by then."""
        with self.changed:
            return self.changed.wait_for(lambda: methods <= self.calls.keys(), max(0.0, seconds))


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    heard: Heard


class _Caller(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(OSError):  # OpenCode may be ended at any moment
            while line := self.rfile.readline(_LINE):
                self._answer(line)

    def _answer(self, line: bytes) -> None:
        request = json.loads(line)
        method, params = request["method"], request.get("params")
        answer = {"jsonrpc": "2.0", "id": request.get("id"), "result": answer_to(method)}
        self.wfile.write(json.dumps(answer).encode() + b"\n")
        self.server.heard.note(method, params if isinstance(params, dict) else {})


def answer_to(method: str) -> dict[str, Json]:
    """What an idle bridge would say."""
    if method == "hello":
        return {
            "version": memory_manager.__version__,
            "protocol": 1,
            "cache": {"kind": "socket", "at": "", "up": False},
            "inject": "message",
            "disabled": False,
            "chat_deadline_ms": 200,
            "hook_deadline_ms": 200,
            "tools": False,
            "opted_out": False,
        }
    if method == "event":
        return {"received": 1, "accepted": 1, "duplicates": 0, "failed": 0}
    return {"outcome": "accepted", "blocks": {}}


class Listener:
    """A socket in `folder` for as long as the context lasts."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "s"
        self.heard = Heard()

    def __enter__(self) -> Self:
        self._server = _Server(str(self.socket), _Caller)
        self._server.heard = self.heard
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
