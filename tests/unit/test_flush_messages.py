from __future__ import annotations

import pytest

from bridge.flush.messages import (
    Beat,
    Flushed,
    Gone,
    Order,
    Ready,
    failed,
    order_from,
    order_line,
    report_from,
    report_line,
)
from memory_manager.errors import Corrupt, InvalidRequest, Rejected, Unavailable


@pytest.mark.parametrize("order", [Order(7, 12), Order(8, 12, "summary")])
def test_an_order_arrives_as_it_was_sent(order):
    assert order_from(order_line(order)) == order


@pytest.mark.parametrize(
    "report",
    [
        Ready(9),
        Beat(1),
        Gone(2),
        Flushed(1, 2, 3, 4, ("a\n.py", "b"), skipped=False),
        Flushed(1, skipped=True, tags_version=1),
        Flushed(1, 5, summary="Asked: \ud800\nDone: é", tags=("bugfix", "python"), tags_version=1),
    ],
)
def test_a_report_arrives_as_it_was_sent(report):
    line = report_line(report)

    assert line.count(b"\n") == 1
    assert report_from(line) == report


@pytest.mark.parametrize("kind", [Unavailable, InvalidRequest, Rejected, Corrupt])
def test_a_failure_keeps_its_kind_and_reason(kind):
    report = report_from(report_line(failed(3, kind("no\nroom"))))

    assert type(report.fault()) is kind
    assert str(report.fault()) == "no\nroom"


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'["new"]', b'["beat"]', b"\xff", b"[1,2"])
def test_an_unintelligible_report_means_the_worker_is_unavailable(line):
    with pytest.raises(Unavailable):
        report_from(line)
