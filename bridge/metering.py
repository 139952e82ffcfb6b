"""Metrics for a process whose metrics client arrives later than its first requests."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics.catalog import AlertType, Counter, Distribution, Event, Gauge, Tags
    from metrics.recorder import Metrics

#: Calls that are kept until the client is there; later ones push out the oldest.
_MOST_EARLY = 2000


class LateMetrics:
    """Keeps what is counted before `arrive`, then passes everything on."""

    def __init__(self) -> None:
        self._target: Metrics | None = None
        self._early: deque[Callable[[Metrics], None]] = deque(maxlen=_MOST_EARLY)

    def arrive(self, target: Metrics) -> None:
        """The client is there: give it what was kept, and everything from now on."""
        self._target = target
        while self._early:
            self._early.popleft()(target)

    def count(self, metric: Counter, value: float = 1, tags: Tags | None = None) -> None:
        if self._target is not None:
            self._target.count(metric, value, tags)
        else:
            self._early.append(lambda target: target.count(metric, value, tags))

    def distribution(self, metric: Distribution, value: float, tags: Tags | None = None) -> None:
        if self._target is not None:
            self._target.distribution(metric, value, tags)
        else:
            self._early.append(lambda target: target.distribution(metric, value, tags))

    def gauge(self, metric: Gauge, value: float, tags: Tags | None = None) -> None:
        if self._target is not None:
            self._target.gauge(metric, value, tags)
        else:
            self._early.append(lambda target: target.gauge(metric, value, tags))

    def event(
        self,
        event: Event,
        text: str,
        *,
        alert_type: AlertType = "error",
        aggregation_key: str = "",
        tags: Tags | None = None,
    ) -> None:
        def send(target: Metrics) -> None:
            target.event(
                event, text, alert_type=alert_type, aggregation_key=aggregation_key, tags=tags
            )

        if self._target is not None:
            send(self._target)
        else:
            self._early.append(send)

    def close(self) -> None:
        if self._target is not None:
            self._target.close()
