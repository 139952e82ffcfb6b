"""The composition root: opens everything, closes everything in order, and never raises outside.

Order of opening: what answers first comes first. The socket listens as soon as the spool is open;
engines, Graphiti and the metrics client are brought in behind it, and until they are there the
answers say less and nothing waits.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.arrivals import LADDER, Arrivals
from bridge.commands import Commands
from bridge.dispatch import Dispatch
from bridge.flush.link import FlushWorker
from bridge.flush.policy import policy_of
from bridge.flush.sweep import OWNER, Sweep
from bridge.handlers import Handlers
from bridge.ledger import Ledger
from bridge.metering import LateMetrics
from bridge.parts import Parts
from bridge.projects import Projects
from bridge.server import SocketServer
from bridge.tailing import Tailing
from bridge.windows import Windows
from memory_manager import __version__
from memory_manager.spool import redact
from memory_manager.spool.batches import BatchState
from memory_manager.spool.store import Spool
from memory_manager.spool.thread import SpoolThread
from metrics import catalog, open_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from bridge.settings import BridgeSettings
    from memory_manager.model import Json
    from memory_manager.settings import MemorySettings
    from memory_manager.spool.batches import Batch, Status
    from metrics.settings import MetricsSettings

_log = logging.getLogger(__name__)

#: Seconds that each step of the shutdown may take.
_CLOSE_S = 5.0
#: Seconds between looks at idleness, gauges and the tail's age.
_UPKEEP_S = 10.0


class App:
    """The bridge. `open`, then `ended` is awaited, then `close`."""

    def __init__(
        self,
        memory: MemorySettings,
        bridge: BridgeSettings,
        metrics: MetricsSettings,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.memory_settings = memory
        self.settings = bridge
        self.metrics_settings = metrics
        self.now = now
        self.ended = asyncio.Event()
        self.metrics = LateMetrics()
        self._sockets = sockets_folder(Path(bridge.socket))
        self._background: set[asyncio.Task[Any]] = set()
        self._active = time.monotonic()
        self._opened = False

    # Life

    async def open(self) -> None:
        """Open the spool and the socket, then bring the rest in behind them.

        Raises:
            MemoryFault: the spool or the socket can't be opened.
        """
        path = self.memory_settings.spool_path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        spool = await SpoolThread.start(lambda: Spool.open(path, now=self.now))
        try:
            self._assemble(spool)
        except BaseException:
            await spool.close(_CLOSE_S)  # its thread would keep the process from ending
            raise
        self._opened = True
        # Whatever was started belongs to a bridge that is gone: the lock says so.
        await spool.call(lambda store: store.release(OWNER))
        # The redaction rules take a quarter of a second to load: before the first hook, not in it.
        await asyncio.to_thread(redact.warm)
        await self.server.listen()
        _log.info("listening at %s, version %s", self.settings.socket, __version__)
        self._spawn(self._bring_in(), "bring in")
        self._spawn(self.sweep.run(), "sweep")
        self._spawn(self._upkeep(), "upkeep")

    def _assemble(self, spool: SpoolThread) -> None:
        folder = self.memory_settings.data_dir
        windows = Windows(spool)
        self.parts = Parts(
            settings=self.settings,
            now=self.now,
            metrics=self.metrics,
            spool=spool,
            tailing=Tailing(
                spool,
                windows,
                self.settings,
                self.metrics,
                self.now,
                open_reader=lambda: Spool.open(
                    self.memory_settings.spool_path, now=self.now, readonly=True, timeout=0.05
                ),
            ),
            ledger=Ledger(folder / "ledger.sqlite3", now=self.now),
            windows=windows,
            projects=Projects(spool, self.memory_settings.project, time.monotonic),
            background=self._spawn,
        )
        self.arrivals = Arrivals(self.parts, self.memory_settings, self._sockets)
        self.worker = FlushWorker(self._worker_environment(), folder / "log" / "worker.log")
        self.sweep = Sweep(
            spool=spool,
            worker=self.worker,
            policy=policy_of(self.settings),
            interval=self.settings.sweeper_interval_ms / 1000,
            metrics=self.metrics,
            landed=self._landed,
            available=self.arrivals.graph_answers,
            now=self.now,
        )
        self.handlers = Handlers(self.parts, self.sweep)
        self.commands = Commands(self.parts, self.sweep, self)
        self.dispatch = Dispatch(
            self.handlers, self.commands.table, self.settings, self.metrics, self._keep
        )
        self.server = SocketServer(Path(self.settings.socket), self.dispatch, self._touched)

    def end(self) -> None:
        """Ask for an orderly end."""
        self.ended.set()

    async def close(self) -> None:
        """Producers, timers, drain, persist, stores, engines last; each step within a deadline."""
        if not self._opened:
            return
        self._opened = False
        parts = self.parts
        await self.server.close(_CLOSE_S)
        parts.projects.close()
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.worker.stop(_CLOSE_S)
        await parts.tailing.close()
        if left := await parts.spool.close(_CLOSE_S):
            _log.error("Memory plugin error: %d spool operations were not finished", left)
        parts.ledger.close()
        await parts.cache.close()
        if parts.memory is not None:
            await parts.memory.close()
        await self.arrivals.close(_CLOSE_S)
        await asyncio.to_thread(self.metrics.close)
        _log.info("ended in order")

    # State

    def identity(self) -> dict[str, Json]:
        """Who answers, and where."""
        return {
            "socket": self.settings.socket,
            "pid": os.getpid(),
            "version": __version__,
            "url": None,
        }

    async def health(self) -> dict[str, Json]:
        """The degradation word and the state of every part, as they are now."""
        await self.arrivals.look()
        return {
            "degradation": self.arrivals.degradation,
            **self.identity(),
            "data": str(self.memory_settings.data_dir),
            "clients": self.server.clients,
            "engines": self.arrivals.engines(),
            "worker": self.worker.pid,
            "cache": "ok" if self.parts.cache.healthy else "bypass",
        }

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        """Do something behind the answer; its failure is logged and counted, nothing else."""
        self._keep(asyncio.create_task(work, name=name))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._background.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("Memory plugin error: %s failed", task.get_name(), exc_info=error)
            self.metrics.count(catalog.ERRORS, tags={"where": "background"})

    def _touched(self) -> None:
        self._active = time.monotonic()

    async def _bring_in(self) -> None:
        """What comes behind the socket, each part on its own: none's failure holds up another."""
        # The worker's imports take longest, and are its own process's.
        self._spawn(self.arrivals.brought(self.worker.start), "start the worker")
        self._spawn(self._bring_metrics(), "open metrics")
        await self.arrivals.bring_in()
        await self.parts.graph_came.wait()
        self.sweep.news()
        # What has been imported stays: a full collection that walks over it again and again would
        # be the longest pause that a hook meets.
        gc.freeze()

    async def _bring_metrics(self) -> None:
        # Opening imports the client library: a tenth of a second, not on the loop's account.
        self.metrics.arrive(await asyncio.to_thread(open_metrics, self.metrics_settings))

    def _worker_environment(self) -> dict[str, str]:
        environment = {"OPENCODE_MEM_DATA_DIR": str(self.memory_settings.data_dir)}
        if self.memory_settings.embedded_graph:
            environment["OPENCODE_MEM_GRAPH_SOCKET"] = str(self._sockets / "falkordb.sock")
        return environment

    async def _landed(self, batch: Batch, paths: Sequence[str]) -> None:
        await self.parts.cache.invalidate(batch.group, paths)
        self.parts.tailing.flushed(batch)

    async def _upkeep(self) -> None:
        pause = min(_UPKEEP_S, self.settings.idle_exit_s or _UPKEEP_S)
        while True:
            # Each round is a task of its own, so that a failed one is logged and the next comes.
            self._spawn(self._look_after(), "upkeep round")
            await asyncio.sleep(pause)

    async def _look_after(self) -> None:
        await self.parts.tailing.upkeep()
        await asyncio.to_thread(self.parts.ledger.checkpoint)
        await self.arrivals.look()
        self.metrics.gauge(catalog.DEGRADATION, LADDER[self.arrivals.degradation])
        self._measure(await self.parts.spool.call(Spool.status))
        if await self._idle():
            _log.info("idle for %d s: ending", self.settings.idle_exit_s)
            self.end()

    def _measure(self, status: Status) -> None:
        self.metrics.gauge(catalog.SPOOL_PENDING, status.pending)
        self.metrics.gauge(catalog.SPOOL_OLDEST_AGE, status.oldest_age)
        for state in BatchState:
            self.metrics.gauge(
                catalog.BATCHES, status.batches.get(state, 0), tags={"state": str(state)}
            )

    async def _idle(self) -> bool:
        limit = self.settings.idle_exit_s
        if limit == 0 or self.server.clients or time.monotonic() - self._active < limit:
            return False
        return not await self.parts.spool.call(Spool.backlog)


def sockets_folder(bridge_socket: Path) -> Path:
    """Where the embedded engines' sockets stand: beside the bridge's, in a folder of its name."""
    folder = bridge_socket.with_suffix("")
    return folder if folder != bridge_socket else folder.with_name(folder.name + ".d")
