"""What handlers and commands work with: everything that is open, handed over as one value.

`app.py` makes it and puts memory and cache in when they have come; nothing here opens or closes.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.cache.protocol import NullCache
from bridge.passages import Passages
from memory_manager.errors import Unavailable
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from bridge.cache.protocol import ContextCache
    from bridge.ledger import Ledger
    from bridge.projects import Projects
    from bridge.settings import BridgeSettings
    from bridge.tailing import Tailing
    from bridge.windows import Windows
    from memory_manager.memory import Memory
    from memory_manager.spool.thread import SpoolThread
    from metrics.recorder import Metrics


@dataclass(slots=True)
class Parts:
    """The open parts of one bridge. `memory` is None and `cache` empty until they have come."""

    settings: BridgeSettings
    now: Callable[[], float]
    metrics: Metrics
    spool: SpoolThread
    tailing: Tailing
    ledger: Ledger
    projects: Projects
    windows: Windows
    background: Callable[[Coroutine[None, None, None], str], None]
    memory: Memory | None = None
    graph_came: asyncio.Event = field(default_factory=asyncio.Event)
    cache: ContextCache = field(default_factory=NullCache)
    #: Messages of which a part has opened a private passage.
    passages: Passages = field(default_factory=Passages)

    def __post_init__(self) -> None:
        self.tailing.outdate = self.outdate

    async def outdate(self, group: str, paths: Iterable[str]) -> None:
        """Nothing cached that depends on these paths is given out again."""
        ok = await self.cache.invalidate(group, paths)
        self.metrics.count(catalog.INVALIDATIONS, tags={"outcome": "ok" if ok else "failed"})

    def graph(self) -> Memory:
        """The graph.

        Raises:
            Unavailable: it is not there yet.
        """
        if self.memory is None:
            raise Unavailable("the graph is not ready yet; try again")
        return self.memory

    async def graph_soon(self, patience: float) -> Memory:
        """The graph; while the bridge starts, it may take `patience` seconds to come.

        Raises:
            Unavailable: it has not come.
        """
        if self.memory is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self.graph_came.wait()
        return self.graph()
