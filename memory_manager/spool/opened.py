"""Which messages stand in a private passage: what one part opened hides the parts that follow. Pure.

Parts of one message come in one report or in several, and every part can come twice, by hook,
stream and catch-up: a part that was seen before stands where it stood. Without a message's id a
passage goes on through its session, to the end of the report.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from memory_manager.spool.filters import standing_after
from memory_manager.spool.private import START, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence

    from memory_manager.hook_payload import HookEvent
    from memory_manager.model import EventKind, Json

#: Messages that are remembered, and parts of one of them.
_MOST_MESSAGES, _MOST_PARTS = 1000, 64

_NAMES = ("message_id", "messageID")


class Part(NamedTuple):
    """What a report says about one event, as far as it matters here. `event_id` may be ""."""

    event_id: str
    session: str
    kind: EventKind | str
    content: str
    metadata: Mapping[str, Json]


@dataclass(slots=True)
class _Message:
    now: Standing = START
    #: Where its parts stand, by a digest of their ids.
    parts: dict[bytes, Standing] = field(default_factory=dict)


def part_of_event(event: HookEvent) -> Part:
    """What a hook reports."""
    return Part(event.event_id, event.session, event.kind, event.content, event.metadata)


def part_of_item(item: Json) -> Part:
    """What an object of NDJSON reports; a malformed one says nothing."""
    if not isinstance(item, dict):
        return Part("", "", "", "", {})
    given = item.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    return Part(
        _text(item.get("event_id")) or _text(item.get("id")),
        _text(item.get("session_id"))
        or _text(item.get("session"))
        or _text(metadata.get("session_id")),
        _text(item.get("kind")) or _text(item.get("type")),
        _text(item.get("content")),
        metadata,
    )


class Opened:
    """Bounded; the message that was longest not heard of leaves first. One thread uses it."""

    def __init__(self, most: int = _MOST_MESSAGES) -> None:
        self._messages: OrderedDict[bytes, _Message] = OrderedDict()
        self._most = most

    @property
    def size(self) -> int:
        """Messages that are remembered."""
        return len(self._messages)

    def standings(self, group: str, parts: Sequence[Part]) -> list[Standing]:
        """Where each of the parts of one report stands; call it in the order of their arrival."""
        return [*self.each(group, parts, several=len(parts) > 1)]

    def each(self, group: str, parts: Iterable[Part], *, several: bool) -> Iterator[Standing]:
        """The same, one after the other: a long report need not be gone through in one go.

        Until it is through, no other report may be asked about.
        """
        sessions: dict[bytes, _Message] = {}
        for part in parts:
            if message := _message_id(part.metadata):
                key = _digest(group, part.session, message)
                standing = _standing(self._messages, key, part)
                if key in self._messages:
                    self._messages.move_to_end(key)
                    if len(self._messages) > self._most:
                        self._messages.popitem(last=False)
                yield standing
            elif several:
                yield _standing(sessions, _digest(part.session), part)
            else:
                yield START


def _standing(messages: MutableMapping[bytes, _Message], key: bytes, part: Part) -> Standing:
    message = messages.get(key)
    if message is None:
        after = standing_after(part.kind, part.content, part.metadata, START)
        if after != START:
            messages[key] = message = _Message(after)
            _note(message, part, START)
        return START
    known = message.parts.get(_digest(part.event_id)) if part.event_id else None
    if known is not None:
        return known
    before = message.now
    message.now = standing_after(part.kind, part.content, part.metadata, before)
    _note(message, part, before)
    return before


def _note(message: _Message, part: Part, before: Standing) -> None:
    if part.event_id:
        while len(message.parts) >= _MOST_PARTS:
            del message.parts[next(iter(message.parts))]
        message.parts[_digest(part.event_id)] = before


def _digest(*names: str) -> bytes:
    # However long somebody's ids are: they cost the same here.
    return blake2b("\0".join(names).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _message_id(metadata: Mapping[str, Json]) -> str:
    for name in _NAMES:
        if value := _text(metadata.get(name)):
            return value
    return ""


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
