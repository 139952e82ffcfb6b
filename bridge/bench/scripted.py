"""A model that says what it was told to: OpenAI's chat completions on loopback, streamed.

For the real OpenCode in tests and benchmarks. Every request is kept as it came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from memory_manager.model import Json

#: What it says when nobody told it what.
_TITLE, _SUMMARY, _CHAT = "A title", "## Goal\n- what was done so far\n", "Done."
#: How a block of memory begins.
BLOCK = "[Memory Context]"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: text, calls of tools, or an error."""

    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, Json]]] = ()
    status: int = 200
    code: str | None = None
    #: What the prompt is said to have taken.
    tokens: int = 100
    #: Only answered after `release`.
    held: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What came; `arrived` in seconds of the monotonic clock."""

    kind: str
    session: str
    parent: str
    messages: Sequence[Mapping[str, Json]]
    tools: frozenset[str]
    arrived: float

    @property
    def whole(self) -> str:
        """Everything, as text."""
        return json.dumps(self.messages, ensure_ascii=False)

    @property
    def lines(self) -> list[str]:
        """Each message, byte for byte."""
        return [json.dumps(message, ensure_ascii=False) for message in self.messages]

    def texts(self, role: str) -> list[list[str]]:
        """The text parts of each message of a role."""
        return [_texts(m.get("content")) for m in self.messages if m.get("role") == role]

    @property
    def block(self) -> str:
        """The memory that the newest message carries; "" for none."""
        users = self.texts("user")
        return next((text for text in (users or [[]])[-1] if text.startswith(BLOCK)), "")

    @property
    def blocks(self) -> list[str]:
        """The same for each of the person's messages."""
        return [
            next((text for text in texts if text.startswith(BLOCK)), "")
            for texts in self.texts("user")
        ]


def _names(tools: Json) -> frozenset[str]:
    found: set[str] = set()
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict):
            found.add(str(function.get("name")))
    return frozenset(found)


def _texts(content: Json) -> list[str]:
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    return [str(part["text"]) for part in content if isinstance(part, dict) and "text" in part]


@dataclass(slots=True)
class Model:
    """The server. `will` says what it answers to the next chats, in turn."""

    requests: list[Request] = field(default_factory=list)
    port: int = 0
    _replies: deque[Reply] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _server: asyncio.Server | None = None
    _released: asyncio.Event | None = None
    _numbers: Iterator[int] = field(default_factory=count)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """What OpenCode is given as the provider's address."""
        return f"http://127.0.0.1:{self.port}/v1"

    def will(self, *replies: Reply | str) -> None:
        """The next answers."""
        with self._changed:
            self._replies.extend(Reply(each) if isinstance(each, str) else each for each in replies)

    @property
    def unsaid(self) -> int:
        """Answers that nobody came for."""
        return len(self._replies)

    def chats(self, session: str = "") -> list[Request]:
        """The chat requests, of one session or of all."""
        return [
            request for request in self.of_kind("chat") if not session or request.session == session
        ]

    def of_kind(self, kind: str) -> list[Request]:
        """The requests for a "chat", a "title" or a "summary"."""
        with self._changed:
            return [request for request in self.requests if request.kind == kind]

    def until[T](self, look: Callable[[Self], T], seconds: float = 60.0) -> T:
        """Wait until a look at it gives something true; that.

        Raises:
            TimeoutError: it does not.
        """
        end = time.monotonic() + seconds
        while not (found := look(self)):
            with self._changed:
                if not self._changed.wait(min(0.5, end - time.monotonic())) and (
                    time.monotonic() > end
                ):
                    raise TimeoutError(f"{len(self.requests)} requests came, and not the awaited")
        return found

    def release(self) -> None:
        """Answer what is held, and from now on at once."""
        if self._loop is not None and self._released is not None:
            self._loop.call_soon_threadsafe(self._released.set)

    # Life

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="model", daemon=True
        )
        self._thread.start()
        if not ready.wait(30):
            raise TimeoutError("the scripted model did not start")
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._server is not None:
            self._loop.call_soon_threadsafe(self._server.close)
        if self._thread is not None:
            self._thread.join(10)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._released = asyncio.Event()
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, limit=1 << 26)
        self.port = self._server.sockets[0].getsockname()[1]
        ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self._server.serve_forever()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    # One request

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *rest = head.strip().split("\r\n")
            headers = {k.strip().lower(): v.strip() for k, _, v in (h.partition(":") for h in rest)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            if "/chat/completions" not in first:
                writer.write(_http(404, {"error": {"message": "no such thing"}}))
            else:
                await self._complete(json.loads(body), headers, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # whoever asked has gone
        finally:
            if task is not None:
                self._open.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _complete(
        self, body: dict[str, Json], headers: Mapping[str, str], writer: asyncio.StreamWriter
    ) -> None:
        reply = self._note(body, headers)
        if reply.held and self._released is not None:
            await self._released.wait()
        if reply.status != 200:
            error: Json = {"message": reply.text, "type": "scripted", "code": reply.code}
            writer.write(_http(reply.status, {"error": error}))
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        writer.write(b"connection: close\r\n\r\n")
        for chunk in _chunks(reply, next(self._numbers), str(body.get("model"))):
            writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        writer.write(b"data: [DONE]\n\n")

    def _note(self, body: dict[str, Json], headers: Mapping[str, str]) -> Reply:
        arrived = time.perf_counter()
        given = body.get("messages")
        messages = [m for m in given if isinstance(m, dict)] if isinstance(given, list) else []
        kind = _kind(messages, has_tools=bool(body.get("tools")))
        request = Request(
            kind,
            headers.get("x-session-id", ""),
            headers.get("x-parent-session-id", ""),
            messages,
            _names(body.get("tools")),
            arrived,
        )
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            if kind == "chat":
                return self._replies.popleft() if self._replies else Reply(_CHAT)
        return Reply(_TITLE if kind == "title" else _SUMMARY)


def _kind(messages: Sequence[Mapping[str, Json]], *, has_tools: bool) -> str:
    """What OpenCode asks for: its own requests come without tools."""
    system = " ".join(
        text for m in messages if m.get("role") == "system" for text in _texts(m.get("content"))
    )
    if "You are a title generator" in system:
        return "title"
    return "chat" if has_tools else "summary"


def _http(status: int, body: Json) -> bytes:
    raw = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(raw)}\r\nconnection: close\r\n\r\n".encode() + raw


def _chunks(reply: Reply, number: int, model: str) -> Iterator[dict[str, Json]]:
    head: dict[str, Json] = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
    }
    said: dict[str, Json] = {"role": "assistant", "content": reply.text}
    if reply.calls:
        said["tool_calls"] = [
            {
                "index": index,
                "id": f"call_{number}_{index}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for index, (name, arguments) in enumerate(reply.calls)
        ]
    finish = "tool_calls" if reply.calls else "stop"
    yield {**head, "choices": [{"index": 0, "delta": said, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    spent = len(reply.text) // 4 + 1
    usage: dict[str, Json] = {
        "prompt_tokens": reply.tokens,
        "completion_tokens": spent,
        "total_tokens": reply.tokens + spent,
    }
    yield {**head, "choices": [], "usage": usage}
