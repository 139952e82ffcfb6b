"""When each session's window was last compacted: what is older has left the model's sight."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from memory_manager.model import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_manager.model import RawEvent
    from memory_manager.spool.thread import SpoolThread

#: Sessions remembered; the longest unasked leave first and are read from the spool again.
_MOST = 4096


class Windows:
    """Remembers compactions, so that a question does not wait for the spool to say so."""

    def __init__(self, spool: SpoolThread) -> None:
        self._spool = spool
        self._known: OrderedDict[tuple[str, str], float | None] = OrderedDict()

    async def compacted_at(self, group: str, session: str) -> float | None:
        """Seconds since the epoch; None: never."""
        key = (group, session)
        if key not in self._known:
            at = await self._spool.call(lambda spool: spool.compacted_at(group, session))
            self._known[key] = max(filter(None, (at, self._known.get(key))), default=None)
        self._known.move_to_end(key)
        self._trim()
        return self._known[key]

    def note(self, events: Iterable[RawEvent]) -> None:
        """Take notice of what was just spooled."""
        for event in events:
            if event.kind is EventKind.COMPACTION:
                key = (event.group, event.session)
                self._known[key] = max(event.at, self._known.get(key) or 0.0)
                self._known.move_to_end(key)
        self._trim()

    def _trim(self) -> None:
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
