"""A bounded memory of what sessions said last: the longest unused leave, and all of them in time. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class Remembered[K: Hashable, V]:
    """A mapping that holds at most `most` items, none of them longer than `idle` seconds unused.

    `now` is a clock that never goes back.
    """

    def __init__(self, most: int, idle: float, now: Callable[[], float]) -> None:
        self._most = most
        self._idle = idle
        self._now = now
        self._items: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: K) -> bool:
        return key in self._items

    @property
    def use(self) -> float:
        """How full it is, from 0 to 1."""
        return len(self._items) / self._most

    def get(self, key: K) -> V | None:
        """What is remembered; it counts as used."""
        found = self._items.get(key)
        if found is None:
            return None
        self.put(key, found[0])
        return found[0]

    def put(self, key: K, value: V) -> None:
        """Remember; the longest unused makes room."""
        self._items[key] = (value, self._now())
        self._items.move_to_end(key)
        while len(self._items) > self._most:
            self._items.popitem(last=False)

    def forget(self, key: K) -> None:
        """Let go of it, if it is there."""
        self._items.pop(key, None)

    def expire(self) -> int:
        """Let go of what was not used for too long; gives the number."""
        gone = 0
        oldest = self._now() - self._idle
        while self._items and next(iter(self._items.values()))[1] < oldest:
            self._items.popitem(last=False)
            gone += 1
        return gone
