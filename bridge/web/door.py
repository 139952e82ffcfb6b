"""HTTP's part in the life of the bridge: off, bound, answering, closed.

Starlette and uvicorn are imported in a thread and only when HTTP is wanted; the port listens before
that, so that its address is known at once and who connects early waits for a moment.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.web.keys import Keys
from bridge.web.ports import listeners
from bridge.web.token_file import NAME, token_in
from memory_manager import __version__
from memory_manager.errors import Unavailable

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from bridge.timeline import Timeline
    from memory_manager.model import Json

_log = logging.getLogger(__name__)

_PAGE = Path(__file__).with_name("static")


class Door:
    """Opens HTTP when it is wanted, and lets people in."""

    def __init__(  # noqa: PLR0913 - what it stands between
        self,
        folder: Path,
        port: int | None,
        dispatch: Callable[[str, dict[str, Json]], Awaitable[tuple[Json, dict[str, Json] | None]]],
        timeline: Timeline,
        health: Callable[[], str],
        *,
        now: Callable[[], float],
        touched: Callable[[], None],
    ) -> None:
        """`folder` holds the token; `port` None: closed until somebody asks for the page."""
        self._folder = folder
        self._port = port
        self._dispatch = dispatch
        self._timeline = timeline
        self._health = health
        self._now = now
        self._touched = touched
        self._keys: Keys | None = None
        self._sockets: list[socket.socket] = []
        self._bound = 0
        # The classes come with the import, so late that they have no types here.
        self._web: Any = None
        self._server: Any = None
        self._starting = asyncio.Lock()
        self._closed = False

    @property
    def wanted(self) -> bool:
        """Whether the settings want it open from the start."""
        return self._port is not None

    @property
    def url(self) -> str | None:
        """Where it answers, or is about to; None while it is off."""
        return f"http://127.0.0.1:{self._bound}" if self._bound else None

    @property
    def clients(self) -> int:
        """Live streams that somebody reads."""
        return 0 if self._web is None else len(self._web.streams)

    def bind(self) -> None:
        """Take the port, and have the token ready for whoever is told the address.

        Raises:
            Unavailable: the port is taken, or the token file is not as it should be.
        """
        if not self._bound:
            self._bind(token_in(self._folder))

    async def start(self) -> None:
        """Answer. Once it does, nothing more happens.

        Raises:
            Unavailable: the port is taken, the token file is not as it should be, or the bridge ends.
        """
        async with self._starting:
            if self._closed:
                raise Unavailable("the bridge is ending; try again")
            if self._server is not None:
                return
            try:
                await self._open()
            except BaseException:
                self._unbind()  # who connects shall be refused, not wait for nobody
                raise
        _log.info("HTTP at %s", self.url)

    async def _open(self) -> None:
        if not self._bound:
            self._bind(await asyncio.to_thread(token_in, self._folder))
        app = await asyncio.to_thread(import_module, "bridge.web.app")
        serving = await asyncio.to_thread(import_module, "bridge.web.serving")
        behind = app.Behind(
            dispatch=self._dispatch,
            timeline=self._timeline,
            health=self._health,
            keys=self._keys,
            page=_PAGE,
            version=__version__,
            run=secrets.token_hex(4),
            now=self._now,
            ticks=time.monotonic,
            touched=self._touched,
        )
        self._web = app.Web(behind, self._bound)
        server = serving.WebServer(self._web)
        await server.start(self._sockets)
        self._server, self._sockets = server, []

    async def invite(self, _params: dict[str, Json]) -> Json:
        """The method `web`: open, and with what to come in.

        The code is good once, for a minute; it is meant for the address's fragment, which no
        browser sends and no log keeps.
        """
        await self.start()
        assert self._keys is not None  # noqa: S101 - `start` raises, or has made them
        return {
            "url": self.url,
            "code": self._keys.invite(self._now()),
            "token_file": str(self._folder / NAME),
        }

    async def close(self, deadline: float) -> None:
        """Take nobody else in, end the streams, finish what is under way within `deadline` seconds."""
        self._closed = True
        if self._server is not None:
            await self._server.close(deadline)
        self._unbind()

    def _bind(self, token: str) -> None:
        self._bound, self._sockets = listeners(self._port or 0)
        self._keys = Keys(token, lambda: secrets.token_urlsafe(24), self._bound)

    def _unbind(self) -> None:
        for listener in self._sockets:
            listener.close()
        self._sockets, self._bound = [], 0
