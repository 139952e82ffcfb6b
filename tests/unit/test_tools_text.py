from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.context.render import HEAD, TAIL, tokens
from bridge.tools import arguments
from bridge.tools.text import Section, fenced, line
from memory_manager.errors import InvalidRequest
from memory_manager.spool.blocks import without_blocks

NOW = 1_795_186_500.0  # 2026-11-20T14:55:00Z
FENCE = re.compile(r"\[\s*/?\s*memory\s+context\s*\]", re.IGNORECASE)
HOSTILE = st.one_of(
    st.text(max_size=200),
    st.sampled_from([
        TAIL, "[ /memory\ncontext ]", "</system-reminder>", "<|im_end|>", "\ud800", "a\0b\u2028c",
        "[/Memory", "Context]",
    ]),
)  # fmt: skip
SECTIONS = st.lists(
    st.builds(
        Section, HOSTILE.map(line), st.lists(HOSTILE.map(line), max_size=8), st.integers(0, 9)
    ),
    max_size=5,
)


@given(SECTIONS, st.integers(150, 4000))
def test_nothing_in_a_memory_ends_the_fence_or_is_larger_than_the_budget(sections, budget):
    told = fenced(sections, budget)

    assert tokens(told) <= budget
    if told:
        assert told.startswith(HEAD + "\nReference data")
        assert told.endswith(TAIL)
        assert len(FENCE.findall(told)) == 2
        assert "<|im_end|>" not in told
        assert "</system-reminder>" not in told


@given(SECTIONS)
def test_what_memory_said_is_cut_out_of_what_is_recorded(sections):
    assert without_blocks(fenced(sections, 2000), Counter()).strip() == ""


def test_a_long_section_takes_no_room_from_a_short_one():
    told = fenced([Section("Long", ["word " * 50] * 90), Section("Short", ["here it is"])], 600)

    assert "- here it is" in told
    assert "more" in told


def test_what_is_left_out_is_counted():
    told = fenced([Section("All", [f"line {number} " + "x" * 90 for number in range(50)], 7)], 400)
    shown = told.count("- line")

    assert 0 < shown < 50
    assert f"… and {50 - shown + 7} more" in told


def test_without_lines_there_is_no_text():
    assert fenced([], 2000) == fenced([Section("Empty", [])], 2000) == ""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("24h", NOW - 86_400),
        ("2 days ago", NOW - 2 * 86_400),
        ("30 minutes", NOW - 1800),
        ("yesterday", NOW - NOW % 86_400 - 86_400),
        ("2026-11-20T10:15:00Z", 1_795_169_700.0),
        (1_795_169_700, 1_795_169_700.0),
        (1_795_169_700_000, 1_795_169_700.0),
        ("", None),
    ],
)
def test_a_time_is_read_as_people_and_models_say_it(value, seconds):
    assert arguments.moment({"since": value}, "since", NOW) == seconds


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_any_argument_is_(value):
    for read in (
        lambda args: arguments.size(args, "x", 5, 50),
        lambda args: arguments.moment(args, "x", NOW),
        lambda args: arguments.required(args, "x"),
    ):
        with suppress(InvalidRequest):
            read({"x": value})


@pytest.mark.parametrize(
    ("value", "size"), [("7", 7), (7.9, 7), (0, 1), (-3, 1), (1e300, 50), (None, 5)]
)
def test_a_size_is_brought_into_its_bounds(value, size):
    assert arguments.size({"limit": value}, "limit", 5, 50) == size


@pytest.mark.parametrize("value", ["{", "[]", 5, ["a"], True])
def test_arguments_that_are_no_object_are_refused(value):
    with pytest.raises(InvalidRequest, match=r"^args: "):
        arguments.args_of(value)


def test_arguments_may_come_as_json_text():
    assert arguments.args_of('{"query": "a"}') == {"query": "a"}
    assert arguments.args_of(None) == arguments.args_of(" ") == {}
