"""How figures, times and texts are put before people."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli import show
from bridge.cli.gate import Threshold, success
from bridge.cli.health import status_sections
from bridge.cli.periods import duration, moment
from bridge.cli.report import change, number
from memory_manager.errors import InvalidRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(st.characters(codec=None, categories=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.04, "0.0 s"), (2.5, "2.5 s"), (42, "42 s"), (90, "2 min"), (7200, "2.0 h"),
     (400_000, "4.6 d"), (None, "-"), ("x", "-")],
)  # fmt: skip
def test_a_duration_is_said_in_its_own_unit(seconds, words):
    assert show.ago(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**3, "5.0 GiB"), (None, "-")],
)
def test_bytes_are_said_in_their_own_unit(count, words):
    assert show.size(count) == words


@given(st.floats(0, 1e9), st.floats(1, 1e9))
def test_a_bar_is_as_long_as_its_share_and_never_longer_than_the_column(value, most):
    drawn = show.bar(value, most, 24)

    assert len(drawn) <= 24
    assert bool(drawn) == (value > 0)
    if value >= most:
        assert drawn == "█" * 24


@given(JSON)
def test_whatever_a_value_is_it_is_shown_as_one_harmless_line(value):
    shown = show.plain(value)

    assert shown
    assert len(shown) <= 80
    assert shown.isprintable()


@given(JSON)
def test_json_stays_json_whatever_is_in_it(value):
    import contextlib
    import io

    raw = io.BytesIO()
    text = io.TextIOWrapper(raw, encoding="latin-1")
    with contextlib.redirect_stdout(text):
        show.print_json(value)
        text.flush()
    assert repr(json.loads(raw.getvalue().decode())) == repr(value)


def test_batches_by_state_name_only_what_there_is():
    assert show.states({"error": 2, "completed": 10, "skipped": 0}) == "completed:10 error:2"
    assert show.states({}) == show.states(None) == "-"


def test_elsewhere_than_on_a_terminal_a_table_is_plain_lines(capsys):
    show.table(["a", "n"], [["[bold]x[/bold]", "1"], ["y" * 200, "22"]], right=("n",))

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("[bold]x[/bold]")
    assert lines[1].endswith(" 1")
    assert len({len(line) for line in lines}) == 1


def test_without_rows_a_table_is_its_heads(capsys):
    show.table(["a", "b"], [])

    assert capsys.readouterr().out == "a  b\n"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("15 min", 900),
        ("1.5h", 5400),
        ("7D", 604_800),
        ("2w", 1_209_600),
    ],
)
def test_durations_are_read_as_people_type_them(text, seconds):
    assert duration(text, "--since") == seconds
    assert moment(text, 2e9, "--since") == 2e9 - seconds


def test_moments_are_now_or_iso_times():
    assert moment("now", 5.0, "--until") == 5.0
    at = datetime(2026, 11, 20, 10, 15, tzinfo=UTC).timestamp()
    assert moment("2026-11-20T10:15Z", 5.0, "--until") == at


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "7 fortnights", "1e9d", "9" * 400 + "d"])
def test_what_is_no_time_is_refused_by_the_option_s_name(text):
    with pytest.raises(InvalidRequest, match=r"^--since: "):
        moment(text, 2e9, "--since")
    with pytest.raises(InvalidRequest, match=r"^--max-oldest-age: "):
        duration(text, "--max-oldest-age")


@pytest.mark.parametrize(
    ("value", "limit", "least", "broken"),
    [(5, 5, False, False), (6, 5, False, True), (0.9, 0.95, True, True), (0.95, 0.95, True, False),
     (None, 5, False, False), (None, 5, True, False)],
)  # fmt: skip
def test_a_threshold_is_broken_beyond_its_limit_and_not_at_it(value, limit, least, broken):
    assert Threshold("x", value, limit, least).broken is broken


def test_flush_success_is_the_share_that_ended_well():
    totals = {"completed": 8, "skipped": 1, "error": 1, "gave_up": 0}

    assert success({"totals": totals}) == 0.9
    assert success({"totals": {}}) is None
    assert success(None) is None


@pytest.mark.parametrize(
    ("earlier", "later", "words"),
    [(10, 12, "+20%"), (10, 5, "-50%"), (3, 3, "="), (0, 3, "new"), (None, 3, "-"), (3, None, "-")],
)
def test_a_change_is_told_in_per_cent_of_what_was(earlier, later, words):
    assert change(earlier, later) == words


@given(JSON)
def test_a_number_is_looked_for_in_anything(value):
    assert number(value, "totals", "flush_s") is None or isinstance(value, dict)


def test_a_status_is_shown_in_sections_and_nothing_is_left_out():
    answer = {
        "degradation": "live",
        "pid": 7,
        "engines": {"falkordb": {"pid": 8, "state": "ready"}},
        "worker": 9,
        "spool": {"pending": 3, "oldest_age_s": 75.0, "batches": {"error": 1}, "new": 1},
        "later": {"deep": {"er": True}},
    }

    assert status_sections(answer) == [
        ("Bridge", [("degradation", "live"), ("pid", "7")]),
        (
            "Spool",
            [("pending", "3"), ("oldest age", "1 min"), ("batches", "error:1"), ("new", "1")],
        ),
        ("Parts", [("worker", "9"), ("falkordb", "ready (pid 8)")]),
        ("More", [("later deep er", "yes")]),
    ]
