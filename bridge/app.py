"""The composition root: opens everything, closes everything in order, and never raises outside.

Order of opening: what answers first comes first. The socket listens as soon as the spool is open;
engines, Graphiti and the metrics client are brought in behind it, and until they are there the
answers say less and nothing waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.arrivals import Arrivals
from bridge.commands import Commands
from bridge.dispatch import Dispatch
from bridge.flush.link import FlushWorker
from bridge.flush.policy import policy_of
from bridge.flush.sweep import OWNER, Sweep
from bridge.forwarding import Forwarding
from bridge.handlers import Handlers
from bridge.history.archive import Archive
from bridge.ledger import Ledger
from bridge.metering import LateMetrics
from bridge.operations import Operations
from bridge.parts import Parts
from bridge.projects import Projects
from bridge.server import SocketServer, sockets_folder
from bridge.streaming import Streaming
from bridge.tailing import Tailing
from bridge.timeline import Timeline
from bridge.tools.table import Tools
from bridge.upkeep import Upkeep
from bridge.views import Views
from bridge.web.door import Door
from bridge.web.history import fill
from bridge.windows import Windows
from memory_manager import __version__
from memory_manager.errors import MemoryFault
from memory_manager.spool import redact
from memory_manager.spool.reading import SpoolReader
from memory_manager.spool.store import Spool
from memory_manager.spool.thread import SpoolThread
from metrics import catalog, open_metrics
from metrics.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from bridge.settings import BridgeSettings
    from memory_manager.model import Json
    from memory_manager.settings import MemorySettings
    from memory_manager.spool.batches import Batch
    from metrics.settings import MetricsSettings

_log = logging.getLogger(__name__)

#: Seconds that each step of the shutdown may take.
_CLOSE_S = 5.0


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
        self._late = LateMetrics()
        self.metrics = Totals(self._late)
        self._sockets = sockets_folder(Path(bridge.socket))
        self._background: set[asyncio.Task[Any]] = set()
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
        if self.web.wanted:
            # Whoever asks first is told the address; what answers there comes behind the socket.
            with contextlib.suppress(MemoryFault):
                self.web.bind()
        await self.server.listen()
        _log.info("listening at %s, version %s", self.settings.socket, __version__)
        self._spawn(self._bring_in(), "bring in")
        self._spawn(self.sweep.run(), "sweep")
        self._spawn(self.upkeep.run(), "upkeep")
        self._spawn(fill(self.timeline, self._open_reader), "fill the timeline")
        if self.web.wanted:
            self._spawn(self.arrivals.brought(self.web.start), "open HTTP")

    def _assemble(self, spool: SpoolThread) -> None:
        folder = self.memory_settings.data_dir
        windows = Windows(spool)
        self.timeline = Timeline(
            self.settings.max_event_history, self.settings.max_event_history_bytes
        )
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
                timeline=self.timeline,
                open_reader=lambda: Spool.open(
                    self.memory_settings.spool_path, now=self.now, readonly=True, timeout=0.05
                ),
            ),
            ledger=Ledger(folder / "ledger.sqlite3", now=self.now),
            windows=windows,
            projects=Projects(spool, self.memory_settings.project, time.monotonic),
            background=self._spawn,
        )
        self.arrivals = Arrivals(
            self.parts, self.memory_settings, self._sockets, lambda: self.worker.pid
        )
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
        self.operations = Operations(self.parts, self.sweep, self._open_reader, folder)
        self.views = Views(
            self.parts, self.metrics, self._open_reader, lambda: self.arrivals.degradation
        )
        table = {**self.commands.table, **self.views.table, **self.operations.table}
        table |= Tools(self.parts, self.sweep, self._open_reader).table
        forwarding = Forwarding(self.parts, self._sockets, table.__contains__)
        table |= forwarding.table
        self.dispatch = Dispatch(self.handlers, table, self.settings, self.metrics, self._keep)
        self.streaming = Streaming(self.parts, self.dispatch, self.sweep.news)
        self.handlers.heard = self.streaming.seen
        table["event"] = self.streaming.event
        self.archive = Archive(
            self.parts,
            folder,
            os.environ,
            self._open_reader,
            news=self.sweep.news,
            family=self.streaming.family,
        )
        table |= self.archive.table
        forwarding.greeted = self._catch_up
        self.upkeep = Upkeep(
            self.parts,
            self.arrivals,
            self._clients,
            self.end,
            {"windows": windows.known, "prompts": self.handlers.prompts},
        )
        windows.over = self.handlers.prompts.forget
        self.web = Door(
            folder,
            self.settings.port,
            self.dispatch,
            self.timeline,
            self._condition,
            now=self.now,
            touched=self.upkeep.touched,
        )
        table["web"] = self.web.invite
        self.server = SocketServer(Path(self.settings.socket), self.dispatch, self.upkeep.touched)

    def end(self) -> None:
        """Ask for an orderly end."""
        self.ended.set()

    async def close(self) -> None:
        """Producers, timers, drain, persist, stores, engines last; each step within a deadline."""
        if not self._opened:
            return
        self._opened = False
        parts = self.parts
        await self.web.close(_CLOSE_S)
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
        self.archive.close()
        await parts.cache.close()
        if parts.memory is not None:
            await parts.memory.close()
        await self.arrivals.close(_CLOSE_S)
        await asyncio.to_thread(self.metrics.close)
        _log.info("ended in order")

    def _open_reader(self) -> SpoolReader:
        return SpoolReader.open(self.memory_settings.spool_path, now=self.now, readonly=True)

    # State

    def _condition(self) -> str:
        # A disk that takes nothing is no step of the ladder: questions are answered as before.
        return "unwritable" if self.parts.tailing.fault else self.arrivals.degradation

    def _clients(self) -> int:
        return self.server.clients + self.web.clients

    def identity(self) -> dict[str, Json]:
        """Who answers, and where."""
        return {
            "socket": self.settings.socket,
            "pid": os.getpid(),
            "version": __version__,
            "url": self.web.url,
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
            "memory": dict(self.arrivals.resident()),
            "cache": "ok" if self.parts.cache.healthy else "bypass",
            "disk": self.parts.tailing.fault or "ok",
        }

    def _catch_up(self, directory: str, worktree: str) -> None:
        self._spawn(self.archive.catch_up(directory, worktree), "catch up with OpenCode")

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

    async def _bring_in(self) -> None:
        """What comes behind the socket, each part on its own: none's failure holds up another."""
        # The worker's imports take longest, and are its own process's.
        self._spawn(self.arrivals.brought(self.worker.start), "start the worker")
        self._spawn(self._bring_metrics(), "open metrics")
        await self.arrivals.bring_in()
        await self.parts.graph_came.wait()
        self.sweep.news()
        self._spawn(self.upkeep.settle(), "settle")
        # What has been imported stays: a full collection that walks over it again and again would
        # be the longest pause that a hook meets.
        gc.freeze()

    async def _bring_metrics(self) -> None:
        # Opening imports the client library: a tenth of a second, not on the loop's account.
        self._late.arrive(await asyncio.to_thread(open_metrics, self.metrics_settings))

    def _worker_environment(self) -> dict[str, str]:
        environment = {"OPENCODE_MEM_DATA_DIR": str(self.memory_settings.data_dir)}
        if self.memory_settings.embedded_graph:
            environment["OPENCODE_MEM_GRAPH_SOCKET"] = str(self._sockets / "falkordb.sock")
        return environment

    async def _landed(self, batch: Batch, paths: Sequence[str]) -> None:
        await self.parts.cache.invalidate(batch.group, paths)
        self.parts.tailing.flushed(batch)
