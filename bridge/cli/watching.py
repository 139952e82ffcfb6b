"""A progress bar for a request that is one long wait: what is pending, asked again and again."""

from __future__ import annotations

import contextlib
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridge.cli.show import working
from memory_manager.errors import MemoryFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.asking import Bridge

#: Seconds between two looks.
_LOOK_S = 0.5


@contextmanager
def while_pending(bridge: Bridge, what: str) -> Iterator[None]:
    """Draw how the backlog falls, on a terminal; elsewhere do nothing."""
    if not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    with working(what) as tell:
        watcher = threading.Thread(target=_watch, args=(bridge, tell, ended), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def _watch(
    bridge: Bridge, tell: Callable[[float, float | None], None], ended: threading.Event
) -> None:
    most = 0
    while not ended.wait(_LOOK_S):
        with contextlib.suppress(MemoryFault):
            spool = bridge.asked("status", deadline=2, start=False).get("spool")
            pending = spool.get("pending") if isinstance(spool, dict) else None
            if isinstance(pending, int):
                most = max(most, pending)
                tell(most - pending, most)
