from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bulky import bulky, in_pieces

encode = json.JSONEncoder(separators=(",", ":")).encode

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(values, st.integers(1, 150))
def test_what_is_encoded_in_pieces_is_the_same(value, times):
    for answer in (value, [value] * times, {"items": [value] * times, "next": value}):
        assert in_pieces(answer, encode) == encode(answer)


@pytest.mark.parametrize(
    ("answer", "large"),
    [
        (None, False),
        ([1] * 100, False),
        ([1] * 101, True),
        ({"sessions": [{}] * 100, "next": None}, False),
        ({"sessions": [{}] * 101, "next": None}, True),
        ({"blocks": {str(number): "" for number in range(101)}}, True),
        ({"text": "x" * 100_000}, True),
        ({"text": "x" * 1000}, False),
    ],
)
def test_an_answer_is_large_by_its_items_or_a_text(answer, large):
    assert bulky(answer) is large


def test_no_piece_of_a_large_answer_is_large():
    sizes = []

    def noted(value):
        sizes.append(len(encode(value)))
        return encode(value)

    in_pieces({"episodes": [{"text": "x" * 2000}] * 500, "next": None}, noted)

    assert max(sizes) < 2100
