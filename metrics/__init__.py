"""What the product tells about itself: a catalogue of metrics and three ways to take them.

Importing this package is cheap; `datadog` (130 ms) is imported when a sender is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metrics.recorder import Metrics
    from metrics.settings import MetricsSettings

__all__ = ["open_metrics"]


def open_metrics(settings: MetricsSettings) -> Metrics:
    """What the settings ask for: a DogStatsD sender, or nothing at all when switched off."""
    if not settings.enabled:
        from metrics.recorder import NullMetrics  # noqa: PLC0415 - as below

        return NullMetrics()
    from metrics.statsd import StatsdMetrics  # noqa: PLC0415 - imports datadog, 130 ms

    return StatsdMetrics(host=settings.host, port=settings.port, socket_path=settings.socket_path)
