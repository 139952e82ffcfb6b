"""A question answered: cache, else graph, always completed with the spool's fresh tail.

Only the graph's part is cached; the tail is asked every time, so what happened a second ago is
never hidden by an answer from a minute ago.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.cache import keys
from bridge.cache.protocol import CacheOutcome
from bridge.context.render import squeezed
from memory_manager import rank
from memory_manager.errors import Rejected, Unavailable
from memory_manager.model import Hit, Query
from memory_manager.reporting import without_secrets
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.parts import Parts
    from memory_manager.model import Answer


_log = logging.getLogger(__name__)

#: Hits that the graph is asked for and the cache keeps: more than are shown, since some of them
#: leave again (they stand in the asking session's window, or the tail has better ones).
CANDIDATES = 16
#: Hits of the spool's tail beside them.
FRESH = 8
#: Characters of one hit that are worth carrying: more than any usual budget shows of it.
_CACHED_TEXT = 3000


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a question came to.

    `cache` is the look-up's outcome; `complete` is False when the graph could not be asked, and
    the hits are the tail's alone.
    """

    hits: tuple[Hit, ...]
    cache: CacheOutcome
    complete: bool


@dataclass(frozen=True, slots=True)
class Window:
    """What the asker has before its eyes: its session's doings since it was last compacted.

    `events` are the asking message's own.
    """

    session: str
    since: float = 0.0
    events: frozenset[str] = frozenset()

    def shows(self, hit: Hit) -> bool:
        """Whether the asker sees this hit anyway."""
        if self.session and hit.session == self.session and hit.at > self.since:
            return True
        return not self.events.isdisjoint(hit.event_ids)


_NO_WINDOW = Window("")


class Recall:
    """Answers questions about one project at a time; holds no state of its own."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def answer(  # noqa: PLR0913 - what a question is made of
        self,
        group: str,
        text: str,
        paths: Sequence[str],
        *,
        patience: float,
        at: float | None = None,
        window: Window = _NO_WINDOW,
        most: int = CANDIDATES,
    ) -> Recalled:
        """The best hits for `text`, best first.

        Args:
            group: the project.
            text: the question, any text.
            paths: what it names, in the project's spelling.
            patience: seconds that the graph may take; then the tail alone answers.
            at: answer as of then (never cached, and the tail is filtered to it).
            window: what the asker has before its eyes anyway, and is not told again.
            most: hits at most.
        """
        began = time.perf_counter()
        # The same words asked from another directory may name other files: another question.
        asked = json.dumps((text, most, *paths))
        question = keys.entry_key(group, asked, self._parts.settings.context_tokens, rank.VERSION)
        cache = self._parts.cache
        tailing = self._parts.tailing
        looks = tailing.others.look_soon()
        found = await cache.lookup(group, question) if at is None else None
        if tailing.others.behind(looks):
            # Another process has written: what depends on its files may just have been found.
            caught_up = await tailing.others.catch_up()
            found = await cache.lookup(group, question) if at is None and caught_up else None
        outcome = CacheOutcome.BYPASS if found is None else found.outcome
        if at is None:
            self._count(outcome)
        stored = _decoded(found.value) if found is not None and found.value is not None else None
        query = Query(group, text, most, at, tuple(paths))
        complete = True
        if stored is None:
            stored, depends = await self._asked(query, patience)
            complete = depends is not None
            if stored and depends is not None and found is not None and found.ticket is not None:
                await cache.fill(group, question, _encoded(stored), depends, found.ticket)
        kept = tuple(hit for hit in stored if not window.shows(hit))
        if len(kept) < len(stored) // 2:
            # A busy session fills the answer with itself, and what it asks for stands behind that.
            own = replace(query, without=window.session, since=window.since)
            kept = (await self._asked(own, patience))[0] or kept
        fresh = self._fresh(query, window)
        merged = rank.merge(rank.question(text, paths, at), kept, fresh)
        self._parts.metrics.distribution(
            catalog.QUERY_DURATION, (time.perf_counter() - began) * 1000
        )
        return Recalled(merged, outcome, complete)

    def _fresh(self, query: Query, window: Window) -> list[Hit]:
        """What the spool's tail knows, the asker's own window left out."""
        found = self._parts.tailing.tail.search(
            query.group,
            query.text,
            query.paths,
            query.limit - CANDIDATES + FRESH,
            self._parts.now(),
            # A session that was never compacted sees all that it did: it need not be searched.
            without="" if window.since else window.session,
            leave_out=lambda hit: window.shows(hit) or (query.at is not None and hit.at > query.at),
        )
        return [_squeezed(hit) for hit in found]

    async def _asked(
        self, query: Query, patience: float
    ) -> tuple[tuple[Hit, ...], frozenset[str] | None]:
        """The graph's hits and the paths that they depend on (None: it could not be asked)."""
        try:
            answer = await self._timed(query, patience)
        except (Unavailable, Rejected) as error:
            _log.warning("Memory plugin error: the graph can't be asked: %s", error)
            self._parts.metrics.count(catalog.ERRORS, tags={"where": "graph"})
            return (), None
        hits = tuple(_squeezed(hit) for hit in answer.hits)
        # A write that another process appended names its files without secrets.
        plain = map(without_secrets, query.paths)
        return hits, frozenset((*query.paths, *plain, *answer.paths))

    async def _timed(self, query: Query, patience: float) -> Answer:
        memory = self._parts.memory
        if memory is None:
            raise Unavailable("the graph is not ready yet")
        began = time.perf_counter()
        try:
            async with asyncio.timeout(patience):
                return await memory.query(query)
        except TimeoutError as error:
            raise Unavailable(f"the graph took more than {patience:.2f} s") from error
        finally:
            spent = (time.perf_counter() - began) * 1000
            self._parts.metrics.distribution(
                catalog.GRAPH_QUERY_DURATION, spent, tags={"operation": "query"}
            )

    def _count(self, outcome: CacheOutcome) -> None:
        match outcome:
            case CacheOutcome.HIT:
                self._parts.metrics.count(catalog.CACHE_HIT)
            case CacheOutcome.MISS:
                self._parts.metrics.count(catalog.CACHE_MISS)
            case CacheOutcome.OUTDATED:
                self._parts.metrics.count(catalog.CACHE_MISS)
                self._parts.metrics.count(catalog.CACHE_OUTDATED)
            case CacheOutcome.BYPASS:
                self._parts.metrics.count(catalog.CACHE_BYPASS)


def _squeezed(hit: Hit) -> Hit:
    return replace(hit, text=squeezed(hit.text[:_CACHED_TEXT]))


def _encoded(hits: Sequence[Hit]) -> bytes:
    rows = [
        (
            hit.uuid,
            hit.kind,
            hit.text,
            hit.at,
            hit.score,
            hit.session,
            hit.event_ids,
            hit.paths,
            hit.source,
            hit.invalid_at,
            [round(share, 4) for share in hit.shares],
        )
        for hit in hits
    ]
    return json.dumps(rows, separators=(",", ":")).encode()


def _decoded(value: bytes) -> tuple[Hit, ...] | None:
    """The hits of a cached answer; None when it is not one (a miss then)."""
    try:
        rows = json.loads(value)
        return tuple(_hit(*row) for row in rows)
    except (ValueError, TypeError):
        return None


def _hit(  # noqa: PLR0913, PLR0917 - the columns of `_encoded`, in their order
    uuid: str,
    kind: str,
    text: str,
    at: float,
    score: float,
    session: str,
    event_ids: list[str],
    paths: list[str],
    source: str,
    invalid_at: float | None,
    shares: list[float],
) -> Hit:
    return Hit(
        uuid, kind, text, at, score, session, tuple(event_ids), tuple(paths), source, invalid_at,
        tuple(shares),
    )  # fmt: skip
