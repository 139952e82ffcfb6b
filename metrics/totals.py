"""What the product has told about itself since it started, for whoever asks the process itself.

Datadog keeps the history; this keeps sums, the newest gauges and a window of samples, so that a
page or a command can show them without it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metrics.catalog import Counter, Distribution, Gauge, number, validate

if TYPE_CHECKING:
    from metrics.catalog import AlertType, Declared, Event, Tags
    from metrics.recorder import Metrics

#: Samples of one distribution that its percentiles are taken from.
_SAMPLES = 512
#: Series that are kept; the catalogue with its tags has far fewer.
_SERIES = 2000

type Series = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution: how many samples there were, and what the newest of them came to."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Told:
    """Everything at one moment, by name and tags."""

    counters: dict[Series, float]
    gauges: dict[Series, float]
    distributions: dict[Series, Spread]


class Totals:
    """Adds up what passes through it to `target`; a `Metrics` itself."""

    def __init__(self, target: Metrics) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._counters: dict[Series, float] = {}
        self._gauges: dict[Series, float] = {}
        self._samples: dict[Series, tuple[list[int], deque[float]]] = {}

    def told(self) -> Told:
        """A copy of what stands."""
        with self._lock:
            samples = {key: (seen[0], list(kept)) for key, (seen, kept) in self._samples.items()}
            counters, gauges = dict(self._counters), dict(self._gauges)
        spreads = {key: _spread(seen, kept) for key, (seen, kept) in samples.items()}
        return Told(counters, gauges, spreads)

    def count(self, metric: Counter, value: float = 1, tags: Tags | None = None) -> None:
        if (key := _series(Counter, metric, tags)) is not None and (
            plain := number(value)
        ) is not None:
            with self._lock:
                if key in self._counters or len(self._counters) < _SERIES:
                    self._counters[key] = self._counters.get(key, 0.0) + plain
        self._target.count(metric, value, tags)

    def distribution(self, metric: Distribution, value: float, tags: Tags | None = None) -> None:
        if (key := _series(Distribution, metric, tags)) is not None and (
            plain := number(value)
        ) is not None:
            with self._lock:
                if key in self._samples or len(self._samples) < _SERIES:
                    seen, kept = self._samples.setdefault(key, ([0], deque(maxlen=_SAMPLES)))
                    seen[0] += 1
                    kept.append(plain)
        self._target.distribution(metric, value, tags)

    def gauge(self, metric: Gauge, value: float, tags: Tags | None = None) -> None:
        if (key := _series(Gauge, metric, tags)) is not None and (
            plain := number(value)
        ) is not None:
            with self._lock:
                if key in self._gauges or len(self._gauges) < _SERIES:
                    self._gauges[key] = plain
        self._target.gauge(metric, value, tags)

    def event(
        self,
        event: Event,
        text: str,
        *,
        alert_type: AlertType = "error",
        aggregation_key: str = "",
        tags: Tags | None = None,
    ) -> None:
        self._target.event(
            event, text, alert_type=alert_type, aggregation_key=aggregation_key, tags=tags
        )

    def close(self) -> None:
        self._target.close()


def _series(kind: type[Declared], metric: Declared, tags: Tags | None) -> Series | None:
    if validate(metric, tags) is not None or not isinstance(metric, kind):
        return None
    return metric.name, tuple(sorted(tags.items())) if tags else ()


def _spread(seen: int, kept: list[float]) -> Spread:
    kept.sort()
    last = len(kept) - 1
    return Spread(
        seen,
        kept[round(0.5 * last)],
        kept[round(0.95 * last)],
        kept[round(0.99 * last)],
        kept[last],
    )
