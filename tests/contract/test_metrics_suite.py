"""What every implementation of `Metrics` promises, asked of each of them."""

from __future__ import annotations

import inspect
import socket
import threading
from collections import Counter as Tally

import pytest

from metrics import catalog, open_metrics
from metrics.recorder import Metrics, NullMetrics, RecordedMetrics, RefusedError
from metrics.settings import MetricsSettings
from metrics.statsd import StatsdMetrics
from metrics.totals import Totals

IMPLEMENTATIONS = {
    "null": NullMetrics,
    "recorded": RecordedMetrics,
    "statsd": StatsdMetrics,
    "totals": Totals,
}

ENTRIES = list(catalog.CATALOGUE.values())


@pytest.fixture
def agent(monkeypatch):
    """A UDP port that takes datagrams and keeps them."""
    monkeypatch.setenv("DD_ORIGIN_DETECTION_ENABLED", "false")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0)
        yield receiver


@pytest.fixture(params=IMPLEMENTATIONS)
def metrics(request, agent):
    """Each implementation in turn; closed afterwards."""
    if request.param in {"statsd", "totals"}:
        opened = StatsdMetrics(
            host="127.0.0.1", port=agent.getsockname()[1], flush_interval=0, telemetry=False
        )
        if request.param == "totals":
            opened = Totals(opened)
    else:
        opened = IMPLEMENTATIONS[request.param]()
    yield opened
    opened.close()


def tags_of(entry):
    return {tag.key: tag.values[0] if tag.values else "thing" for tag in entry.tags}


def send(metrics, entry, tags):
    match entry:
        case catalog.Counter():
            return metrics.count(entry, 2, tags)
        case catalog.Distribution():
            return metrics.distribution(entry, 2, tags)
        case catalog.Gauge():
            return metrics.gauge(entry, 2, tags)
        case _:
            return metrics.event(entry, "text", tags=tags)


def came(metrics, agent):
    """The names that got through, with how often; None for the implementation that keeps none."""
    metrics.close()
    if isinstance(metrics, NullMetrics):
        return None
    if isinstance(metrics, RecordedMetrics):
        samples = [sample.metric.name for sample in metrics.samples]
        return Tally(samples + [sent.event.name for sent in metrics.events])
    names = Tally()
    for line in lines(agent):
        head = line.partition("|")[0]
        names[head.partition(":")[2 if head.startswith("_e{") else 0]] += 1
    return names


def lines(agent):
    found = []
    while True:
        try:
            found += agent.recv(65536).decode().splitlines()
        except BlockingIOError:
            return found


def test_it_has_the_signatures_of_the_capability(metrics):
    for name in ("count", "distribution", "gauge", "event", "close"):
        promised = inspect.signature(getattr(Metrics, name)).parameters
        assert list(promised)[1:] == list(inspect.signature(getattr(metrics, name)).parameters)


def test_every_entry_with_its_tags_is_taken_once(metrics, agent):
    for entry in ENTRIES:
        assert send(metrics, entry, tags_of(entry)) is None

    names = came(metrics, agent)
    assert names in (None, Tally(entry.name for entry in ENTRIES))


def test_a_call_leaves_the_tags_of_its_caller_alone(metrics):
    tags = tags_of(catalog.HOOK_COUNT)
    metrics.count(catalog.HOOK_COUNT, tags=tags)

    assert tags == tags_of(catalog.HOOK_COUNT)


WRONG = {
    "a new name": lambda m: m.count(catalog.Counter("opencode.memory.new", "x", "New.")),
    "a string": lambda m: m.count("opencode.memory.cache_hit"),
    "a gauge counted": lambda m: m.count(catalog.SPOOL_PENDING, 1),
    "a counter as gauge": lambda m: m.gauge(catalog.CACHE_HIT, 1),
    "an event as number": lambda m: m.distribution(catalog.OPENCODE_ERROR, 1),
    "a number as event": lambda m: m.event(catalog.CACHE_HIT, "text"),
    "an alert type": lambda m: m.event(
        catalog.OPENCODE_ERROR, "text", tags={"error_name": "E"}, alert_type="bad"
    ),
    "a tag": lambda m: m.count(catalog.CACHE_HIT, 1, {"session": "s"}),
    "a missing tag": lambda m: m.count(catalog.HOOK_COUNT, 1, {"hook": "chat:start"}),
    "a tag value": lambda m: m.gauge(catalog.BATCHES, 1, {"state": "lost"}),
    "less than nothing": lambda m: m.count(catalog.CACHE_HIT, -1),
    "not a number": lambda m: m.gauge(catalog.SPOOL_PENDING, float("nan")),
    "infinite": lambda m: m.distribution(catalog.QUERY_DURATION, float("inf")),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_not_declared_goes_nowhere(wrong, metrics, agent):
    if isinstance(metrics, RecordedMetrics):
        with pytest.raises(RefusedError):
            wrong(metrics)
    else:
        wrong(metrics)

    assert not came(metrics, agent)


def test_after_close_calls_do_nothing(metrics, agent):
    metrics.close()
    metrics.close()
    for entry in ENTRIES:
        send(metrics, entry, tags_of(entry))

    assert not came(metrics, agent)


def test_it_may_be_used_from_many_threads(metrics, agent):
    def work():
        for _ in range(100):
            metrics.count(catalog.CACHE_HIT)
            metrics.count(catalog.ERRORS, 1, {"where": "sweep"})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    metrics.close()

    if isinstance(metrics, RecordedMetrics):
        assert metrics.total(catalog.CACHE_HIT) == metrics.total(catalog.ERRORS) == 400
    elif isinstance(metrics, StatsdMetrics):
        assert sorted(lines(agent)) == [
            "opencode.memory.cache_hit:400|c",
            "opencode.memory.errors:400|c|#where:sweep",
        ]


def test_the_recorder_shows_what_came():
    metrics = RecordedMetrics()
    metrics.count(catalog.INVALIDATIONS, 2, {"outcome": "ok"})
    metrics.count(catalog.INVALIDATIONS, 1, {"outcome": "failed"})
    metrics.distribution(catalog.QUERY_DURATION, 1.5)
    metrics.gauge(catalog.SPOOL_PENDING, 3)
    metrics.gauge(catalog.SPOOL_PENDING, 4)
    metrics.event(
        catalog.OPENCODE_ERROR,
        "it broke",
        alert_type="warning",
        aggregation_key="k",
        tags={"error_name": "Oops"},
    )

    assert metrics.total(catalog.INVALIDATIONS) == 3
    assert metrics.total(catalog.INVALIDATIONS, outcome="ok") == 2
    assert metrics.values(catalog.QUERY_DURATION) == [1.5]
    assert metrics.values(catalog.SPOOL_PENDING)[-1] == 4
    [sent] = metrics.events
    assert (sent.text, sent.alert_type, sent.aggregation_key) == ("it broke", "warning", "k")
    assert sent.tags == {"error_name": "Oops"}


def test_the_settings_choose_the_implementation():
    assert isinstance(open_metrics(MetricsSettings(enabled=False)), NullMetrics)
    opened = open_metrics(MetricsSettings())
    opened.close()

    assert isinstance(opened, StatsdMetrics)
