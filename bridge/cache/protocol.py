"""The cache of answers: its values, its contract, one that does nothing and one for tests.

An answer depends on paths. Each group counts its writes; a write stamps its paths with the count.
An answer records the count seen *before* its query (its ticket) and is given out only while none
of its paths has a later stamp, so an answer that was under way during a write is never served.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from bridge.cache.trust import Rotation, Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

INCARNATION_BYTES = 16

TTL_S = 300.0

#: How far ahead of ours the clock of the bridge that filled an entry may be.
CLOCK_SKEW_S = 5.0


class CacheOutcome(StrEnum):
    """What a look-up came to."""

    HIT = "hit"
    #: Nothing was found.
    MISS = "miss"
    #: Found, but something it depends on has changed; a miss too, and never given out.
    OUTDATED = "outdated"
    #: The cache was not asked or did not answer in time.
    BYPASS = "bypass"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What was observed before a query; only with it may the query's answer be filled in.

    `at` (epoch seconds) is when: an answer's age counts from its ticket, whose state it shows.
    """

    incarnation: bytes
    sequence: int
    at: float


@dataclass(frozen=True, slots=True)
class Found:
    """`value` is set on a hit only; `ticket` always but on a bypass."""

    outcome: CacheOutcome
    value: bytes | None = None
    ticket: Ticket | None = None


MISSED_OUT = Found(CacheOutcome.BYPASS)


class ContextCache(Protocol):
    """Answers by key. No call raises but for cancellation, and each is bounded in time.

    Paths are in the project's one spelling (`memory_manager.paths.normalise`); keys come from
    `keys.entry_key`, of the same group.
    """

    @property
    def healthy(self) -> bool:
        """False while calls are not even tried because the last ones failed."""
        ...

    async def lookup(self, group: str, key: str) -> Found:
        """The answer under `key`, if nothing that it depends on was written since its ticket.

        Otherwise the ticket for the query that the caller now makes itself.
        """
        ...

    async def fill(
        self, group: str, key: str, value: bytes, paths: Iterable[str], ticket: Ticket | None
    ) -> bool:
        """Keep an answer for the rest of its TTL, counted from its ticket.

        Empty answers, errors and time-outs are the caller's to hold back.

        Args:
            group: of the question.
            key: of the question.
            value: the answer's graph part.
            paths: everything the answer depends on: named in the question or carried by its facts.
            ticket: of the look-up before the query; with None (a bypass) nothing is kept.

        Returns:
            True when it was kept; False when it is outdated already, too large, or undeliverable.
        """
        ...

    async def invalidate(self, group: str, paths: Iterable[str]) -> bool:
        """Outdate every answer that depends on any of `paths`; call it after the write to them.

        Returns:
            False when it could not be delivered. Then, as after a cancellation, this cache gives
            out nothing of the group until it has outdated all of it; the caller need not retry.
        """
        ...

    async def rotate(self, group: str) -> bool:
        """Outdate all answers of the group. False as for `invalidate`."""
        ...

    async def close(self) -> None:
        """Give up what is held. Later calls bypass. Closing twice is closing once."""
        ...


class NullCache:
    """No cache at all."""

    healthy = False

    async def lookup(self, group: str, key: str) -> Found:
        return MISSED_OUT

    async def fill(
        self,
        group: str,
        key: str,
        value: bytes,
        paths: Iterable[str],
        ticket: Ticket | None,
    ) -> bool:
        return False

    async def invalidate(self, group: str, paths: Iterable[str]) -> bool:
        """True: there is nothing that could be outdated."""
        return True

    async def rotate(self, group: str) -> bool:
        """True, as for `invalidate`."""
        return True

    async def close(self) -> None:
        return


@dataclass(slots=True)
class FakeGroup:
    """What a server holds of one group beside its answers."""

    incarnation: bytes = field(default_factory=lambda: secrets.token_bytes(INCARNATION_BYTES))
    sequence: int = 0
    stamps: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class FakeServer:
    """What several `FakeCache`s may share. Tests delete from it at will, as eviction does."""

    groups: dict[str, FakeGroup] = field(default_factory=dict)
    answers: dict[str, tuple[Ticket, frozenset[str], bytes]] = field(default_factory=dict)


class FakeCache:
    """The contract in memory, for tests. While `reachable` is False nothing gets through."""

    def __init__(
        self, clock: Callable[[], float], server: FakeServer | None = None, ttl: float = TTL_S
    ) -> None:
        self.server = server or FakeServer()
        self.reachable = True
        self._clock = clock
        self._ttl = ttl
        self._trust = Trust()
        self._closed = False

    @property
    def healthy(self) -> bool:
        return self.reachable and not self._closed

    async def lookup(self, group: str, key: str) -> Found:
        if not self._reach(group):
            return MISSED_OUT
        now = self._clock()
        state = self.server.groups.setdefault(group, FakeGroup())
        ticket = Ticket(state.incarnation, state.sequence, now)
        seen, paths, value = self.server.answers.get(key, (None, frozenset[str](), b""))
        if seen is None or seen.incarnation != state.incarnation:
            return Found(CacheOutcome.MISS, None, ticket)
        if _written_since(state, paths, seen):
            return Found(CacheOutcome.OUTDATED, None, ticket)
        if not fresh(seen.at, now, self._ttl):
            return Found(CacheOutcome.MISS, None, ticket)
        return Found(CacheOutcome.HIT, value, ticket)

    async def fill(
        self, group: str, key: str, value: bytes, paths: Iterable[str], ticket: Ticket | None
    ) -> bool:
        if ticket is None or not fresh(ticket.at, self._clock(), self._ttl):
            return False
        if not self._reach(group):
            return False
        state = self.server.groups.get(group)
        depends = frozenset(paths)
        if state is None or state.incarnation != ticket.incarnation:
            return False
        if _written_since(state, depends, ticket):
            return False
        self.server.answers[key] = (ticket, depends, value)
        return True

    async def invalidate(self, group: str, paths: Iterable[str]) -> bool:
        written = frozenset(paths)
        if not written:
            return True
        if not self._reach(group):
            self._trust.suspect(group)
            return False
        if state := self.server.groups.get(group):
            state.sequence += 1
            state.stamps.update(dict.fromkeys(written, state.sequence))
        return True

    async def rotate(self, group: str) -> bool:
        self._trust.suspect(group)
        return self._reach(group)

    async def close(self) -> None:
        self._closed = True

    def _reach(self, group: str) -> bool:
        if not self.healthy:
            return False
        due = self._trust.due(group, b"fake")
        for owed in (due or Rotation((), 0)).groups:
            self.server.groups.pop(owed, None)
        if due:
            self._trust.settle(due, b"fake")
        return True


def fresh(at: float, now: float, ttl: float) -> bool:
    """May an answer whose ticket was taken at `at` still be used? All in seconds."""
    return -CLOCK_SKEW_S <= now - at < ttl and math.isfinite(at)


def _written_since(state: FakeGroup, paths: frozenset[str], seen: Ticket) -> bool:
    return any(state.stamps.get(path, 0) > seen.sequence for path in paths)
