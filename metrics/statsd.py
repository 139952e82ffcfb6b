"""Metrics to a Datadog agent by DogStatsD. The only module that imports `datadog`."""

from __future__ import annotations

import atexit
import contextlib
import logging
import re
from typing import TYPE_CHECKING

from datadog.dogstatsd.base import DogStatsd

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
    from collections.abc import Callable, Sequence

    from metrics.catalog import AlertType, Tags

#: Most bytes of one datagram, its line feed included: the agent's default buffer holds 8 KiB.
DATAGRAM_LIMIT = 8 * 1024 - 1

TITLE_LIMIT = 512
KEY_LIMIT = 100

#: What an open tag value becomes when it is no identifier, or one too many of its key.
OTHER = "other"
DISTINCT_LIMIT = 100

# Lines are packed until their *characters* reach this, and a character has up to four bytes: so
# no packing of lines, however rich in emoji, passes 8 KiB. Over UDP it also spares fragments.
_PACKED_UDP, _PACKED_UNIX = 1432, 2000

# Datagrams waiting for the sender thread (8 KiB each at worst); the oldest is dropped first.
_QUEUED = 64

_CLOSE_S = 1.0

# Room for the client's own `|c:` field, a container id of 64 digits and its prefix.
_CONTAINER_FIELD = 128

_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class StatsdMetrics:
    """`Metrics` over UDP or a Unix socket; never waits, never raises, logs nothing.

    A caller only writes to memory: a thread of the client packs every `flush_interval` seconds
    (0: when closed, or when a datagram is full), another one resolves the host and sends. Without
    an agent the datagrams are lost and nothing else happens. The client itself adds `DD_ENV`,
    `DD_SERVICE`, `DD_VERSION` and `DATADOG_TAGS` as tags, and the container's id.
    """

    def __init__(
        self,
        *,
        host: str = "localhost",
        port: int = 8125,
        socket_path: str = "",
        flush_interval: float = 0.3,
        telemetry: bool = True,
    ) -> None:
        """Open a sender to `socket_path` (a path or a `unix://` address), else to `host:port`.

        `telemetry` has the client report its own traffic and drops to the agent.
        """
        # It warns at every packet that nobody takes, which is what "no agent" looks like.
        logging.getLogger("datadog.dogstatsd").setLevel(logging.CRITICAL)
        # The address is always explicit: the client's own reading of the environment never wins.
        self._client = DogStatsd(
            host=None if socket_path else host,
            port=None if socket_path else port,
            socket_path=socket_path or None,
            flush_interval=flush_interval,
            max_buffer_len=_PACKED_UNIX if socket_path else _PACKED_UDP,
            disable_buffering=False,
            disable_aggregation=False,
            disable_telemetry=not telemetry,
            socket_timeout=0,
            # Else the caller, or whoever waits for the buffer's lock, waits for a slow resolver.
            disable_background_sender=False,
            sender_queue_size=_QUEUED,
            sender_queue_timeout=0,
        )
        self._write: dict[type[Declared], Callable[[str, float, list[str]], object]] = {
            Counter: self._client.count,
            Distribution: self._client.distribution,
            Gauge: self._client.gauge,
        }
        self._seen: dict[str, set[str]] = {}
        self._closed = False
        #: Calls that went nowhere: not declared, malformed, or after `close`.
        self.dropped = 0
        # The client has no hook of its own: without this the last interval is lost at exit.
        atexit.register(self.close)

    def count(self, metric: Counter, value: float = 1, tags: Tags | None = None) -> None:
        self._sample(Counter, metric, value, tags)

    def distribution(self, metric: Distribution, value: float, tags: Tags | None = None) -> None:
        self._sample(Distribution, metric, value, tags)

    def gauge(self, metric: Gauge, value: float, tags: Tags | None = None) -> None:
        self._sample(Gauge, metric, value, tags)

    def event(
        self,
        event: Event,
        text: str,
        *,
        alert_type: AlertType = "error",
        aggregation_key: str = "",
        tags: Tags | None = None,
    ) -> None:
        try:
            labels = self._labels(Event, event, tags)
        except Exception:  # noqa: BLE001 - as in _sample
            labels = None
        if labels is None:
            self.dropped += 1
        else:
            self.send_event(
                event.name,
                text,
                alert_type=alert_type,
                aggregation_key=aggregation_key,
                tags=labels,
            )

    def send_event(
        self,
        title: str,
        text: str,
        *,
        alert_type: AlertType = "info",
        aggregation_key: str = "",
        tags: Sequence[str] = (),
    ) -> None:
        """Send an event of a person's own wording (`python -m metrics event`), tags as `k:v`."""
        try:
            if self._closed or not self._post(title, text, alert_type, aggregation_key, list(tags)):
                self.dropped += 1
        except Exception:  # noqa: BLE001 - as in _sample
            self.dropped += 1

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        client = self._client
        with contextlib.suppress(Exception):
            # Packed and queued first: stop() would send each counter as a datagram of its own,
            # and a Unix socket holds ten. It also leaves the flush thread running: the setter ends it.
            client.flush_aggregated_metrics()
            client.flush()
            client.disable_aggregation()
            client.disable_buffering = True
            client.stop(_CLOSE_S)

    def _sample(
        self, kind: type[Declared], metric: Declared, value: float, tags: Tags | None
    ) -> None:
        try:
            labels = self._labels(kind, metric, tags)
            plain = number(value)
            if self._closed or labels is None or plain is None:
                self.dropped += 1
            else:
                self._write[kind](metric.name, plain, labels)
        except Exception:  # noqa: BLE001 - a metric must never hurt what it measures
            self.dropped += 1

    def _labels(
        self, kind: type[Declared], metric: Declared, tags: Tags | None
    ) -> list[str] | None:
        """The tags as the client takes them, in declared order; None when not allowed."""
        if not isinstance(metric, kind):
            return None
        settled = dict(tags or {})
        for tag in metric.tags:
            if not tag.values and tag.key in settled:
                value = settled[tag.key]
                settled[tag.key] = self._known(tag.key, value) if tag.allows(value) else OTHER
        if validate(metric, settled) is not None:
            return None
        # join and not an f-string: that would write the name of a `str` enum's member
        return ["".join((tag.key, ":", settled[tag.key])) for tag in metric.tags]

    def _known(self, key: str, value: str) -> str:
        """`value`, unless its key has had too many: each new one is a new series to pay for."""
        seen = self._seen.setdefault(key, set())
        if value not in seen:
            if len(seen) >= DISTINCT_LIMIT:
                return OTHER
            seen.add(value)
        return value

    def _post(self, title: str, text: str, alert: str, key: str, tags: list[str]) -> bool:
        heading = clip(_one_line(title), TITLE_LIMIT)
        if not heading or alert not in ALERT_TYPES:
            return False
        group = clip(_one_line(key).replace("|", "_"), KEY_LIMIT)
        every_tag = ",".join([*tags, *self._client.constant_tags])
        frame = f"_e{{9999,9999}}:{heading}||k:{group}|t:{alert}|#{every_tag}\n"
        room = DATAGRAM_LIMIT - len(frame.encode("utf-8", "replace")) - _CONTAINER_FIELD
        if room < 0:
            return False
        self._client.event(
            heading,
            clip(_escaped(text), room),
            alert_type=alert,
            aggregation_key=group or None,
            tags=tags or None,
        )
        return True


def clip(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8 and whole characters; what was cut ends in `…`."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    mark = "…"
    kept = encoded[: max(0, limit - len(mark.encode()))].decode(errors="ignore")
    # The cut may have halved an escaped line feed.
    kept = kept.removesuffix("\\") + mark
    return kept if len(kept.encode()) <= limit else ""


def _escaped(text: str) -> str:
    """An event's text on one line of the wire; no more of a huge one than could ever fit."""
    lines = _LINE_ENDS.sub("\n", text[: DATAGRAM_LIMIT + 1])
    return _CONTROLS.sub(" ", lines).replace("\n", "\\n")


def _one_line(text: str) -> str:
    return " ".join(_CONTROLS.sub(" ", text[: DATAGRAM_LIMIT + 1]).split())
