"""What a history tells goes into the spool: known events are passed over, the rest made beside the loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from memory_manager.model import EventKind
from memory_manager.reporting import standings_of_hook
from memory_manager.spool.opened import Opened
from memory_manager.stream_events import raw_events, reported
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bridge.parts import Parts
    from memory_manager.model import RawEvent
    from memory_manager.project import Project
    from memory_manager.spool.reading import SpoolReader
    from memory_manager.stream import Told

#: Events of one append, and the characters that are enough for one: what lives waits behind it.
_EVENTS, _TEXT = 40, 256 * 1024
#: Seconds that everybody else is given between two appends.
_BREATH_S = 0.002


@dataclass(frozen=True, slots=True)
class Count:
    """What became of some events: new ones, known ones, and those not worth keeping."""

    inserted: int = 0
    known: int = 0
    ignored: int = 0

    def plus(self, other: Count) -> Count:
        """Both."""
        return Count(
            self.inserted + other.inserted,
            self.known + other.known,
            self.ignored + other.ignored,
        )


class Spooling:
    """Stores what one reading tells, in its order."""

    def __init__(
        self,
        parts: Parts,
        open_reader: Callable[[], SpoolReader],
        news: Callable[[], None],
        *,
        counts_tokens: bool = False,
    ) -> None:
        """`counts_tokens`: what turns used is told to the metrics; not of a time long gone."""
        self._parts = parts
        self._open_reader = open_reader
        self._news = news
        self._counts_tokens = counts_tokens
        self._opened = Opened()

    async def store(
        self, told: Sequence[Told], cwd: str, project: Project, *, dry: bool = False
    ) -> Count:
        """Keep what is new; `dry`: only count it.

        Raises:
            MemoryFault: the spool can't be read or written; a part may be in it.
        """
        made, counted = await asyncio.to_thread(self._made, told, cwd, project)
        events, count = made
        if dry or not events:
            return count
        self._parts.tailing.redacted(counted)
        inserted = 0
        for some in _pieces(events):
            receipt = await self._parts.tailing.append(partial(_given, some), 0)
            inserted += receipt.inserted
            if self._counts_tokens:
                self._count(some, receipt.new)
            await asyncio.sleep(_BREATH_S)
        self._news()
        return Count(inserted, count.known + len(events) - inserted, count.ignored)

    def _made(
        self, told: Sequence[Told], cwd: str, project: Project
    ) -> tuple[tuple[list[RawEvent], Count], Counter[str]]:
        counted: Counter[str] = Counter()
        now = self._parts.now()
        events = [event for item in told for event in reported(item, cwd, project, now, counted)]
        reader = self._open_reader()
        try:
            known = reader.known(project.group, [event.event_id for event in events])
        finally:
            reader.close()
        # Also what is known may open a private passage that goes on in what is not.
        standings = standings_of_hook(events, project, self._opened)
        fresh = [
            (event, standing)
            for event, standing in zip(events, standings, strict=True)
            if event.event_id not in known
        ]
        made = raw_events(
            [event for event, _ in fresh],
            [standing for _, standing in fresh],
            project,
            now,
            counted,
        )
        old = len(events) - len(fresh)
        return (made, Count(len(made), old, len(fresh) - len(made))), counted

    def _count(self, events: Sequence[RawEvent], new: Mapping[str, int]) -> None:
        for event in events:
            used = event.metadata.get("tokens")
            if event.kind is EventKind.SUCCESS and event.event_id in new and isinstance(used, int):
                self._parts.metrics.count(catalog.TOKENS_USED, used)


def _given(events: Sequence[RawEvent], _counted: Counter[str]) -> Sequence[RawEvent]:
    return events


def _pieces(events: Sequence[RawEvent]) -> Iterator[list[RawEvent]]:
    piece: list[RawEvent] = []
    size = 0
    for event in events:
        piece.append(event)
        size += len(event.content) + sum(
            len(value) for value in event.metadata.values() if isinstance(value, str)
        )
        if len(piece) >= _EVENTS or size >= _TEXT:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
