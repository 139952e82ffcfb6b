"""A request's parameters: taken as they should be, or refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import params
from memory_manager.errors import InvalidRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(JSON)
def test_any_value_is_taken_or_refused_by_name(value):
    readers = (
        lambda p: params.text(p, "x"),
        lambda p: params.texts(p, "x"),
        lambda p: params.required(p, "x"),
        lambda p: params.number(p, "x"),
        lambda p: params.amount(p, "x"),
        lambda p: params.count(p, "x", 5, 10),
        lambda p: params.flag(p, "x"),
    )
    assert all(said(read, value).startswith("x: ") for read in readers)


def said(read, value):
    """What a refusal says; of what is taken, the name alone."""
    try:
        read({"x": value})
    except InvalidRequest as fault:
        return str(fault)
    return "x: "


@pytest.mark.parametrize(("value", "taken"), [(None, 5), (1, 1), (10, 10), (2.0, 2)])
def test_a_count_has_a_default_and_a_range(value, taken):
    assert params.count({"x": value}, "x", 5, 10) == taken


@pytest.mark.parametrize("value", [0, -1, 11, True, "3", float("nan"), float("inf")])
def test_a_count_out_of_its_range_is_refused(value):
    with pytest.raises(InvalidRequest):
        params.count({"x": value}, "x", 5, 10)


def test_several_texts_come_as_a_list_or_with_commas():
    assert params.texts({"x": "file,error"}, "x") == ("file", "error")
    assert params.texts({"x": ["file", "error"]}, "x") == ("file", "error")
    assert params.texts({}, "x") == ()
