"""Each command against a scripted bridge: what it asks, what it prints, how it ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import bridge.cli
from bridge.cli import app, main
from memory_manager import __version__
from memory_manager.errors import InvalidRequest, MemoryFault, Rejected, Unavailable

HOSTILE = "<b>\x1b[31m\ud800[bold]\n💥"
STATUS = {
    "pending": 12,
    "oldest_age_s": 75.0,
    "degradation": "no-graph",
    "disk": "ok",
    "batches": {"error": 2, "completed": 9},
    "sessions": [
        {"group": "g_1", "project": HOSTILE, "session": "ses_1", "title": HOSTILE, "pending": 12,
         "oldest_age_s": 75.0, "cursor": 3, "batches": {"error": 2}, "attempts": 4,
         "error": f"Unavailable: {HOSTILE}", "retry_at": 4e9},
    ],
    "more": 3,
}  # fmt: skip


def _every_command():
    plain = [command.name for command in app.registered_commands]
    return [[]] + [[name] for name in plain] + [["bench", "hooks"], ["tags", "backfill"], ["tags"]]


@pytest.mark.parametrize("words", _every_command(), ids=" ".join)
def test_help_is_printed_and_documents_the_exit_statuses(run, words):
    status, out, err = run(*words, "--help")

    assert (status, err) == (0, "")
    assert "Usage: opencode-mem" in out
    assert "Exit status: 0 done; 1 failed" in out


def test_without_a_command_the_help_is_shown(run):
    assert run()[:2] == run("--help")[:2]


def test_the_version_is_told(run):
    assert run("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["status", "--bogus"],
        ["status", "extra"],
        ["raw-events-status", "--limit", "0"],
        ["raw-events-status", "--limit", "many"],
        ["raw-events-retry", "a", "b"],
        ["raw-events-retry", "a", "--session", "b"],
        ["raw-events-retry", "--only-error", "--gave-up"],
        ["raw-events-report", "--since", "yesterday-ish"],
        ["raw-events-report", "--since", "1d", "--until", "2d"],
        ["raw-events-report", "--since", "99999999w"],
        ["raw-events-report", "--since", "0001-01-01"],
        ["raw-events-report", "--until", "9999-12-31T23:59"],
        ["raw-events-report", "--plot", "chart.docx"],
        ["raw-events-report", "--buckets", "0"],
        ["raw-events-gate", "--max-oldest-age", "old"],
        ["raw-events-gate", "--min-flush-success", "2"],
        ["tags", "backfill", "--limit", "-1"],
        ["tags", "frobnicate"],
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_status_2_before_anything_is_asked(run, scripted, words):
    status, out, err = run(*words)

    assert (status, out) == (2, "")
    assert err.startswith("opencode-mem: ")
    assert len(err) < 300
    assert scripted.asked_for == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [(InvalidRequest("a\nb"), 2), (Unavailable("away"), 3), (Rejected("full"), 1),
     (MemoryFault("bug"), 1)],
)  # fmt: skip
def test_a_fault_is_one_line_and_its_status(run, scripted, fault, status):
    scripted.answers["raw_events_status"] = fault

    assert run("raw-events-status") == (
        status,
        "",
        f"opencode-mem: {str(fault).replace(chr(10), ' ')}\n",
    )


def test_a_bug_is_one_line_too(run, scripted):
    scripted.answers["stats"] = ZeroDivisionError(f"a\n{HOSTILE}")

    status, out, err = run("stats")

    assert (status, out) == (1, "")
    assert err.startswith("opencode-mem: ZeroDivisionError: a ")
    assert "this is a bug" in err


def test_a_reader_that_goes_away_is_no_failure(monkeypatch, scripted):
    def gone(_):
        raise BrokenPipeError

    scripted.answers["stats"] = {}
    monkeypatch.setattr("bridge.cli.health.print_json", gone)
    monkeypatch.setattr(sys, "stdout", sys.stdout)

    assert main(["stats", "--json"]) == 0


def test_the_status_of_raw_events_is_a_table_with_a_line_of_sums(run, scripted):
    scripted.answers["raw_events_status"] = STATUS
    status, out, _ = run("raw-events-status", "--limit", "5")
    lines = out.splitlines()

    assert status == 0
    assert scripted.asked_for == [("raw_events_status", {"session": None, "limit": 5})]
    assert lines[0].split()[:4] == ["session", "project", "pending", "oldest"]
    assert "error:2" in lines[1]
    assert "Unavailable: <b>" in lines[1]
    assert lines[2:] == [
        "… and 3 more sessions (--limit)",
        "pending=12 oldest=1 min batches=completed:9 error:2",
        "degradation=no-graph",
    ]
    assert "\x1b" not in out


def test_json_is_the_bridge_s_answer_as_it_came(run, scripted):
    scripted.answers["raw_events_status"] = STATUS

    assert json.loads(run("raw-events-status", "--json")[1]) == STATUS


def test_the_status_of_a_session_that_is_not_there_is_refused(run, scripted):
    scripted.answers["raw_events_status"] = {**STATUS, "sessions": []}

    refused = (2, "", "opencode-mem: session: no session 'ses_9' in the spool\n")

    assert run("raw-events-status", "ses_9") == refused
    assert run("raw-events-status", "ses_9", "--json") == refused


@pytest.mark.parametrize(
    ("words", "params"),
    [
        ([], {}),
        (["ses_1"], {"session": "ses_1"}),
        (["--session", "ses_1"], {"session": "ses_1"}),
        (["ses_1", "--session", "ses_1", "--only-error"], {"session": "ses_1", "only_error": True}),
        (["--gave-up", "--limit", "3"], {"gave_up": True, "limit": 3}),
    ],
)
def test_a_retry_asks_for_what_the_options_say(run, scripted, words, params):
    scripted.answers["raw_events_retry"] = {"retried": 2}

    assert run("raw-events-retry", *words) == (0, "2 batches are due again\n", "")
    nothing = {"session": None, "only_error": False, "gave_up": False, "limit": None}
    assert scripted.asked_for == [("raw_events_retry", {**nothing, **params})]


def test_a_retry_of_nothing_says_so(run, scripted):
    scripted.answers["raw_events_retry"] = {"retried": 0}

    assert run("raw-events-retry") == (0, "nothing to retry\n", "")


PAGE = {"checked_batches": 2, "checked_events": 9, "unverifiable": 1, "missing": [],
        "repaired_batches": 0, "failed": [], "next": None}  # fmt: skip
LOST = {"group": "g_1", "session": HOSTILE, "batch": 4, "event_id": "e_1", "uuid": "u_1"}


def test_an_audit_goes_page_by_page_and_adds_up(run, scripted):
    scripted.answers["raw_events_status"] = STATUS
    scripted.answers["audit"] = [{**PAGE, "next": 2}, PAGE]
    status, out, _ = run("audit")
    pages = [params for method, params in scripted.asked_for if method == "audit"]

    assert status == 0
    assert [page.get("after") for page in pages] == [None, 2]
    assert "18 events of 4 completed batches: 0 without their episode, 2 no longer" in out


def test_an_audit_that_misses_something_names_it_and_ends_with_1(run, scripted):
    scripted.answers["raw_events_status"] = STATUS
    scripted.answers["audit"] = [{**PAGE, "missing": [LOST]}] * 2
    status, out, _ = run("audit", "--project", "shop")

    assert status == 1
    assert scripted.asked_for[-1] == ("audit", {"group": "shop", "repair": False})
    assert "e_1" in out
    assert "\x1b" not in out
    assert "audit --repair" in out
    assert json.loads(run("audit", "--json")[1])["missing"] == [LOST]


@pytest.mark.parametrize(("failed", "ends"), [([], 0), (["ses_1: Unavailable: away"], 1)])
def test_an_audit_that_repaired_everything_is_done(run, scripted, failed, ends):
    scripted.answers["raw_events_status"] = STATUS
    mended = {**PAGE, "missing": [LOST], "repaired_batches": 1, "failed": failed}
    scripted.answers["audit"] = mended

    status, out, _ = run("audit", "--repair")

    assert status == ends
    assert "1 batches were flushed again" in out
    assert all(why in out for why in failed)


def test_a_reindex_goes_project_by_project(run, scripted):
    one = {"groups": 1, "episodes": 5, "entities": 4, "facts": 3}
    scripted.answers["reindex"] = [
        {**one, "left": 1, "next": "g_1"},
        {**one, "left": 0, "next": None},
    ]

    assert run("reindex") == (0, "2 projects: 10 episodes, 8 entities, 6 facts\n", "")
    assert scripted.asked_for[1][1]["after"] == "g_1"


def test_a_backfill_stops_at_its_limit(run, scripted):
    scripted.answers["tags_backfill"] = [
        {"done": 48, "gone": 2, "failed": 0, "left": 70, "next": 50},
        {"done": 10, "gone": 0, "failed": 0, "left": 60, "next": 60},
    ]

    status, out, _ = run("tags", "backfill", "--limit", "60")

    assert (status, out) == (
        0,
        "58 batches tagged, 2 no longer in the spool, 0 failed, 60 left\n",
    )
    assert [params["limit"] for _, params in scripted.asked_for] == [50, 10]


def test_a_backfill_in_which_a_batch_failed_ends_with_1(run, scripted):
    page = {"done": 1, "gone": 0, "failed": 1, "left": 0, "next": None}
    scripted.answers["tags_backfill"] = page

    status, out, _ = run("tags", "backfill", "--json")

    assert (status, json.loads(out)) == (1, {"done": 1, "gone": 0, "failed": 1, "left": 0})


def test_stats_are_a_table_of_projects_and_the_disk(run, scripted):
    project = {"group": "g_1", "name": HOSTILE, "sessions": 1, "events": 5, "pending": 0,
               "episodes": None, "entities": None, "facts": None}  # fmt: skip
    scripted.answers["stats"] = {"projects": [project], "disk": {"spool": 2048, "all": 4096}}
    _, out, _ = run("stats")

    assert out.splitlines()[-2:] == ["disk spool: 2.0 KiB", "disk all: 4.0 KiB"]
    assert out.splitlines()[1].split()[-3:] == ["-", "-", "-"]
    assert "\x1b" not in out


def test_a_flush_with_a_failed_batch_ends_with_1(run, scripted):
    done = {"batches": 2, "episodes": 3, "skipped": 0, "failed": 0, "errors": []}
    scripted.answers["flush"] = [done, {**done, "failed": 1}]

    assert run("flush") == (0, "2 batches, 3 episodes, 0 skipped, 0 failed\n", "")
    assert run("flush", "ses_1")[0] == 1


def test_every_command_of_the_operator_is_there():
    names = {command.name for command in app.registered_commands}

    assert names >= {
        "raw-events-status", "raw-events-retry", "raw-events-report", "raw-events-gate", "flush",
        "serve", "stop", "status", "stats", "doctor", "open", "demo", "audit", "reindex",
    }  # fmt: skip
    assert Path(bridge.cli.__file__).name == "__init__.py"
