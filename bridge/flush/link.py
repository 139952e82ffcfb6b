"""The bridge's end of the flush worker: started, given orders, watched, replaced when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from bridge.flush.messages import (
    LINE_LIMIT,
    Beat,
    Failed,
    Flushed,
    Gone,
    Order,
    Ready,
    order_line,
    report_from,
)
from memory_manager.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bridge.flush.messages import Report, Work

_log = logging.getLogger(__name__)

#: Seconds that a worker may take to import what it needs.
_START_S = 60.0


class FlushWorker:
    """One worker process, one order at a time. It ends when its standard input does."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = dict(environment)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._ids = itertools.count(1)
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The worker's process, while there is one."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def flush(self, batch: int, *, beat: Callable[[], None], silence: float) -> Flushed:
        """Have a batch written to the graph.

        Args:
            batch: its number in the spool.
            beat: called whenever the worker shows that it lives.
            silence: seconds without a sign after which the worker is taken for hung and killed.

        Raises:
            MemoryFault: as the worker reports it; `Unavailable` also when it died or hung.
        """
        report = await self._ordered(batch, "flush", beat, silence)
        if isinstance(report, Gone):
            raise Unavailable("the flush worker found nothing to flush")
        return report

    async def summarise(
        self, batch: int, *, beat: Callable[[], None], silence: float
    ) -> Flushed | Gone:
        """Have the summary of a completed batch written; `Gone` when its events are.

        The arguments and errors are those of `flush`.
        """
        return await self._ordered(batch, "summary", beat, silence)

    async def _ordered(
        self, batch: int, work: Work, beat: Callable[[], None], silence: float
    ) -> Flushed | Gone:
        async with self._turn:
            process = await self._running()
            order = Order(next(self._ids), batch, work)
            try:
                report = await self._carried_out(process, order, beat, silence)
            except BaseException:
                # An order cut short leaves a worker that would answer the wrong question next.
                await self.stop(0.0)
                raise
        if isinstance(report, Failed):
            raise report.fault()
        return report

    async def start(self) -> None:
        """Have a worker ready before it is needed."""
        async with self._turn:
            await self._running()

    async def stop(self, deadline: float) -> None:
        """End the worker: its input closes, and after `deadline` seconds it is killed."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(deadline):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()

    async def _running(self) -> asyncio.subprocess.Process:
        process = self._process
        if process is not None and process.returncode is None:
            return process
        try:
            self._log.parent.mkdir(mode=0o700, exist_ok=True)
            with self._log.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "bridge.flush.worker",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env={**os.environ, **self._environment},
                    limit=LINE_LIMIT,
                    start_new_session=True,
                )
        except OSError as error:
            raise Unavailable(f"the flush worker can't be started: {error}") from error
        self._process = process
        try:
            async with asyncio.timeout(_START_S):
                report = await self._report(process)
        except TimeoutError as error:
            await self.stop(0.0)
            raise Unavailable("the flush worker did not start in time") from error
        if not isinstance(report, Ready):
            await self.stop(0.0)
            raise Unavailable(f"the flush worker began with {report}")
        return process

    async def _carried_out(
        self,
        process: asyncio.subprocess.Process,
        order: Order,
        beat: Callable[[], None],
        silence: float,
    ) -> Flushed | Gone | Failed:
        assert process.stdin is not None  # noqa: S101 - it was started with a pipe
        try:
            process.stdin.write(order_line(order))
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Unavailable("the flush worker died") from error
        while True:
            try:
                async with asyncio.timeout(silence):
                    report = await self._report(process)
            except TimeoutError as error:
                raise Unavailable(f"the flush worker hung for {silence:.0f} s") from error
            match report:
                case Flushed(id=order.id) | Gone(id=order.id) | Failed(id=order.id):
                    return report
                case Beat():
                    beat()
                case _:
                    _log.warning("the flush worker answered out of turn: %s", report)

    async def _report(self, process: asyncio.subprocess.Process) -> Report:
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise Unavailable("the flush worker died")
        return report_from(line)
