"""Bodies of raw events: taken in every documented shape, refused with the place of the fault."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.web.bodies import acceptable, events
from bridge.web.routes import INGEST
from memory_manager.errors import InvalidRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
EVENTS = st.lists(
    st.dictionaries(st.sampled_from(["content", "kind", "metadata"]), JSON, max_size=3), max_size=6
)
ONE, TWO = {"content": "a"}, {"content": "b\n\u2028c"}


def said(call, *arguments):
    """What the call gives, or its one line of reason."""
    try:
        return call(*arguments), ""
    except InvalidRequest as fault:
        return None, str(fault)


def read(body, content_type="application/json"):
    raw = body if isinstance(body, bytes) else body.encode()
    return events(raw, content_type, INGEST.params)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", ""]
)
def test_one_a_list_and_an_envelope_are_taken(indent, content_type):
    def dumped(value):
        return "\n " + json.dumps(value, indent=indent) + " \r\n"

    assert read(dumped(ONE), content_type) == ([ONE], {})
    assert read(dumped([ONE, TWO]), content_type) == ([ONE, TWO], {})
    assert read(dumped([]), content_type) == ([], {})
    assert read(dumped({"events": [ONE], "cwd": "/w"}), content_type) == ([ONE], {"cwd": "/w"})


@pytest.mark.parametrize(
    "content_type", ["application/x-ndjson", "application/jsonl", "application/json", ""]
)
def test_lines_are_known_by_type_or_by_shape(content_type):
    lines = f"{json.dumps(ONE)}\n\n  {json.dumps(TWO)}\r\n"

    assert read(lines, content_type) == ([ONE, TWO], {})
    assert read("\ufeff" + lines, content_type) == ([ONE, TWO], {})


def test_an_event_may_have_events_of_its_own():
    odd = {"content": "a", "events": [1]}

    assert read(json.dumps(odd)) == ([odd], {})


@pytest.mark.parametrize(
    ("body", "content_type", "fault"),
    [
        ("", "", "the body is empty"),
        (" \n ", "application/json", "the body is empty"),
        ("{", "", "the body is not JSON: line 1"),
        ('[{"content": "a"},\n{"content": }]', "", "events[1]: the body is not JSON: line 2"),
        ('[{"content": "a"}\n{"content": "b"}]', "", "line 2: expected ',' or ']'"),
        ('[{"content": "a"}', "", "expected ',' or ']'"),
        ('[{"content": "a"},]', "", "events[1]:"),
        ("[1]", "", "events[0]: not an object"),
        ('{"content": "a"} x', "", "line 1: something follows its end"),
        ('[{"content": "a"}]\n[]', "", "line 2: something follows its end"),
        ('{"content": "a"}\n{"content"', "", "line 2: not JSON: column"),
        ('{"content": "a"}\n\n7', "", "line 3: not an object"),
        ('{"content": "a"}\n[]', "application/x-ndjson", "line 2: not an object"),
        ('{"a": NaN}', "", "NaN is not JSON"),
        ('{"a": 1}\n{"a": -Infinity}', "", "line 2: not JSON: -Infinity"),
        ('{"events": {}}', "", "events: not a list"),
        ('{"events": [], "more": 1}', "", "'more': no such parameter"),
        ('{"events": [], "cwd": 1}', "", "cwd: not a string"),
        ("7", "", "neither an object nor a list"),
        ("[" * 100_000, "", "nested too deeply"),
        ('{"a":' * 100_000, "application/x-ndjson", "line 1: not JSON that can be read: nested"),
        ("1" * 5000, "", "not JSON"),
        (b"\xff\xfe{", "", "not UTF-8"),
    ],
)
def test_a_malformed_body_is_refused_with_its_place(body, content_type, fault):
    with pytest.raises(InvalidRequest) as refused:
        read(body, content_type)

    assert fault in str(refused.value)
    assert "\n" not in str(refused.value)


@given(EVENTS)
def test_every_shape_gives_the_same_events(items):
    assert read(json.dumps(items)) == (items, {})
    assert read(json.dumps({"events": items})) == (items, {})
    lines = "\n".join(map(json.dumps, items))
    if items:
        assert read(lines, "application/x-ndjson") == (items, {})
    if len(items) > 1:
        assert read(lines) == (items, {})


@given(
    st.binary(max_size=80)
    | st.text('[]{}",:0123456789.eE+-ntfalsru \n\\', max_size=60).map(str.encode)
)
def test_any_bytes_are_events_or_one_line_of_reason(body):
    for content_type in ("application/json", "application/x-ndjson"):
        found, fault = said(read, body, content_type)
        assert fault or all(isinstance(item, dict) for item in found[0])
        assert len(fault.splitlines()) <= 1


@pytest.mark.parametrize(
    ("content_type", "fine"),
    [
        ("", True),
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ("application/x-ndjson", True),
        ("application/octet-stream", True),
        # What a form of another site can send without being asked.
        ("text/plain", False),
        ("text/plain;charset=UTF-8", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("application/xml", False),
    ],
)
def test_only_json_is_acceptable(content_type, fine):
    assert acceptable(content_type) is fine
