"""`opencode-mem` as an operator runs it: its own process, a real bridge, real engines."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys

import pytest

from bridge.sandbox import sandbox

ESCAPE = re.compile(r"\x1b")


def operate(box, *words, **settings):
    """Run `opencode-mem` in the sandbox; nothing of it is a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "bridge", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=box.environment | settings,
        cwd=box.folder,
        timeout=110,
        check=False,
    )


def told(box, *words, status=0, **settings):
    """The JSON of a command."""
    done = operate(box, *words, "--json", **settings)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def waiting(place):
    """Three memories that wait in the place's session."""
    for number in range(3):
        place.store(f"Decision {number}: the till counts in whole cents.")
    return place


def test_what_waits_is_shown_until_it_is_flushed(box, waiting):
    before = operate(box, "raw-events-status", waiting.session)
    flushed = operate(box, "flush", waiting.session)
    after = told(box, "raw-events-status", waiting.session)["sessions"][0]

    row = before.stdout.splitlines()[1]
    assert row.startswith(waiting.session[:39])
    assert row.split()[2] == "3"
    assert flushed.stdout.startswith("1 batches, ")
    assert (after["pending"], after["batches"]) == (0, {"completed": 1})


def test_a_status_tells_programs_all_and_people_in_sections(box):
    answer = told(box, "status")
    lines = operate(box, "status").stdout.splitlines()

    assert answer["degradation"] == "live"
    assert {"engines", "spool", "worker", "cache", "version"} <= answer.keys()
    assert "bridge degradation: live" in lines
    assert any(line.startswith("parts falkordb: ready (pid ") for line in lines)


def test_an_audit_is_clean_and_a_reindex_changes_nothing_of_it(box, waiting):
    waiting.flush()
    size = told(box, "audit")
    indexed = told(box, "reindex", "--project", waiting.project)

    assert size["checked_events"] >= 3
    assert size["missing"] == size["failed"] == []
    assert (indexed["groups"], indexed["episodes"] >= 3) == (1, True)
    assert told(box, "audit", "--project", waiting.project)["checked_events"] == 3
    assert waiting.texts("how does the till count?")


def test_an_audit_that_finds_something_ends_with_1_and_repairs_it(box, waiting, processes):
    waiting.flush()
    group = told(box, "audit", "--project", waiting.project) and _group(box, waiting)
    socket = _engine(box)
    _ask(socket, "GRAPH.DELETE", group)

    found = operate(box, "audit", "--project", waiting.project)
    mended = operate(box, "audit", "--project", waiting.project, "--repair")
    again = operate(box, "audit", "--project", waiting.project)

    assert (found.returncode, mended.returncode, again.returncode) == (1, 0, 0)
    assert "3 without their episode" in found.stdout
    assert "1 batches were flushed again" in mended.stdout
    assert "0 without their episode" in again.stdout
    assert len(waiting.texts("how does the till count?")) >= 1


def test_stats_count_the_project(box, waiting):
    waiting.flush()

    answer = told(box, "stats")

    (project,) = [each for each in answer["projects"] if each["group"] == _group(box, waiting)]
    assert (project["events"], project["pending"]) == (3, 0)
    assert project["episodes"] >= 3
    assert answer["disk"]["all"] > answer["disk"]["spool"] > 0


def test_a_report_and_its_comparison_and_its_chart(box, waiting, tmp_path):
    waiting.flush()
    chart = tmp_path / "week.svg"

    report = told(box, "raw-events-report", "--since", "1h", "--compare", "--buckets", "6")
    table = operate(box, "raw-events-report", "--since", "1h", "--plot", str(chart))

    assert {"since", "until", "bucket_s", "buckets", "totals", "previous"} == report.keys()
    assert len(report["buckets"]) == len(report["previous"]["buckets"]) == 6
    assert report["totals"]["completed"] >= 1
    assert {"at", "appended", "completed", "pending", "tokens"} <= report["buckets"][0].keys()
    assert table.returncode == 0, table.stderr
    assert chart.read_text(encoding="utf-8").startswith("<?xml")


def test_a_gate_passes_and_names_the_threshold_that_is_broken(box, waiting):
    well = operate(box, "raw-events-gate")
    broken = operate(box, "raw-events-gate", "--max-pending", "2")
    waiting.flush()

    assert well.returncode == 0, well.stdout
    assert broken.returncode == 1
    assert [line.split()[:2] for line in broken.stdout.splitlines() if "fail" in line] == [
        ["fail", "pending"]
    ]


def test_a_retry_of_nothing_and_of_a_session_that_is_not_there(box, waiting):
    nothing = operate(box, "raw-events-retry", waiting.session)
    unknown = operate(box, "raw-events-retry", "ses_of_nobody")
    waiting.flush()

    assert (nothing.returncode, nothing.stdout) == (0, "nothing to retry\n")
    assert unknown.returncode == 2
    assert unknown.stderr == "opencode-mem: session: no session 'ses_of_nobody' in the spool\n"


def test_a_backfill_has_nothing_to_do_where_all_is_tagged(box, waiting):
    waiting.flush()

    assert told(box, "tags", "backfill") == {"done": 0, "gone": 0, "failed": 0, "left": 0}


def test_hostile_names_reach_neither_the_terminal_nor_break_json(box, place):
    session = "ses_\x1b[31m<b>\u202e💥"
    place.store("x", metadata={"session_id": session})

    table = operate(box, "raw-events-status", "--limit", "1000", PYTHONIOENCODING="latin-1")
    answer = told(box, "raw-events-status", "--limit", "1000")
    place.flush(session)

    assert table.returncode == 0
    assert not ESCAPE.search(table.stdout)
    assert session in [each["session"] for each in answer["sessions"]]


def test_without_a_bridge_looking_starts_one_but_a_status_only_says_so(processes):
    with sandbox(processes.calm) as box:
        absent = operate(box, "status")
        stopped = operate(box, "stop")
        answer = told(box, "raw-events-status")
        pid = told(box, "status")["pid"]
        ended = operate(box, "stop")

        assert (absent.returncode, absent.stdout, absent.stderr.count("\n")) == (3, "", 1)
        assert stopped.stdout == "no bridge is running\n"
        assert answer["pending"] == 0
        assert ended.stdout == "the bridge has ended\n"
        processes.until(lambda: not processes.running(pid))


def test_the_page_s_address_is_printed_with_a_code_and_the_page_answers(box):
    opened = operate(box, "open", "--no-browser")
    (line,) = opened.stdout.splitlines()
    url, _, code = line.partition("/#code=")
    checks = {each["name"]: each for each in told(box, "doctor")["checks"]}

    assert url.startswith("http://127.0.0.1:")
    assert len(code) > 16
    assert checks["http"] == {
        "name": "http",
        "verdict": "ok",
        "seen": f"{url} answers",
        "mend": "",
    }


def test_a_bad_address_is_one_line_and_status_2(box):
    done = operate(box, "status", OPENCODE_MEM_SOCKET="here.sock")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "OPENCODE_MEM_SOCKET" in done.stderr


def test_a_reader_that_goes_away_is_no_failure(box):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "status", "--json"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=box.environment,
        check=False,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "words", [["flush"], ["audit"], ["raw-events-status"], ["status"], ["raw-events-report"]]
)
def test_on_a_terminal_there_are_colours_and_bars_and_the_same_statuses(box, waiting, words):
    theirs, ours = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "bridge", *words],
        stdin=subprocess.DEVNULL,
        stdout=ours,
        stderr=ours,
        env=box.environment | {"TERM": "xterm-256color", "COLUMNS": "120"},
    ) as process:
        os.close(ours)
        said = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while chunk := os.read(theirs, 65536):
                said += chunk
        os.close(theirs)
    waiting.flush()

    assert process.returncode == 0, said
    assert said.strip()
    assert b"Traceback" not in said


def _group(box, place):
    (group,) = {each["group"] for each in told(box, "raw-events-status", place.session)["sessions"]}
    return group


def _engine(box):
    from pathlib import Path

    from bridge.server import sockets_folder

    return sockets_folder(Path(box.socket)) / "falkordb.sock"


def _ask(path, *words):
    """One command to the embedded engine, in its own protocol."""
    import socket

    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        line.sendall(f"*{len(words)}\r\n{parts}".encode())
        reply = line.recv(1000)
    assert not reply.startswith(b"-"), reply
