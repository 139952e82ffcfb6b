"""The benchmark of the spool in its smallest size: whether it runs, not how fast."""

from __future__ import annotations

import json

import pytest
from rich.console import Console
from rich.progress import Progress

from bridge.bench import spool as bench
from bridge.bench.figures import drains_table, figures_table


@pytest.mark.timeout(180)
def test_every_part_of_the_spool_bench_measures_something():
    sizes = bench.Sizes(
        rounds=1, batched=400, single=40, flushed=100, spooled=500, real=300, fake=500
    )
    console = Console(stderr=True)
    with Progress(console=console, disable=True) as progress:
        results = bench.measured(sizes, bench.Steps(progress, console))

    told = json.loads(results.json())
    assert told["notes"] == []
    ways = [figure["what"].partition(",")[0] for figure in told["figures"]]
    assert ways[:4] == ["through the socket", "through HTTP"] * 2
    assert {"raw_events_status with 500 events that wait", "status with 500 events that wait"} <= {
        figure["what"] for figure in told["figures"]
    }
    assert all(figure["median"] > 0 for figure in told["figures"])
    real, fake = told["drains"]
    assert {"bridge", "worker", "falkordb", "valkey"} <= real["memory"].keys()
    assert fake["samples"][-1][1] == 500
    assert figures_table("spool", results.figures).row_count == len(told["figures"])
    assert drains_table(results.drains).row_count == 5
