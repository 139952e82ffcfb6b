"""The `Metrics` capability, one that does nothing and one that remembers everything."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from metrics.catalog import (
    ALERT_TYPES,
    Counter,
    Declared,
    Distribution,
    Event,
    Gauge,
    number,
    validate,
)

if TYPE_CHECKING:
    from metrics.catalog import AlertType, Tags


class Metrics(Protocol):
    """Takes what the product tells about itself.

    In production no method waits (`close` excepted), raises or logs, whatever it is given; every
    method may be called from any thread. What is not declared in `metrics.catalog` goes nowhere.
    """

    def count(self, metric: Counter, value: float = 1, tags: Tags | None = None) -> None:
        """Add `value` (0 or more) to a counter."""
        ...

    def distribution(self, metric: Distribution, value: float, tags: Tags | None = None) -> None:
        """Give one sample, in the metric's declared unit."""
        ...

    def gauge(self, metric: Gauge, value: float, tags: Tags | None = None) -> None:
        """State the present value; the newest one counts."""
        ...

    def event(
        self,
        event: Event,
        text: str,
        *,
        alert_type: AlertType = "error",
        aggregation_key: str = "",
        tags: Tags | None = None,
    ) -> None:
        """Send an event under its declared title; a long text is clipped.

        Events with the same non-empty `aggregation_key` are grouped on Datadog's event stream.
        """
        ...

    def close(self) -> None:
        """Send what is still held and stop; later calls do nothing. May be called again.

        The one method that may wait, for a second or so at worst.
        """
        ...


class NullMetrics:
    """Metrics switched off."""

    def count(self, metric: Counter, value: float = 1, tags: Tags | None = None) -> None:
        pass

    def distribution(self, metric: Distribution, value: float, tags: Tags | None = None) -> None:
        pass

    def gauge(self, metric: Gauge, value: float, tags: Tags | None = None) -> None:
        pass

    def event(
        self,
        event: Event,
        text: str,
        *,
        alert_type: AlertType = "error",
        aggregation_key: str = "",
        tags: Tags | None = None,
    ) -> None:
        pass

    def close(self) -> None:
        pass


class RefusedError(ValueError):
    """The catalogue does not allow this call: declare it there, or mend the caller."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One number that was given."""

    metric: Counter | Distribution | Gauge
    value: float
    tags: Tags


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event that was given."""

    event: Event
    text: str
    alert_type: AlertType
    aggregation_key: str
    tags: Tags


class RecordedMetrics:
    """Remembers what came, in order; raises `RefusedError` on what production would drop.

    For tests: it grows without bound.
    """

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.events: list[SentEvent] = []
        self.closed = False

    def count(self, metric: Counter, value: float = 1, tags: Tags | None = None) -> None:
        self._take(Counter, metric, value, tags)

    def distribution(self, metric: Distribution, value: float, tags: Tags | None = None) -> None:
        self._take(Distribution, metric, value, tags)

    def gauge(self, metric: Gauge, value: float, tags: Tags | None = None) -> None:
        self._take(Gauge, metric, value, tags)

    def event(
        self,
        event: Event,
        text: str,
        *,
        alert_type: AlertType = "error",
        aggregation_key: str = "",
        tags: Tags | None = None,
    ) -> None:
        _check(Event, event, tags)
        if alert_type not in ALERT_TYPES:
            raise RefusedError(f"{event.name}: unknown alert type {alert_type!r}")
        if not self.closed:
            kept = MappingProxyType(dict(tags or {}))
            self.events.append(SentEvent(event, text, alert_type, aggregation_key, kept))

    def close(self) -> None:
        self.closed = True

    def values(self, metric: Declared, **tags: str) -> list[float]:
        """The values given to `metric`, oldest first; only those that carry all of `tags`."""
        return [
            sample.value
            for sample in self.samples
            if sample.metric is metric and tags.items() <= sample.tags.items()
        ]

    def total(self, metric: Counter, **tags: str) -> float:
        """What a counter has come to, over all series that carry `tags`."""
        return sum(self.values(metric, **tags))

    def _take[M: (Counter, Distribution, Gauge)](
        self, kind: type[M], metric: M, value: float, tags: Tags | None
    ) -> None:
        _check(kind, metric, tags)
        if number(value) is None:
            raise RefusedError(f"{metric.name}: {value!r} is not a finite number of 0 or more")
        if not self.closed:
            self.samples.append(Sample(metric, value, MappingProxyType(dict(tags or {}))))


def _check(kind: type[Declared], metric: Declared, tags: Tags | None) -> None:
    fault = validate(metric, tags)
    if fault is None and not isinstance(metric, kind):
        fault = f"{metric.name} is a {metric.kind}, not a {kind.kind}"
    if fault is not None:
        raise RefusedError(fault)
