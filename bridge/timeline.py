"""The newest events as the page sees them, in a ring behind timeline and live stream. No I/O, no clock.

Bounded by count and bytes, the oldest leave first. Entries have ids without gaps, so that whoever
reads the stream needs no queue of its own: the last id it has seen says what it has missed, and
whether that is still here. What an entry looks like is made when somebody looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from sys import getsizeof
from typing import TYPE_CHECKING

from bridge.showing import listed
from memory_manager.extract.episodes import episode_of, worth_keeping
from memory_manager.model import RawEvent, episode_uuid

if TYPE_CHECKING:
    from collections.abc import Callable

    from memory_manager.model import Json

#: Characters of an event's text, and of each of its details, that are kept.
_TEXT = 2000
#: The details that an episode is made of; nothing else of an event's metadata is kept.
_DETAILS = frozenset((
    "type", "path", "old_path", "change", "tool", "command", "exit", "severity", "name", "task",
    "message_id", "agent", "model", "duration", "tokens", "branch", "commit", "source",
    "directory", "diff", "content", "output",
))  # fmt: skip
#: Rough bytes of an entry and its places in the indices, without its text.
_ENTRY = 900
#: Episodes that one word of a flush names; a larger batch is told in several.
_NAMED = 200
#: The first live entry's id: what is older than the start goes before it.
_START = 1 << 32


@dataclass(slots=True)
class Happened:
    """Something happened. `pending`: the graph has not got it yet."""

    id: int
    seq: int
    event: RawEvent
    size: int
    pending: bool
    name: str = "episode"

    def told(self) -> dict[str, Json]:
        """The episode as in a list of episodes, and its project."""
        shown = listed(episode_of(self.event), pending=self.pending)
        return {**shown, "text": str(shown["text"])[:_TEXT], "group": self.event.group}


@dataclass(frozen=True, slots=True)
class Landed:
    """These events of a session are in the graph now."""

    id: int
    group: str
    session: str
    event_ids: tuple[str, ...]
    first_at: float
    last_at: float
    size: int
    name: str = "flushed"

    def told(self) -> dict[str, Json]:
        """Which episodes wait no more: by uuid, and the time that they span."""
        return {
            "group": self.group,
            "session": self.session,
            "first_at": self.first_at,
            "last_at": self.last_at,
            "uuids": [episode_uuid(self.group, event_id) for event_id in self.event_ids],
        }


type Entry = Happened | Landed


class Timeline:
    """The newest events of all projects in the order in which they became known."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """Nothing yet; at most `most` entries and, by estimate, `most_bytes` bytes."""
        self._most = most
        self._most_bytes = most_bytes
        self._entries: dict[int, Entry] = {}
        self._first = self._next = _START
        self._rows: dict[int, int] = {}
        #: What waits for its flush: by session, row to id.
        self._waiting: dict[tuple[str, str], dict[int, int]] = {}
        self._listeners: dict[object, Callable[[], None]] = {}
        self.bytes = 0
        #: Entries that left because the ring was full, since the start.
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def newest(self) -> int:
        """The last entry's id; of none, the id before the first that will come."""
        return self._next - 1

    @property
    def oldest(self) -> int:
        """The id of the oldest entry that is here, or of the first that will come."""
        return self._first

    @property
    def use(self) -> float:
        """How full it is, by whichever bound is nearer: 0 to 1."""
        return max(len(self._entries) / self._most, self.bytes / self._most_bytes)

    def add(self, seq: int, event: RawEvent, pending: bool = True) -> None:  # noqa: FBT001, FBT002 - as it stands in an episode
        """Take in the event of row `seq`; what makes no episode, or is known already, does not count."""
        if seq in self._rows or not worth_keeping(event):
            return
        light, size = _light(event)
        self._put(self._noted(Happened(self._next, seq, light, size, pending)))
        self._changed()

    def add_older(self, seq: int, event: RawEvent, pending: bool) -> bool:  # noqa: FBT001 - as above
        """Put the event before all others. False: the ring is full, no older one can be put in."""
        if seq in self._rows or not worth_keeping(event):
            return True
        light, size = _light(event)
        if len(self._entries) >= self._most or self.bytes + size > self._most_bytes:
            return False
        self._first -= 1
        entry = self._noted(Happened(self._first, seq, light, size, pending))
        self._entries[entry.id] = entry
        self.bytes += size
        return True

    def flushed(self, group: str, session: str, first_seq: int, last_seq: int) -> None:
        """The graph has the session's rows from `first_seq` to `last_seq`."""
        waiting = self._waiting.get((group, session), {})
        landed: list[Happened] = []
        for seq in [seq for seq in waiting if first_seq <= seq <= last_seq]:
            entry = self._entries[waiting.pop(seq)]
            if isinstance(entry, Happened):
                entry.pending = False
                landed.append(entry)
        if not waiting:
            self._waiting.pop((group, session), None)
        for start in range(0, len(landed), _NAMED):
            some = landed[start : start + _NAMED]
            ids = tuple(entry.event.event_id for entry in some)
            times = [entry.event.at for entry in some]
            size = _ENTRY + sum(map(getsizeof, ids))
            self._put(Landed(self._next, group, session, ids, min(times), max(times), size))
        if landed:
            self._changed()

    def since(self, id_: int, limit: int) -> list[Entry]:
        """Entries after `id_` that are here, oldest first, at most `limit`."""
        first = max(id_ + 1, self._first)
        return [self._entries[each] for each in range(first, min(first + limit, self._next))]

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever something has come; what is given back ends that."""
        key = object()
        self._listeners[key] = callback

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def _noted(self, entry: Happened) -> Happened:
        self._rows[entry.seq] = entry.id
        if entry.pending:
            session = (entry.event.group, entry.event.session)
            self._waiting.setdefault(session, {})[entry.seq] = entry.id
        return entry

    def _put(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        self._next += 1
        self.bytes += entry.size
        while len(self._entries) > self._most or self.bytes > self._most_bytes:
            self._leave(self._entries.pop(self._first))
            self._first += 1
            self.evicted += 1

    def _leave(self, entry: Entry) -> None:
        self.bytes -= entry.size
        if isinstance(entry, Landed):
            return
        del self._rows[entry.seq]
        session = (entry.event.group, entry.event.session)
        waiting = self._waiting.get(session)
        if waiting is not None:
            waiting.pop(entry.seq, None)
            if not waiting:
                del self._waiting[session]

    def _changed(self) -> None:
        for callback in tuple(self._listeners.values()):
            callback()


def _light(event: RawEvent) -> tuple[RawEvent, int]:
    """The event without what nobody looks at, and how many bytes that is."""
    metadata: dict[str, Json] = {}
    content = event.content[:_TEXT]
    size = _ENTRY + getsizeof(content) + getsizeof(event.event_id)
    for name, value in event.metadata.items():
        if name not in _DETAILS:
            continue
        if isinstance(value, str):
            metadata[name] = kept = value[:_TEXT]
            size += getsizeof(kept)
        elif isinstance(value, int | float):
            metadata[name] = value
    return (
        RawEvent(
            event.event_id, event.group, event.session, event.kind, event.at, content, metadata
        ),
        size,
    )
