"""The README's main job, as `./dev demo` runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_the_demo_does_the_whole_job_and_leaves_nothing_running(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "demo", "--json"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )

    story = json.loads(done.stdout)
    assert story["faults"] == []
    assert done.returncode == 0
    assert story["outcomes"].keys() <= {"empty", "injected", "cached", "accepted", "duplicate"}
    assert min(story["stored"].values()) > 0
    assert [look["cache"] for look in story["after_write"]] == ["outdated", "hit"]
    assert all(answer["context"].startswith("[Memory Context]") for answer in story["answers"])
    relations = {fact["relation"] for fact in story["facts"]}
    assert {"MODIFIED", "FAILED_WITH", "OCCURRED_IN", "FIXED_BY", "DECIDED"} <= relations
    assert "opencode.memory.cache_outdated" in story["metrics"]
