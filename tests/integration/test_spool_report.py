"""What the spool did over a period, in numbers."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_manager.errors import InvalidRequest
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.report import Spread, Tokens, spread, tokens_used
from memory_manager.spool.store import Spool


class Clock:
    def __init__(self) -> None:
        self.now = 6000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def spool(tmp_path, clock):
    opened = Spool.open(tmp_path / "spool.sqlite3", now=clock)
    yield opened
    opened.close()


def event(name, kind=EventKind.NOTE, session="s", content="x", group="g", **metadata):
    return RawEvent(name, group, session, kind, 1.0, content, {"type": kind.value, **metadata})


def test_a_report_counts_what_came_and_went_in_each_part(spool, clock):
    spool.append([event(f"{n}") for n in range(3)])
    spool.sample()
    clock.now += 60
    spool.append([event("d", EventKind.SUCCESS, tokens={"input": 5, "cache": {"read": 2}})])
    batch = spool.claim("g", "s")
    clock.now += 10
    spool.complete(batch, episodes=4, summary="12345", tags=("a",))
    clock.now += 50
    spool.append([event("e", EventKind.SUCCESS, tokens=10), event("f", session="t")])
    spool.sample()
    spool.complete(spool.claim("g", "s"))
    spool.fail(spool.claim("g", "t"), "x", None)

    report = spool.report(6000.0, 6180.0, 3)

    assert [part.at for part in report.buckets] == [6000.0, 6060.0, 6120.0]
    assert [part.appended for part in report.buckets] == [3, 1, 2]
    assert [part.completed for part in report.buckets] == [0, 1, 1]
    assert [part.error for part in report.buckets] == [0, 0, 1]
    assert [part.tokens for part in report.buckets] == [0, 7, 10]
    assert [part.pending for part in report.buckets] == [3, None, 2]
    assert report.buckets[1].flush_s == Spread(1, 10.0, 10.0)
    totals = report.totals
    assert (totals.appended, totals.completed, totals.episodes) == (6, 2, 4)
    assert totals.tokens == Tokens(input=5, cache_read=2, total=17)
    assert (totals.tagged, totals.summaries) == (0.5, Spread(1, 5, 5))
    assert totals.flushes_per_hour == pytest.approx(40)
    assert json.loads(json.dumps(asdict(report)))["totals"]["tokens"]["total"] == 17


def test_what_was_counted_outlives_what_was_purged(spool, clock):
    spool.append([event(f"{n}") for n in range(5)])
    spool.complete(spool.claim("g", "s"))
    clock.now += 1e6
    assert spool.purge(clock.now, 10.0) == 5
    spool.append([event("late")])

    report = spool.report(6000.0, clock.now + 1, 10)
    assert (report.buckets[0].appended, report.buckets[-1].appended) == (5, 1)


def test_what_retention_has_taken_is_unknown_and_not_nothing(spool, clock):
    spool.append([event("old")])
    spool.complete(spool.claim("g", "s"), episodes=1)
    clock.now += 1e6
    spool.purge(clock.now, 10.0)
    spool.append([event("new", session="t")])
    spool.complete(spool.claim("g", "t"))

    before = spool.report(0.0, clock.now - 120, 1)
    since = spool.report(clock.now - 60, clock.now + 1, 1)

    gone = before.totals
    assert (gone.completed, gone.skipped, gone.episodes, gone.flushes_per_hour) == (None,) * 4
    assert (gone.tokens, gone.tagged, gone.appended, gone.gave_up) == (None, None, 1, 0)
    assert (since.totals.completed, since.totals.skipped) == (1, 0)


@pytest.mark.parametrize(
    ("since", "until", "buckets"),
    [(5, 5, 1), (6, 5, 1), (0, 1, 0), (0, 1, 2001), (float("nan"), 1, 1)],
)
def test_a_report_of_no_period_is_refused(spool, since, until, buckets):
    with pytest.raises(InvalidRequest):
        spool.report(since, until, buckets)


def test_an_empty_spool_has_an_empty_report(spool):
    report = spool.report(0.0, 3600.0, 2)

    assert (report.totals.appended, report.totals.tagged) == (0, None)
    assert report.totals.flush_s == Spread()


@pytest.mark.parametrize(
    "tokens", [None, "many", True, -5, [], {"input": "x", "cache": 3}, {"total": -1}, '{"input":1}']
)
def test_tokens_that_are_none_count_nothing(spool, tokens):
    assert tokens_used(tokens) == Tokens()
    spool.append([event("a", EventKind.SUCCESS, tokens=tokens)])
    assert spool.report(0.0, 9e9, 1).totals.tokens == Tokens()


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_median_and_percentile_are_among_what_was_measured(values):
    found = spread(values)
    assert found.count == len(values)
    assert found.median in values
    assert found.p95 in values
    assert found.median <= found.p95
