"""Spool against graph: what a completed batch is worth in episodes, its summary's too, is there.

The spool remembers what it acknowledged; the graph may have lost it (a wiped folder, a power cut
of an engine that synchronises once a second). What is missing is brought back by flushing the same
ranges again: identifiers are the same, so nothing doubles. Facts are not compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING

from memory_manager.errors import MemoryFault
from memory_manager.extract.episodes import worth_keeping
from memory_manager.extract.summary import summary_id
from memory_manager.model import episode_uuid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.flush.sweep import Sweep
    from memory_manager.memory import Memory
    from memory_manager.model import RawEvent
    from memory_manager.spool.batches import Batch
    from memory_manager.spool.thread import SpoolThread

#: Episodes asked about at once.
_ASKED = 1000


@dataclass(frozen=True, slots=True)
class Lost:
    """An event, or the summary of a batch, that has no episode."""

    group: str
    session: str
    batch: int
    event_id: str
    uuid: str


@dataclass(frozen=True, slots=True)
class Audited:
    """One page of batches, compared. `next` is the id after which the next page begins.

    `unverifiable` are events that retention has purged from the spool since: nobody can say any
    more whether they were worth an episode.
    """

    batches: int = 0
    events: int = 0
    unverifiable: int = 0
    missing: tuple[Lost, ...] = ()
    next: int | None = None


@dataclass(frozen=True, slots=True)
class Repaired:
    """What flushing again came to: batches that are in the graph now, and why others are not."""

    batches: int = 0
    failed: tuple[str, ...] = ()


@dataclass(slots=True)
class Audit:
    """Compares page by page; holds nothing between them."""

    spool: SpoolThread
    memory: Memory
    sweep: Sweep

    async def page(self, after: int, limit: int, group: str | None = None) -> Audited:
        """Compare at most `limit` completed batches after batch `after`.

        Raises:
            MemoryFault: the spool or the graph does not answer.
        """
        batches = await self.spool.call(lambda spool: spool.completed(after, limit, group))
        events = 0
        unverifiable = 0
        expected: dict[str, list[Lost]] = {}
        for batch in batches:
            rows = await self._events(batch)
            events += len(rows)
            unverifiable += max(0, batch.events - len(rows))
            expected.setdefault(batch.group, []).extend(expectations(batch, rows))
        missing: list[Lost] = []
        for of, wanted in expected.items():
            missing += await self._missing(of, wanted)
        last = batches[-1].id if len(batches) == limit else None
        return Audited(len(batches), events, unverifiable, tuple(missing), last)

    async def repair(self, missing: Sequence[Lost]) -> Repaired:
        """Flush the batches of these events again, whole and with the same ranges; nothing else.

        Raises:
            MemoryFault: the spool does not answer. What a flush ran into is in the answer.
        """
        sessions = {lost.batch: lost.session for lost in missing}
        await self.spool.call(lambda spool: spool.reopen(sorted(sessions)))
        done = 0
        failed: dict[str, None] = {}  # each reason once
        for batch, session in sorted(sessions.items()):
            try:
                report = await self.sweep.flush_again(batch)
            except MemoryFault as fault:
                failed[f"{session}: {fault}"] = None
            else:
                done += report.batches - report.failed
                failed |= dict.fromkeys(f"{session}: {why}" for why in report.errors)
        return Repaired(done, tuple(failed))

    async def _events(self, batch: Batch) -> list[RawEvent]:
        return await self.spool.call(lambda spool: spool.read(batch))

    async def _missing(self, group: str, wanted: Sequence[Lost]) -> list[Lost]:
        found: list[Lost] = []
        for chunk in batched(wanted, _ASKED):
            lost = await self.memory.missing(group, [each.uuid for each in chunk])
            found += [each for each in chunk if each.uuid in lost]
        return found


def expectations(batch: Batch, events: Sequence[RawEvent]) -> list[Lost]:
    """The episodes that the graph must have of this batch's events, as what would be lost. Pure."""
    names = [event.event_id for event in events if worth_keeping(event)]
    # The first event names the summary. Once rows of the batch are purged nobody knows which it
    # was, and a flush would not write the summary again.
    if batch.summary and 0 < batch.events <= len(events):
        names.append(summary_id(batch.session, events[0].event_id))
    return [
        Lost(batch.group, batch.session, batch.id, name, episode_uuid(batch.group, name))
        for name in names
    ]
