"""The cache in Valkey: one round trip for each call, on the wire of `link.py`.

Every fault of the server, the network or the data comes out as `bypass` or False.
"""

from __future__ import annotations

import logging
import math
import os
import time
from typing import TYPE_CHECKING

from valkey.exceptions import NoScriptError

from bridge.cache import entry as entries
from bridge.cache import scripts
from bridge.cache.breaker import CLOSED, Admission, admit, failed, succeeded
from bridge.cache.keys import path_fields, stamps_key
from bridge.cache.link import LinkBusy, LinkDown, ValkeyLink
from bridge.cache.protocol import MISSED_OUT, TTL_S, CacheOutcome, Found, Ticket, fresh
from bridge.cache.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bridge.cache.link import Command, Reply
    from bridge.cache.trust import Rotation

_log = logging.getLogger(__name__)

_OUTCOMES = (CacheOutcome.MISS, CacheOutcome.HIT, CacheOutcome.OUTDATED)


class ValkeyCache:
    """`ContextCache` on a Valkey (or Redis) server that several bridges may share."""

    def __init__(
        self,
        link: ValkeyLink,
        ttl: float = TTL_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Times in seconds. `clock` is the epoch's (bridges must roughly agree on it)."""
        self._link = link
        self._ttl = ttl
        self._clock = clock
        self._monotonic = monotonic
        self._breaker = CLOSED
        self._trust = Trust()
        self._closed = False
        # An entry lives at most one TTL after the fill or look-up that last prolonged its hash.
        self._life_ms = math.ceil(ttl * 2000) + 60_000

    @property
    def healthy(self) -> bool:
        return self._breaker.closed and not self._closed

    async def lookup(self, group: str, key: str) -> Found:
        now = self._clock()
        reply = await self._run(group, scripts.LOOKUP, (stamps_key(group), key), self._life_ms)
        match reply:
            case [0 | 1 | 2 as verdict, bytes(incarnation), bytes(digits), entry] if (
                digits.isdigit() and len(digits) <= scripts.MOST_DIGITS
            ):
                outcome = _OUTCOMES[verdict]
                ticket = Ticket(incarnation, int(digits), now)
            case _:
                return MISSED_OUT
        if outcome is not CacheOutcome.HIT:
            return Found(outcome, None, ticket)
        kept = entries.unpack(key, entry) if isinstance(entry, bytes) else None
        if kept is None or not fresh(kept[0], now, self._ttl):
            return Found(CacheOutcome.MISS, None, ticket)
        return Found(CacheOutcome.HIT, kept[1], ticket)

    async def fill(
        self, group: str, key: str, value: bytes, paths: Iterable[str], ticket: Ticket | None
    ) -> bool:
        now = self._clock()
        fields = path_fields(paths)
        if ticket is None or not fresh(ticket.at, now, self._ttl):
            return False
        if len(fields) > entries.MOST_PATHS or len(value) > entries.MOST_BYTES:
            return False
        left_ms = math.ceil((self._ttl - max(0.0, now - ticket.at)) * 1000)
        entry = entries.pack(key, ticket, fields, value)
        keys = (stamps_key(group), key)
        return await self._run(group, scripts.FILL, keys, entry, left_ms, self._life_ms) == [1]

    async def invalidate(self, group: str, paths: Iterable[str]) -> bool:
        fields = path_fields(paths)
        if not fields:
            return True
        if len(fields) > scripts.MOST_STAMPS:
            return await self.rotate(group)
        delivered = False
        try:
            delivered = await self._stamp(group, b"".join(fields))
        finally:  # also when cancelled: the server may or may not have heard of it
            if not delivered:
                self._trust.suspect(group)
        return delivered

    async def rotate(self, group: str) -> bool:
        # What is suspect is rotated before anything else, so an empty invalidation is enough.
        self._trust.suspect(group)
        return await self._stamp(group, b"")

    async def close(self) -> None:
        self._closed = True
        await self._link.close()

    async def _stamp(self, group: str, fields: bytes) -> bool:
        keys = (stamps_key(group),)
        reply = await self._run(
            group, scripts.INVALIDATE, keys, fields, scripts.MOST_STAMPS, self._life_ms
        )
        return reply == [1]

    async def _run(
        self, group: str, script: scripts.Script, keys: Sequence[str], *args: bytes | int
    ) -> list[Reply] | None:
        """The script's reply, after whatever rotation is due; None when there was none."""
        if self._closed:
            return None
        admission, self._breaker = admit(self._breaker, self._monotonic())
        if admission is Admission.REFUSED:
            return None
        # Comes back as the reply's first part: an answer to something else is no answer.
        nonce = os.urandom(16)
        try:
            reply = await self._exchange(group, ("EVALSHA", script.digest), nonce, keys, args)
            if isinstance(reply, NoScriptError):
                reply = await self._exchange(group, ("EVAL", script.source), nonce, keys, args)
            answer = _addressed(reply, nonce)
        except LinkDown as down:
            # A rush of questions is no fault of the server's; only a probe has to come to something.
            if isinstance(down, LinkBusy) and admission is not Admission.PROBE:
                return None
            self._breaker = failed(self._breaker, self._monotonic(), admission)
            _log.debug("cache bypassed: %s", down)
            return None
        self._breaker = succeeded(self._breaker)
        return answer

    async def _exchange(
        self, group: str, script: Command, nonce: bytes, keys: Sequence[str], args: Command
    ) -> Reply:
        call = (*script, len(keys), *keys, nonce, *args)
        plan: tuple[Rotation, bytes] | None = None

        def commands(server: bytes) -> Sequence[Command]:
            nonlocal plan
            due = self._trust.due(group, server)
            plan = (due, server) if due else None
            return [("UNLINK", *map(stamps_key, due.groups)), call] if due else [call]

        replies = await self._link.exchange(commands)
        if plan:
            if type(replies[0]) is not int:
                raise LinkDown(f"not rotated: {replies[0]!r:.200}")
            self._trust.settle(*plan)
        return replies[-1]


def _addressed(reply: Reply, nonce: bytes) -> list[Reply]:
    if not isinstance(reply, list) or reply[:1] != [nonce]:
        raise LinkDown(f"not an answer: {reply!r:.200}")
    return reply[1:]
