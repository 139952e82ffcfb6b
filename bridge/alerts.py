"""The Datadog event of an error: how often it was seen, and what fixed it last time."""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING

from memory_manager.errors import MemoryFault
from memory_manager.model import EventKind, Query
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.parts import Parts
    from memory_manager.model import Hit, RawEvent

#: Characters of the error that an event shows.
_SHOWN = 1500
#: Different errors counted at once (the longest unseen leaves first), and events of each.
_MOST, _MOST_EVENTS = 2000, 10_000
#: Hits that the memory is asked for.
_ASKED = 50
_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_VOLATILE = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+|/[^\s:'\"]+", re.IGNORECASE)
_FIXED = "FIXED_BY"


class Alerts:
    """Tells Datadog of errors, with what the memory knows of each."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        #: By project and signature: the events that reported the error.
        self._seen: OrderedDict[tuple[str, str], set[str]] = OrderedDict()

    async def tell(self, event: RawEvent) -> None:
        """Send the event, as it stands on disk. What the graph can't say in time is left out."""
        if event.kind is not EventKind.ERROR:
            return
        text = _bare(event.content)
        same = signature(text)
        known = await self._known(event.group, text)
        count = self._count(event.group, same, event.event_id, known)
        lines = [text[:_SHOWN], "", f"Seen {count} time{'s' if count > 1 else ''}."]
        fixes = (hit for hit in known if hit.source == _FIXED)
        if (newest := max(fixes, key=lambda hit: hit.at, default=None)) is not None:
            lines.append(f"Last time: {newest.text}")
        self._parts.metrics.event(
            catalog.OPENCODE_ERROR,
            "\n".join(lines),
            alert_type="error",
            aggregation_key=f"{event.group}-{same}",
            tags={"error_name": error_name(event)},
        )

    def _count(self, group: str, same: str, event_id: str, known: Sequence[Hit]) -> int:
        key = (group, same)
        events = self._seen.pop(key, set())
        events.add(event_id)
        for hit in known:
            if hit.kind == EventKind.ERROR and signature(_bare(hit.text)) == same:
                events.update(hit.event_ids)
        if len(events) <= _MOST_EVENTS:
            self._seen[key] = events
        while len(self._seen) > _MOST:
            self._seen.popitem(last=False)
        return len(events)

    async def _known(self, group: str, text: str) -> list[Hit]:
        parts = self._parts
        hits = parts.tailing.tail.search(group, text, (), _ASKED, parts.now())
        try:
            answer = await parts.graph().query(Query(group, text, _ASKED))
        except MemoryFault:
            return hits
        return [*hits, *answer.hits]


def _bare(text: str) -> str:
    return text.removeprefix("Error: ").strip()


def signature(text: str) -> str:
    """The same for the same error: numbers, addresses and paths left out, 16 hex digits."""
    steady = _VOLATILE.sub("#", text[:2000]).lower()
    return blake2b(steady.encode("utf-8", "replace"), digest_size=8).hexdigest()


def error_name(event: RawEvent) -> str:
    """The error's class as a tag: a short identifier."""
    name = event.metadata.get("name")
    plain = _NAME.sub("_", name if isinstance(name, str) else "").strip("_.-")
    return plain[:60] or "unknown"
