"""The whole HTTP side on a real loopback port, before methods that only remember what was asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx
import pytest

from bridge.timeline import Timeline
from bridge.web.app import Behind, Web
from bridge.web.keys import Keys
from bridge.web.ports import listeners
from bridge.web.serving import WebServer
from memory_manager.model import EventKind, RawEvent

TOKEN = "t" * 43


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, at=1_800_000_000.0):
        self.at = at

    def __call__(self):
        return self.at


@dataclass
class Site:
    """A server of its own, and everything behind it."""

    page: object
    clock: Clock = field(default_factory=Clock)
    ticks: Clock = field(default_factory=lambda: Clock(1000.0))
    timeline: Timeline = field(default_factory=lambda: Timeline(1000, 1 << 22))
    #: What a method answers: a result, or an error object with a code.
    answers: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    word: str = "live"
    token: str = TOKEN
    touched: int = 0
    more: dict = field(default_factory=dict)

    async def dispatch(self, method, params):
        self.asked.append((method, params))
        answer = self.answers.get(method, {})
        if callable(answer):
            answer = await answer(params)
        if isinstance(answer, dict) and set(answer) == {"code", "message"}:
            return None, answer
        return answer, None

    def _touch(self):
        self.touched += 1

    async def start(self):
        names = iter(range(10_000))
        self.port, sockets = listeners(0)
        self.keys = Keys(self.token, lambda: f"code-{next(names)}", self.port)
        behind = Behind(
            dispatch=self.dispatch,
            timeline=self.timeline,
            health=lambda: self.word,
            keys=self.keys,
            page=self.page,
            version="1.2.3",
            run="r1",
            now=self.clock,
            ticks=self.ticks,
            touched=self._touch,
            **self.more,
        )
        self.web = Web(behind, self.port)
        self.server = WebServer(self.web)
        await self.server.start(sockets)
        self.url = f"http://127.0.0.1:{self.port}"
        self.bearer = {"authorization": f"Bearer {self.token}"}
        self.client = httpx.AsyncClient(base_url=self.url, headers=self.bearer, timeout=30)
        self.stranger = httpx.AsyncClient(base_url=self.url, timeout=30)
        return self

    async def close(self, deadline=5.0):
        await self.client.aclose()
        await self.stranger.aclose()
        await self.server.close(deadline)

    @property
    def connections(self):
        return self.server._server.server_state.connections

    async def quiet(self):
        """Until nobody is connected any more."""
        await self.until(lambda: not self.connections)

    async def until(self, condition):
        while not condition():  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.001)

    def happen(self, number, content=None, **fields):
        event = RawEvent(
            f"e{number}", "g", fields.pop("session", "s"), EventKind.NOTE, float(number),
            content or f"event {number}", {"type": "note", **fields},
        )  # fmt: skip
        self.timeline.add(number, event)

    async def raw(self, request, *, read=True):
        """What comes back for these bytes, to the end of the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read() if read else b""
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
def page(tmp_path):
    """The folder of a small page, with something beside it that nobody may read."""
    folder = tmp_path / "site" / "static"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "js" / "main.js").write_text("export {};")
    (folder / "js" / "notes.secret").write_text("no type of the page's")
    (folder / ".hidden.js").write_text("hidden")
    (tmp_path / "site" / "outside.js").write_text("outside")
    (folder / "link.js").symlink_to(tmp_path / "site" / "outside.js")
    return folder


@pytest.fixture
async def make_site(page):
    """Starts sites that are closed when the test ends."""
    made = []

    async def make(**fields):
        site = Site(page, **fields)
        made.append(site)
        return await site.start()

    yield make
    for site in made:
        await site.close()


@pytest.fixture
async def site(make_site):
    return await make_site()
