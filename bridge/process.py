"""The resident process: one for each data folder, in order from the first byte to the last.

`python -m bridge serve` ends here. Heavy imports happen after the socket listens.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import logging.handlers
import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING

from pydantic import ValidationError

from bridge.app import App
from bridge.log_lines import to_log
from bridge.settings import BridgeSettings
from bridge.settings_table import explained
from memory_manager import contract
from memory_manager.errors import MemoryFault
from memory_manager.settings import MemorySettings
from metrics.settings import MetricsSettings

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

#: Seconds after which a busy thread lets the others run.
_SWITCH_S = 0.0005
_LOG_BYTES, _LOG_FILES = 4 * 1024 * 1024, 3


def serve() -> int:
    """Run the bridge in the foreground until it is told to end. Returns the exit status."""
    try:
        memory, bridge, metrics = MemorySettings(), BridgeSettings(), MetricsSettings()
    except ValidationError as error:
        print(explained(error), file=sys.stderr)
        return contract.MALFORMED
    os.umask(0o077)
    try:
        memory.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _only_one(memory.data_dir / "bridge.lock")
    except OSError as error:
        print(
            f"opencode-mem: the data folder {memory.data_dir} can't be used: {error}; "
            "set OPENCODE_MEM_DATA_DIR to another one",
            file=sys.stderr,
        )
        return contract.FAILED
    if lock is None:
        print(f"opencode-mem: a bridge is already running for {memory.data_dir}", file=sys.stderr)
        return contract.DONE
    _logging(memory.data_dir / "log")
    # The spool's thread redacts and commits beside the loop: the default of 5 ms is the time that
    # a hook could wait for the interpreter.
    sys.setswitchinterval(_SWITCH_S)
    try:
        return asyncio.run(_resident(App(memory, bridge, metrics)))
    finally:
        os.close(lock)


async def _resident(app: App) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _told, app, number)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    try:
        await app.open()
        await app.ended.wait()
    except (MemoryFault, OSError) as fault:
        _log.critical("the bridge can't start: %s", fault)
        print(f"opencode-mem: {fault}", file=sys.stderr)
        return contract.FAILED
    finally:
        await app.close()
    return contract.DONE


def _told(app: App, number: int) -> None:
    if app.ended.is_set():
        # The second signal: whoever sends it does not want to wait. Engines and worker are on
        # leashes that end them with us; what was acknowledged is on disk.
        os._exit(128 + number)
    _log.info("told to end by signal %s", signal.Signals(number).name)
    app.end()


def _only_one(path: Path) -> int | None:
    """The lock of the data folder, held as long as we live; None when somebody has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _logging(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(
            folder / "bridge.log", maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8"
        )
    ]
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
    to_log(logging.INFO, handlers)
    for noisy in ("httpx", "openai", "graphiti_core"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
