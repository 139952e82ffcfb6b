"""A whole bridge in this process: real spool, ledger and socket; memory, cache and worker in memory."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import pytest

from bridge.app import App
from bridge.cache.protocol import FakeCache
from bridge.flush.messages import Order
from bridge.flush.worker import Worker
from bridge.settings import BridgeSettings
from memory_manager.memory import FakeMemory
from memory_manager.settings import MemorySettings
from memory_manager.spool.store import Spool
from metrics.recorder import RecordedMetrics
from metrics.settings import MetricsSettings

#: Long enough for any machine; a test that wants a deadline to pass sets one.
_PATIENT = {"chat_deadline_ms": 60_000, "hook_deadline_ms": 60_000}


class NearWorker:
    """The flush worker without its process."""

    pid = os.getpid()

    def __init__(self, path, memory):
        self._spool = Spool.open(path, readonly=True)
        self._worker = Worker(self._spool, memory)

    async def flush(self, batch, *, beat, silence):
        beat()
        return await self._worker.flush(Order(1, batch))

    async def summarise(self, batch, *, beat, silence):
        beat()
        return await self._worker.summarise(Order(1, batch, "summary"))

    async def stop(self, deadline):
        self._spool.close()


@dataclass
class Bridge:
    """An open `App`, and what it told its metrics."""

    app: App
    recorded: RecordedMetrics

    @property
    def parts(self):
        return self.app.parts

    async def hook(self, name, payload, **params):
        result, error = await self.app.dispatch(
            "hook", {"name": name, "payload": payload, "cwd": "/elsewhere", **params}
        )
        assert error is None
        return result

    async def call(self, method, **params):
        result, error = await self.app.dispatch(method, {"cwd": "/elsewhere", **params})
        assert error is None, error
        return result

    async def rows(self):
        return await self.parts.spool.call(lambda spool: spool.tail(flushed_since=0.0, limit=9999))

    def hurry(self, **milliseconds):
        """Deadlines that are to pass."""
        self.app.settings = self.app.settings.model_copy(update=milliseconds)
        self.parts.settings = self.app.dispatch._settings = self.app.settings


@pytest.fixture
async def bridge(tmp_path, own_folders, monkeypatch):
    async def nothing(self):
        return None

    monkeypatch.setattr(App, "_bring_in", nothing)
    memory = MemorySettings(data_dir=tmp_path / "data")
    settings = BridgeSettings(socket=str(own_folders / "run" / "b.sock"), **_PATIENT)
    app = App(memory, settings, MetricsSettings())
    made = Bridge(app, RecordedMetrics())
    app._late.arrive(made.recorded)
    await app.open()
    app.parts.memory = FakeMemory()
    app.parts.cache = FakeCache(time.time)
    app.worker = app.sweep.worker = NearWorker(memory.spool_path, app.parts.memory)
    yield made
    await app.close()
