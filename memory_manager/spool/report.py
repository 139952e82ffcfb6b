"""What the spool did over a period: the values of a report, and the arithmetic behind them. Pure.

Every value is made of numbers, tuples and dataclasses, so that `dataclasses.asdict` gives JSON.
Times are seconds since the epoch, names that end in `_s` are durations in seconds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest
from memory_manager.spool.batches import BatchState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from memory_manager.model import Json

#: Most buckets of one report: more than a screen or a chart has columns.
MOST_BUCKETS = 2000


@dataclass(frozen=True, slots=True)
class Spread:
    """How some measurements lie; None where there are none."""

    count: int = 0
    median: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the turns of a period used. A turn that told one number counts in `total` alone."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache_read: int = 0
    cache_write: int = 0
    total: int = 0

    def plus(self, other: Tokens) -> Tokens:
        """Both together."""
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.reasoning + other.reasoning,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.total + other.total,
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """One part of the period, from `at` until the next one's.

    Batches count where they ended, those in `error` where they last failed. `pending` and
    `oldest_age_s` are the most that was seen; None: nobody looked.
    """

    at: float
    appended: int = 0
    completed: int = 0
    skipped: int = 0
    error: int = 0
    gave_up: int = 0
    flush_s: Spread = field(default_factory=Spread)
    pending: int | None = None
    oldest_age_s: float | None = None
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """The whole period. `tagged` is the share of completed batches that have a tag.

    `summaries` are characters of the summaries of completed batches that have one. None: nobody
    knows any more, retention has taken what it was counted by.
    """

    appended: int | None = 0
    completed: int | None = 0
    skipped: int | None = 0
    error: int = 0
    gave_up: int = 0
    episodes: int | None = 0
    flush_s: Spread = field(default_factory=Spread)
    flushes_per_hour: float | None = 0.0
    tokens: Tokens | None = field(default_factory=Tokens)
    tagged: float | None = None
    summaries: Spread = field(default_factory=Spread)


@dataclass(frozen=True, slots=True)
class Report:
    """A period in equal parts, and together."""

    since: float
    until: float
    bucket_s: float
    buckets: tuple[Bucket, ...]
    totals: Totals


@dataclass(frozen=True, slots=True)
class Ended:
    """A batch of the period: when it ended or last failed, and what it came to."""

    at: float
    state: BatchState
    took_s: float
    episodes: int
    tags: int
    summary: int


@dataclass(frozen=True, slots=True)
class Sample:
    """How much waited at one moment."""

    at: float
    pending: int
    oldest_age: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that a report is made of.

    `oldest` is when the first batch that is still known ended well; None: none did.
    """

    arrivals: Sequence[tuple[float, int]]
    ended: Sequence[Ended]
    samples: Sequence[Sample]
    turns: Sequence[tuple[float, Tokens]]
    oldest: float | None = None


def period(since: float, until: float, buckets: int) -> float:
    """The length of a bucket in seconds.

    Raises:
        InvalidRequest: there is no such period.
    """
    if not since < until:
        raise InvalidRequest("since: not before until")
    if not 1 <= buckets <= MOST_BUCKETS:
        raise InvalidRequest(f"buckets: not from 1 to {MOST_BUCKETS}")
    return (until - since) / buckets


def reported(since: float, until: float, buckets: int, measured: Measured) -> Report:
    """The report of what was measured from `since` until `until`.

    Raises:
        InvalidRequest: there is no such period.
    """
    length = period(since, until, buckets)

    def sorted_in[Item](items: Iterable[tuple[float, Item]]) -> list[list[Item]]:
        parts: list[list[Item]] = [[] for _ in range(buckets)]
        for at, item in items:
            parts[min(buckets - 1, max(0, int((at - since) / length)))].append(item)
        return parts

    arrivals = sorted_in(measured.arrivals)
    ended = sorted_in((each.at, each) for each in measured.ended)
    samples = sorted_in((each.at, each) for each in measured.samples)
    turns = sorted_in(measured.turns)
    rows = tuple(
        _bucket(since + number * length, *parts)
        for number, parts in enumerate(zip(arrivals, ended, samples, turns, strict=True))
    )
    totals = _totals(measured, (until - since) / 3600)
    if measured.oldest is not None and until <= measured.oldest:
        totals = _forgotten(totals, measured)
    return Report(since, until, length, rows, totals)


def _bucket(
    at: float,
    arrivals: Sequence[int],
    ended: Sequence[Ended],
    samples: Sequence[Sample],
    turns: Sequence[Tokens],
) -> Bucket:
    return Bucket(
        at=at,
        appended=sum(arrivals),
        **_states(ended),
        flush_s=spread(_durations(ended)),
        pending=max((each.pending for each in samples), default=None),
        oldest_age_s=max((each.oldest_age for each in samples), default=None),
        tokens=sum(each.total for each in turns),
    )


def _totals(measured: Measured, hours: float) -> Totals:
    completed = [each for each in measured.ended if each.state is BatchState.COMPLETED]
    durations = _durations(measured.ended)
    tokens = Tokens()
    for _, used in measured.turns:
        tokens = tokens.plus(used)
    return Totals(
        appended=sum(count for _, count in measured.arrivals),
        **_states(measured.ended),
        episodes=sum(each.episodes for each in completed),
        flush_s=spread(durations),
        flushes_per_hour=len(durations) / hours,
        tokens=tokens,
        tagged=sum(bool(each.tags) for each in completed) / len(completed) if completed else None,
        summaries=spread([each.summary for each in completed if each.summary]),
    )


def _forgotten(totals: Totals, measured: Measured) -> Totals:
    """The totals of a period of which no batch is left: failed ones stay, the others are purged."""
    return replace(
        totals,
        appended=totals.appended if measured.arrivals else None,
        completed=None,
        skipped=None,
        episodes=None,
        flushes_per_hour=None,
        tokens=totals.tokens if measured.turns else None,
    )


def _states(ended: Iterable[Ended]) -> dict[str, int]:
    counts: Mapping[BatchState, int] = Counter(each.state for each in ended)
    return {str(state): counts.get(state, 0) for state in BatchState if state not in _RUNNING}


_RUNNING = frozenset({BatchState.STARTED})


def _durations(ended: Iterable[Ended]) -> list[float]:
    """Of batches that ended: one in `error` has not."""
    return [each.took_s for each in ended if each.state is not BatchState.ERROR]


def spread(values: Sequence[float]) -> Spread:
    """Median and 95th percentile, each a value that was measured (nearest rank)."""
    if not values:
        return Spread()
    ranked = sorted(values)

    def at(share: float) -> float:
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]

    return Spread(len(ranked), at(0.5), at(0.95))


def tokens_used(value: Json) -> Tokens:
    """From a number or OpenCode's object `{input, output, reasoning, cache: {read, write}}`.

    What is no amount counts nothing: reports are made of what was stored, whoever stored it.
    """
    if not isinstance(value, dict):
        return Tokens(total=_amount(value))
    cache = value.get("cache")
    cache = cache if isinstance(cache, dict) else {}
    parts = (
        _amount(value.get("input")),
        _amount(value.get("output")),
        _amount(value.get("reasoning")),
        _amount(cache.get("read")),
        _amount(cache.get("write")),
    )
    return Tokens(*parts, total=_amount(value.get("total")) or sum(parts))


def _amount(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return 0
    return int(value)
