"""What comes in behind the socket: cache, graph and metrics client, and whether they are there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING

from bridge.cache import keys
from bridge.cache.protocol import CacheOutcome
from bridge.engines import Embedded, resident
from bridge.server import own_folder
from memory_manager.embed import open_embedder
from memory_manager.engine import Engine, EngineState
from memory_manager.engine_spec import (
    falkordb_binaries,
    falkordb_spec,
    valkey_binary,
    valkey_spec,
)
from memory_manager.errors import MemoryFault
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from bridge.parts import Parts
    from memory_manager.engine_spec import EngineSpec
    from memory_manager.model import Json
    from memory_manager.settings import MemorySettings

_log = logging.getLogger(__name__)

#: Words of the degradation ladder and the gauge's value for each.
LADDER = {"live": 0, "no-cache": 1, "no-graph": 2, "spool-only": 3}

#: Seconds that the graph may take to say that it is there, before a flush.
_PROBE_S = 2.0
#: The cache is asked this often before it is called away: its breaker forgives fewer.
_PROBES = 4
#: What it is asked, in no project's name.
_PROBE_GROUP = "probe"
#: Seconds until a part that could not be brought in is tried again.
_AGAIN_S = 30.0


class Arrivals:
    """Brings cache and graph into `parts`, embedded or by address, and watches over them."""

    def __init__(
        self,
        parts: Parts,
        memory: MemorySettings,
        sockets: Path,
        worker: Callable[[], int | None],
    ) -> None:
        """`sockets` is the folder of the embedded engines' sockets; `worker` gives the worker's pid."""
        self._parts = parts
        self._memory = memory
        self._sockets = sockets
        self._worker = worker
        self._engines: list[Embedded] = []
        self._graph_up = False

    async def bring_in(self) -> None:
        """Everything, one after the other: two imports at once only fight for the interpreter.

        The tail comes in beside them: after a large backlog that takes seconds.
        """
        self._parts.background(self.brought(self._parts.tailing.load), "load the tail")
        for part in (self._bring_cache, self._bring_graph):
            await self.brought(part)

    async def close(self, deadline: float) -> None:
        """End the embedded engines; each within `deadline` seconds."""
        await asyncio.gather(*(engine.stop(deadline) for engine in self._engines))

    @property
    def degradation(self) -> str:
        """One word of `LADDER`, as of the last look."""
        graph = self._graph_up and all(
            item.up for item in self._engines if item.engine.spec.name == "falkordb"
        )
        cache = self._parts.cache.healthy
        if graph:
            return "live" if cache else "no-cache"
        return "no-graph" if cache else "spool-only"

    def engines(self) -> dict[str, Json]:
        """The embedded engines by name: pid and state."""
        return {
            item.engine.spec.name: {
                "pid": item.engine.pid,
                "state": str(item.engine.state),
                "memory_bytes": resident(item.engine.pid),
            }
            for item in self._engines
        }

    def resident(self) -> dict[str, int]:
        """Resident memory of our processes by name, in bytes, where the platform tells."""
        pids = {"bridge": os.getpid(), "worker": self._worker()}
        pids |= {item.engine.spec.name: item.engine.pid for item in self._engines}
        sizes = {name: resident(pid) for name, pid in pids.items()}
        return {name: size for name, size in sizes.items() if size is not None}

    async def graph_answers(self) -> bool:
        """Ask the graph whether it is there."""
        memory, answers = self._parts.memory, False
        if memory is not None:
            with contextlib.suppress(MemoryFault, TimeoutError):
                async with asyncio.timeout(_PROBE_S):
                    await memory.ready()
                answers = True
        self._graph_up = answers
        return answers

    async def look(self) -> None:
        """Ask graph and cache whether they are there: nobody else may be asking them now."""
        await self.graph_answers()
        key = keys.entry_key(_PROBE_GROUP, "", 0, 0)
        for _ in range(_PROBES):
            found = await self._parts.cache.lookup(_PROBE_GROUP, key)
            if found.outcome is not CacheOutcome.BYPASS:
                break

    async def brought(self, part: Callable[[], Coroutine[None, None, None]]) -> None:
        """One part; what fails is tried again behind the others, which don't wait for it."""
        try:
            await part()
        except (MemoryFault, OSError, ValueError) as fault:
            _log.warning("Memory plugin error: not brought in yet: %s", fault)
            self._parts.metrics.count(catalog.ERRORS, tags={"where": "engine"})
            self._parts.background(self._brought_later(part), "bring in again")

    async def _brought_later(self, part: Callable[[], Coroutine[None, None, None]]) -> None:
        await asyncio.sleep(_AGAIN_S)
        await self.brought(part)

    async def _bring_cache(self) -> None:
        settings = self._parts.settings
        if settings.embedded_cache:
            data = self._memory.data_dir / "valkey"
            self._embed(
                lambda: valkey_spec(valkey_binary(), data, self._sockets),
                lambda: self._open_cache(f"unix://{self._sockets}/valkey.sock"),
            )
        else:
            host = f"redis://{settings.valkey_host}:{settings.valkey_port}"
            await self._open_cache(settings.valkey_url or host)

    async def _bring_graph(self) -> None:
        if self._memory.embedded_graph:
            data = self._memory.data_dir / "falkordb"
            coming = self._embed(
                lambda: falkordb_spec(falkordb_binaries(), data, self._sockets),
                lambda: self._open_graph(str(self._sockets / "falkordb.sock")),
            )
            if not coming:
                self._parts.graph_came.set()  # nobody shall wait for it
        else:
            await self._open_graph("")

    def _embed(
        self, spec: Callable[[], EngineSpec], ready: Callable[[], Coroutine[None, None, None]]
    ) -> bool:
        """Start an engine in the background; False: this platform has none."""
        try:
            own_folder(self._sockets)
            engine = Engine(spec(), on_state=self._engine_state)
        except MemoryFault as fault:
            _log.warning("Memory plugin error: %s", fault)
            return False
        embedded = Embedded(engine, self._parts.metrics)
        self._engines.append(embedded)
        self._parts.background(embedded.begin(ready), f"start {engine.spec.name}")
        return True

    def _engine_state(self, name: str, state: EngineState) -> None:
        _log.info("%s is %s", name, state)
        if state is EngineState.DOWN:
            self._parts.metrics.count(catalog.ENGINE_RESTARTS, tags={"engine": name})

    async def _open_cache(self, url: str) -> None:
        module = await asyncio.to_thread(import_module, "bridge.cache.valkey")
        self._parts.cache = module.ValkeyCache(
            module.ValkeyLink(url), ttl=self._parts.settings.cache_ttl_s, clock=self._parts.now
        )
        _log.info("Valkey cache at %s", url.rpartition("@")[2])

    async def _open_graph(self, socket: str) -> None:
        settings = self._memory
        module = await asyncio.to_thread(import_module, "memory_manager.graph.memory")
        embedder = await asyncio.to_thread(open_embedder, settings.embedder)
        self._parts.memory = module.GraphMemory.open(settings, embedder, socket=socket)
        _log.info("graph opened")
        self._parts.graph_came.set()
