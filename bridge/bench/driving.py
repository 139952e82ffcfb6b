"""The real OpenCode, offline, in a home of its own, driven over its HTTP interface.

For tests and benchmarks, as `bridge.sandbox` is for the bridge.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from bridge.bench import homes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from memory_manager.model import Json


class OpenCode:
    """One home and the server in it. Ended by its pid."""

    def __init__(
        self, program: str, home: Path, project: Path, settings: Mapping[str, str] | None = None
    ) -> None:
        """`settings` are added to the environment."""
        self.program = program
        self.home = home
        self.project = project
        self.settings = dict(settings or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._starts = 0
        self._events: list[dict[str, Any]] = []
        self._came = threading.Condition()
        self._listener: threading.Thread | None = None
        self._stream: http.client.HTTPConnection | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What it runs with."""
        return {**homes.environment(self.home, self.project), **self.settings}

    @property
    def database(self) -> Path:
        """OpenCode's own."""
        return self.home / ".local" / "share" / "opencode" / "opencode.db"

    @property
    def log(self) -> str:
        """All that it and its plugins have logged."""
        return "".join(
            path.read_text("utf-8", "replace") for path in sorted(self.home.glob("serve-*.log"))
        )

    # Life

    def start(self, seconds: float = 120.0) -> Self:
        """Serve, with the project's instance and its plugin up."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._starts += 1
        with (self.home / f"serve-{self._starts}.log").open("wb") as out:
            self.process = subprocess.Popen(
                [self.program, "serve", "--hostname", "127.0.0.1", "--port", str(self.port),
                 "--print-logs", "--log-level", "INFO"],
                cwd=self.project, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + seconds
        while True:
            if self.process.poll() is not None or time.monotonic() > end:
                raise TimeoutError(f"OpenCode did not start:\n{self.log[-2000:]}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.ask("GET", "/global/health", seconds=5)
                break
            time.sleep(0.05)
        ready = threading.Event()
        self._listener = threading.Thread(target=self._listen, args=(ready,), daemon=True)
        self._listener.start()
        if not ready.wait(30):
            raise TimeoutError("OpenCode tells no events")
        self.ask("GET", "/config", seconds=seconds)
        return self

    def stop(self, number: int = signal.SIGTERM, *, dispose: bool = True) -> None:
        """End it; in order, unless told otherwise."""
        process, self.process = self.process, None
        if process is None:
            return
        if dispose and process.poll() is None and number != signal.SIGKILL:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.ask("POST", "/global/dispose", seconds=30)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
        if self._listener is not None:
            self._listener.join(20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(
        self, *words: str, seconds: float = 120.0, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """One `opencode …` in the project, to its end."""
        return subprocess.run(
            [self.program, *words],
            cwd=self.project,
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    # Asking

    def ask(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        directory: Path | None = None,
        seconds: float = 60.0,
    ) -> Any:  # noqa: ANN401 - whatever OpenCode answers
        """One request to the server, for the project or another folder."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(
                method,
                f"{path}?{urlencode({'directory': str(directory or self.project)})}",
                None if body is None else json.dumps(body),
                {"content-type": "application/json"},
            )
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise OSError(f"{method} {path}: {response.status} {raw[:500]!r}")
        return json.loads(raw) if raw.strip() else None

    def session(self, *, directory: Path | None = None) -> str:
        """A new one."""
        return str(self.ask("POST", "/session", {}, directory=directory)["id"])

    def send(self, session: str, text: str, *, directory: Path | None = None, **more: Json) -> int:
        """A person's message; gives where in the stream of events it was."""
        mark = len(self._events)
        body: Json = {"parts": [{"type": "text", "text": text}], **more}
        self.ask("POST", f"/session/{session}/prompt_async", body, directory=directory)
        return mark

    def turn(
        self,
        session: str,
        text: str,
        *,
        directory: Path | None = None,
        seconds: float = 100.0,
        **more: Json,
    ) -> dict[str, Any]:
        """A message and all that follows; the last message of the session."""
        mark = self.send(session, text, directory=directory, **more)
        return self.finished(session, mark, directory=directory, seconds=seconds)

    def finished(
        self, session: str, mark: int, *, directory: Path | None = None, seconds: float = 100.0
    ) -> dict[str, Any]:
        """Wait for the end of the turn that began at `mark`.

        An error makes it idle twice, so that being idle is not enough: nothing may be under way,
        and the last message be an answer.
        """
        end = time.monotonic() + seconds
        while True:
            mark = self.heard("session.idle", session, mark, end - time.monotonic()) + 1
            status = self.ask("GET", "/session/status", directory=directory) or {}
            if status.get(session, {}).get("type", "idle") == "idle":
                messages = self.messages(session, directory=directory)
                last = messages[-1] if messages else {}
                info = last.get("info", {})
                answered = info.get("role") == "assistant"
                if answered and (info.get("time", {}).get("completed") or info.get("error")):
                    return dict(last)

    def messages(self, session: str, *, directory: Path | None = None) -> list[dict[str, Any]]:
        """Those of a session, as OpenCode keeps them."""
        found = self.ask("GET", f"/session/{session}/message", directory=directory)
        return list(found or [])

    # Events

    def heard(self, kind: str, session: str, mark: int, seconds: float = 60.0) -> int:
        """Wait for an event behind `mark`; its place.

        Raises:
            TimeoutError: it does not come.
        """

        def wanted(event: dict[str, Any]) -> bool:
            about: object = event["properties"].get("sessionID")
            return bool(event["type"] == kind and about == session)

        return self._until(wanted, mark, seconds)

    def _until(self, wanted: Callable[[dict[str, Any]], bool], mark: int, seconds: float) -> int:
        end = time.monotonic() + seconds
        while True:
            with self._came:
                for place in range(mark, len(self._events)):
                    if wanted(self._events[place]):
                        return place
                mark = len(self._events)
                left = end - time.monotonic()
                if left <= 0 or (self.process is not None and self.process.poll() is not None):
                    raise TimeoutError(f"not heard; OpenCode said:\n{self.log[-3000:]}")
                self._came.wait(min(left, 0.5))

    def _listen(self, ready: threading.Event) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request("GET", "/global/event", headers={"accept": "text/event-stream"})
            response = connection.getresponse()
            ready.set()
            while line := response.readline():
                if line.startswith(b"data:"):
                    self._note(json.loads(line[5:]))
        except (OSError, ValueError, http.client.HTTPException):
            pass  # the server has ended
        finally:
            ready.set()
            connection.close()

    def _note(self, told: dict[str, Any]) -> None:
        event = told.get("payload", told)
        event = {"type": event.get("type"), "properties": event.get("properties") or {}}
        if event["type"] != "message.part.delta":
            with self._came:
                self._events.append({**event, "at": time.perf_counter()})
                self._came.notify_all()

    def at(self, place: int) -> float:
        """When an event came, in seconds of the monotonic clock."""
        return float(self._events[place]["at"])
