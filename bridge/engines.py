"""Which servers the bridge works with: its own embedded ones, or those that the settings name."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_manager.engine import Engine, EngineState
from memory_manager.errors import MemoryFault
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from metrics.recorder import Metrics

_log = logging.getLogger(__name__)

#: Seconds between attempts to start an engine that would not come up at all.
_AGAIN_S = 30.0


def resident(pid: int | None) -> int | None:
    """Resident memory of a process in bytes; None where the platform does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


@dataclass(slots=True)
class Embedded:
    """One embedded engine: started behind the socket, told of when it is there."""

    engine: Engine
    metrics: Metrics
    _task: asyncio.Task[Any] | None = None

    async def begin(self, ready: Callable[[], Coroutine[None, None, None]]) -> None:
        """Start it; `ready` is awaited once it answers for the first time. Run it as a task."""
        self._task = asyncio.current_task()
        await self._start(ready)

    async def stop(self, deadline: float) -> None:
        """End it in order."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.engine.stop(deadline=deadline)

    @property
    def up(self) -> bool:
        """Whether it answers."""
        return self.engine.state is EngineState.READY

    async def _start(self, ready: Callable[[], Coroutine[None, None, None]]) -> None:
        while True:
            try:
                await self.engine.start()
                await ready()
            except (MemoryFault, OSError) as fault:
                _log.warning("Memory plugin error: %s: %s", self.engine.spec.name, fault)
                self.metrics.count(catalog.ERRORS, tags={"where": "engine"})
                await asyncio.sleep(_AGAIN_S)
            else:
                return
