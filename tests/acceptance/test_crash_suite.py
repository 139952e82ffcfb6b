"""Twenty kills from one seed, as `./dev crash` strikes them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.crash.suite import STRIKES


@pytest.mark.timeout(400)
def test_after_twenty_kills_nothing_is_lost_and_nothing_doubled(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "crash", "--kills", "20", "--seed", "20261120", "--json"],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    record = json.loads(done.stdout or "{}")
    assert record.get("faults") == [], done.stderr[-2000:]
    assert (record["lost"], record["doubled"]) == (0, 0)
    assert done.returncode == 0
    assert len(record["kills"]) == 20
    assert record["compared"] == 4
    assert record["episodes"] > 200
    assert record["facts"] > 200
    # The point of it: most kills come in the middle of the work that they are meant for.
    assert sum(kill["met"] for kill in record["kills"]) > 10


def test_the_strikes_meet_every_process_and_every_work_of_the_spool():
    alone = {strike for strike in STRIKES if isinstance(strike, str)}
    targets = {strike[0] for strike in STRIKES if not isinstance(strike, str)}

    assert alone == {"append", "migration", "purge"}
    assert targets == {"bridge", "worker", "falkordb", "valkey", "all at once"}
