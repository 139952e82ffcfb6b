"""When each session's window was last compacted: what is older has left the model's sight."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bridge.remembered import Remembered
from memory_manager.model import EventKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from memory_manager.model import RawEvent
    from memory_manager.spool.thread import SpoolThread

#: Sessions remembered, and for how many seconds unasked; then the spool is read again.
_MOST, _IDLE_S = 4096, 6 * 3600.0


class Windows:
    """Remembers compactions, so that a question does not wait for the spool to say so."""

    def __init__(self, spool: SpoolThread, now: Callable[[], float] = time.monotonic) -> None:
        self._spool = spool
        #: By project and session; 0: never compacted.
        self.known: Remembered[tuple[str, str], float] = Remembered(_MOST, _IDLE_S, now)
        #: Told of a session that is over.
        self.over: Callable[[str], None] = lambda _session: None

    async def compacted_at(self, group: str, session: str) -> float | None:
        """Seconds since the epoch; None: never."""
        key = (group, session)
        known = self.known.get(key)
        if known is None:
            at = await self._spool.call(lambda spool: spool.compacted_at(group, session))
            known = max(at or 0.0, self.known.get(key) or 0.0)
            self.known.put(key, known)
        return known or None

    def note(self, events: Iterable[RawEvent]) -> None:
        """Take notice of what was just spooled."""
        for event in events:
            key = (event.group, event.session)
            if event.kind is EventKind.COMPACTION:
                self.known.put(key, max(event.at, self.known.get(key) or 0.0))
            elif ended(event):
                self.known.forget(key)
                self.over(event.session)


def ended(event: RawEvent) -> bool:
    """Whether the session is over, or gone."""
    return event.kind is EventKind.SESSION and event.metadata.get("change") != "created"
