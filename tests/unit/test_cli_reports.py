"""The report and the gate against a scripted bridge."""

from __future__ import annotations

import json
import sys

import pytest

REPORT = {
    "since": 1.8e9,
    "until": 1.8e9 + 7200,
    "bucket_s": 3600.0,
    "buckets": [
        {"at": 1.8e9, "appended": 40, "completed": 3, "skipped": 1, "error": 1, "gave_up": 0,
         "flush_s": {"count": 3, "median": 0.2, "p95": 0.4}, "pending": 7, "oldest_age_s": 12.0,
         "tokens": 900},
        {"at": 1.8e9 + 3600, "appended": 0, "completed": 0, "skipped": 0, "error": 0, "gave_up": 0,
         "flush_s": {"count": 0, "median": None, "p95": None}, "pending": None,
         "oldest_age_s": None, "tokens": 0},
    ],
    "totals": {
        "appended": 40, "completed": 3, "skipped": 1, "error": 1, "gave_up": 0, "episodes": 21,
        "flush_s": {"count": 3, "median": 0.2, "p95": 0.4}, "flushes_per_hour": 1.5,
        "tokens": {"input": 500, "output": 400, "cache_read": 0, "total": 900}, "tagged": 0.5,
        "summaries": {"count": 2, "median": 180, "p95": 200},
    },
}  # fmt: skip


def test_a_report_has_its_figures_and_a_line_for_each_bucket(run, scripted):
    scripted.answers["raw_events_report"] = REPORT
    status, out, _ = run("raw-events-report", "--since", "2h", "--buckets", "2")
    figures = dict(line.rsplit(None, 1) for line in out.splitlines() if line[:1].isalpha())

    assert status == 0
    (_, params) = scripted.asked_for[0]
    assert params["until"] - params["since"] == pytest.approx(7200)
    assert params["buckets"] == 2
    assert figures["tokens"] == "900"
    assert figures["batches with tags"] == "50%"
    assert out.count("█") == 24


def test_two_periods_are_compared_in_two_columns_with_the_change(run, scripted):
    before = {**REPORT, "totals": {**REPORT["totals"], "appended": 20, "tagged": None}}
    scripted.answers["raw_events_report"] = [REPORT, before, REPORT, before]
    _, out, _ = run("raw-events-report", "--since", "2h", "--compare")
    asked = [params for _, params in scripted.asked_for]

    assert asked[1]["until"] == asked[0]["since"]
    assert asked[0]["since"] - asked[1]["since"] == pytest.approx(7200)
    events = next(line for line in out.splitlines() if line.startswith("events "))
    assert events.split() == ["events", "40", "20", "+100%"]
    tags = next(line for line in out.splitlines() if line.startswith("batches with tags"))
    assert tags.split()[-3:] == ["50%", "-", "-"]
    as_json = json.loads(run("raw-events-report", "--compare", "--json")[1])
    assert as_json == {**REPORT, "previous": before}


@pytest.mark.parametrize(
    ("suffix", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_a_chart_is_written_as_its_ending_says(run, scripted, tmp_path, suffix, begins):
    scripted.answers["raw_events_report"] = [REPORT, REPORT]
    path = tmp_path / f"chart.{suffix}"

    status, out, _ = run("raw-events-report", "--compare", "--plot", str(path))

    assert status == 0
    assert out.endswith(f"chart: {path}\n")
    assert path.read_bytes().startswith(begins)


def test_a_chart_that_can_t_be_written_is_one_line(run, scripted):
    scripted.answers["raw_events_report"] = REPORT

    status, _, err = run("raw-events-report", "--plot", "/nowhere/chart.svg")

    assert status == 1
    assert err.startswith("opencode-mem: --plot: /nowhere/chart.svg can't be written")


def test_without_matplotlib_a_line_names_the_mend_before_anything_is_asked(
    run, scripted, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("bridge.cli.chart.find_spec", lambda _: None)

    status, _, err = run("raw-events-report", "--plot", "chart.svg")

    assert (status, "./dev setup plot" in err) == (1, True)
    assert scripted.asked_for == []


def test_nothing_but_a_chart_imports_matplotlib(run, scripted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    scripted.answers["raw_events_report"] = REPORT

    assert run("raw-events-report")[0] == 0


GOOD = {"pending": 0, "oldest_age_s": 0.0, "batches": {}, "degradation": "live"}


@pytest.mark.parametrize(
    ("words", "status", "worse"),
    [
        ([], 0, {}),
        (["--max-pending", "5"], 1, {"pending": 6}),
        (["--max-pending", "5"], 0, {"pending": 5}),
        (["--max-oldest-age", "10m"], 1, {"oldest_age_s": 601.0}),
        (["--max-error-batches", "1"], 1, {"batches": {"error": 2}}),
        ([], 1, {"batches": {"gave_up": 1}}),
        (["--max-gave-up", "1"], 0, {"batches": {"gave_up": 1}}),
        (["--min-flush-success", "0.9"], 1, {}),
        (["--require-live"], 1, {"degradation": "no-cache"}),
        ([], 1, {"disk": "no space left"}),
    ],
)
def test_a_gate_ends_with_1_when_a_threshold_is_broken(run, scripted, words, status, worse):
    scripted.answers["raw_events_status"] = {**GOOD, **worse}
    success = {**REPORT["totals"], "error": 1 if "--min-flush-success" in words else 0}
    scripted.answers["raw_events_report"] = {**REPORT, "totals": success}

    ended, out, _ = run("raw-events-gate", *words)

    assert ended == status
    assert sum(line.startswith("fail") for line in out.splitlines()) == status


def test_a_gate_does_not_judge_a_period_that_nobody_knows_any_more(run, scripted):
    scripted.answers["raw_events_status"] = GOOD
    unknown = {**REPORT["totals"], "completed": None, "skipped": None, "gave_up": 2}
    scripted.answers["raw_events_report"] = {**REPORT, "totals": unknown}

    status, out, _ = run("raw-events-gate")

    assert status == 0
    assert next(line for line in out.splitlines() if "flush success" in line).split()[3] == "-"


def test_a_period_that_nobody_knows_any_more_has_no_figures_to_compare_with(run, scripted):
    unknown = {**REPORT["totals"], "completed": None, "tokens": None}
    scripted.answers["raw_events_report"] = [REPORT, {**REPORT, "totals": unknown}]
    lines = run("raw-events-report", "--compare")[1].splitlines()

    for name in ("batches completed", "tokens in"):
        assert next(line for line in lines if line.startswith(name)).split()[-2:] == ["-", "-"]


def test_a_gate_tells_programs_every_figure(run, scripted):
    scripted.answers["raw_events_status"] = GOOD
    scripted.answers["raw_events_report"] = {**REPORT, "totals": {}}

    told = json.loads(run("raw-events-gate", "--json")[1])

    assert told["ok"] is True
    assert [each["name"] for each in told["thresholds"]] == [
        "pending", "oldest age (s)", "error batches", "gave_up batches", "flush success",
        "disk takes nothing",
    ]  # fmt: skip
    assert told["thresholds"][-2]["value"] is None
