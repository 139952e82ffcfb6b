"""What the process has told about itself, for whoever asks it."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from metrics import catalog
from metrics.recorder import NullMetrics, RecordedMetrics
from metrics.totals import Totals

HIT = ("opencode.memory.cache_hit", ())
QUERY = ("opencode.memory.query_duration", ())


def test_counters_add_up_gauges_keep_the_newest_value_and_everything_is_passed_on():
    target = RecordedMetrics()
    totals = Totals(target)
    totals.count(catalog.CACHE_HIT)
    totals.count(catalog.CACHE_HIT, 2)
    totals.gauge(catalog.SPOOL_PENDING, 7)
    totals.gauge(catalog.SPOOL_PENDING, 3)

    told = totals.told()
    assert told.counters == {HIT: 3.0}
    assert told.gauges == {("opencode.memory.spool_pending", ()): 3.0}
    assert len(target.samples) == 4


def test_a_series_has_its_tags_in_one_order():
    totals = Totals(NullMetrics())
    totals.count(catalog.HOOK_COUNT, tags={"hook": "error", "outcome": "accepted"})
    totals.count(catalog.HOOK_COUNT, tags={"outcome": "accepted", "hook": "error"})

    key = ("opencode.memory.hook_count", (("hook", "error"), ("outcome", "accepted")))
    assert totals.told().counters == {key: 2.0}


def test_what_the_catalogue_refuses_is_not_counted():
    totals = Totals(NullMetrics())
    totals.count(catalog.HOOK_COUNT, tags={"hook": "error"})
    totals.count(catalog.CACHE_HIT, -1)
    totals.distribution(catalog.QUERY_DURATION, float("nan"))
    assert totals.told() == Totals(NullMetrics()).told()


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=1200))
def test_percentiles_are_samples_in_order_and_the_count_is_of_all(samples):
    totals = Totals(NullMetrics())
    for sample in samples:
        totals.distribution(catalog.QUERY_DURATION, sample)

    spread = totals.told().distributions[QUERY]
    newest = samples[-512:]
    assert spread.count == len(samples)
    assert {spread.p50, spread.p95, spread.p99, spread.max} <= set(newest)
    assert spread.p50 <= spread.p95 <= spread.p99 <= spread.max == max(newest)


def test_threads_lose_nothing():
    totals = Totals(NullMetrics())

    def count():
        for _ in range(2000):
            totals.count(catalog.CACHE_HIT)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals.told().counters[HIT] == 8000
