"""Queries and JSON objects as parameters: strictly as the table of routes says, refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.web.given import checked, from_query, object_of
from bridge.web.routes import ROUTES, Param
from memory_manager.errors import InvalidRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
PARAMS = (
    Param("text", "string", "", required=True, longest=5),
    Param("limit", "integer", "", least=1, most=10),
    Param("at", "number", "", least=0, most=100),
    Param("flag", "boolean", ""),
    Param("types", "strings", "", longest=5),
    Param("kind", "string", "", choices=("a", "b")),
    Param("any", "any", ""),
)


def test_a_query_becomes_typed_parameters():
    query = b"text=%C3%A4+b&limit=7&at=1.5e1&flag=true&types=a,b&types=c&kind=a"

    assert from_query(query, PARAMS) == {
        "text": "ä b", "limit": 7, "at": 15.0, "flag": True, "types": ["a", "b", "c"], "kind": "a",
    }  # fmt: skip


def test_an_empty_text_in_a_query_counts_as_none():
    assert from_query(b"kind=&text=a", PARAMS) == {"text": "a"}


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        (b"", "text: missing or empty"),
        (b"text=", "text: missing or empty"),
        (b"text=+", "text: missing or empty"),
        (b"text=123456", "text: longer than 5 characters"),
        (b"text=a&text=b", "text: given 2 times"),
        (b"text=a&limit=x", "limit: not a whole number"),
        (b"text=a&limit=", "limit: not a whole number"),
        (b"text=a&limit=1.5", "limit: not a whole number"),
        (b"text=a&limit=0", "limit: not from 1 to 10"),
        (b"text=a&limit=99999999999999999999", "limit: not a whole number"),
        (b"text=a&at=nan", "at: not a number"),
        (b"text=a&at=1e999", "at: not from 0 to 100"),
        (b"text=a&at=-1", "at: not from 0 to 100"),
        (b"text=a&flag=1", "flag: neither true nor false"),
        (b"text=a&types=toolong", "types: longer than 5 characters"),
        (b"text=a&kind=c", "kind: 'c' is none of a, b"),
        (b"text=a&_=1", "'_': no such parameter"),
        (b"text=%ff", "not percent-encoded UTF-8"),
        ("text=ä".encode(), "not percent-encoded UTF-8"),
        (b"a=1&" * 100, "more than 64 fields"),
    ],
)
def test_a_malformed_query_is_refused_by_name(query, fault):
    with pytest.raises(InvalidRequest) as refused:
        checked(from_query(query, PARAMS), PARAMS)

    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("given_", "fault"),
    [
        ({}, "text: missing"),
        ({"text": None}, "text: missing"),
        ({"text": 1}, "text: not a string"),
        ({"text": "a", "limit": True}, "limit: not a whole number"),
        ({"text": "a", "limit": 1.5}, "limit: not a whole number"),
        ({"text": "a", "limit": float("inf")}, "limit: not"),
        ({"text": "a", "limit": "1"}, "limit: not a whole number"),
        ({"text": "a", "at": "1"}, "at: not a number"),
        ({"text": "a", "at": 101}, "at: not from 0 to 100"),
        ({"text": "a", "flag": 1}, "flag: neither"),
        ({"text": "a", "types": "a"}, "types: not a list of strings"),
        ({"text": "a", "types": [1]}, "types: not a list of strings"),
        ({"text": "a", "more": 1}, "no such parameter"),
    ],
)
def test_a_malformed_object_is_refused_by_name(given_, fault):
    with pytest.raises(InvalidRequest) as refused:
        checked(given_, PARAMS)

    assert fault in str(refused.value)


def test_an_object_may_leave_out_say_null_or_write_a_whole_number_with_a_point():
    assert checked({"text": "a", "limit": 5.0, "at": None, "any": {"x": None}}, PARAMS) == {
        "text": "a", "limit": 5, "any": {"x": None},
    }  # fmt: skip


def said(call, *arguments):
    """What the call gives, or its one line of reason."""
    try:
        return call(*arguments), ""
    except InvalidRequest as fault:
        return None, str(fault)


@given(st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_query_is_parameters_or_a_reason(query):
    for route in ROUTES:
        found, fault = said(lambda params: checked(from_query(query, params), params), route.params)
        assert fault or isinstance(found, dict)


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_an_object_or_refused(body):
    found, fault = said(object_of, body)

    assert isinstance(found, dict) or fault.startswith("the body is not ")
