"""JSON with comments is edited in place: what is added can be taken away again, to the byte."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.install import jsonc
from bridge.install.entry import Entry, is_ours, with_entry, without_entry
from bridge.install.jsonc import Broken
from memory_manager.errors import InvalidRequest

ENTRY = Entry("/opt/it's/graphiti-memory.ts", "/opt/py thon/bin/python", "/opt/ü/memory_manager.py")

#: Nothing here depends on time, and machines are busy.
UNHURRIED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

_BLANKS = st.text(" \t", max_size=2)
_COMMENTS = st.one_of(
    st.just(""),
    st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=6).map(
        lambda text: f"//{text}\n"
    ),
    st.text(st.characters(exclude_characters="/", codec="utf-8"), max_size=6).map(
        lambda text: f"/*{text}*/"
    ),
    st.sampled_from(["\n", "\r\n", "\n\n\t", "\r"]),
)
#: What may stand between any two words of a document.
FILLING = st.lists(st.tuples(_BLANKS, _COMMENTS), max_size=2).map(
    lambda parts: "".join(blank + comment for blank, comment in parts)
)
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
_KEYS = st.one_of(st.sampled_from(["plugin", "theme", "//", "a"]), st.text(max_size=4))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)
_PLUGINS = st.lists(
    st.one_of(st.text(max_size=5), st.tuples(st.text(max_size=5), st.just({"o": 1})).map(list)),
    max_size=3,
)


@st.composite
def written(draw, value):
    """The value as somebody may have written it."""

    def fill():
        return draw(FILLING)

    def between(parts):
        text = ",".join(fill() + part + fill() for part in parts)
        trailing = "," + fill() if parts and draw(st.booleans()) else ""
        return text + trailing + ("" if parts else fill())

    def text_of(one):
        if isinstance(one, list):
            return f"[{between([text_of(each) for each in one])}]"
        if isinstance(one, dict):
            members = [
                json.dumps(key, ensure_ascii=False) + fill() + ":" + fill() + text_of(each)
                for key, each in one.items()
            ]
            return f"{{{between(members)}}}"
        return json.dumps(one, ensure_ascii=draw(st.booleans()))

    return fill() + text_of(value) + fill()


@st.composite
def configurations(draw):
    """A configuration, with plugins or without, as a value and as it was written."""
    value = draw(st.dictionaries(_KEYS.filter(lambda key: key != "plugin"), _VALUES, max_size=4))
    if draw(st.booleans()):
        value["plugin"] = draw(_PLUGINS)
        value = {key: value[key] for key in draw(st.permutations(list(value)))}
    bom = draw(st.sampled_from(["", "\ufeff"]))
    return value, bom + draw(written(value))


@UNHURRIED
@given(_VALUES.flatmap(lambda value: st.tuples(st.just(value), written(value))))
def test_what_somebody_wrote_is_read_as_they_meant_it(pair):
    value, text = pair

    assert jsonc.parse(text).value == value


@UNHURRIED
@given(configurations())
def test_installing_adds_one_element_and_uninstalling_brings_every_byte_back(pair):
    value, text = pair

    installed = with_entry(text, ENTRY)

    expected = {**value, "plugin": [*value.get("plugin", []), ENTRY.value()]}
    assert jsonc.parse(installed).value == expected
    assert with_entry(installed, ENTRY) == installed
    assert without_entry(installed) == text


@UNHURRIED
@given(configurations())
def test_everything_that_was_written_before_is_still_there_in_its_order(pair):
    _, text = pair

    left = iter(with_entry(text, ENTRY))

    assert all(letter in left for letter in text)


@UNHURRIED
@given(configurations())
def test_another_interpreter_changes_our_entry_and_nothing_else(pair):
    value, text = pair
    old = with_entry(text, Entry("/old/graphiti-memory.ts", "/old/python", "/old/s.py"))

    updated = with_entry(old, ENTRY)

    assert updated == with_entry(text, ENTRY)
    assert jsonc.parse(updated).value["plugin"][:-1] == value.get("plugin", [])


@UNHURRIED
@given(configurations(), st.data())
def test_a_cut_off_document_is_refused_with_its_place_or_is_still_whole(pair, data):
    value, text = pair
    cut = text[: data.draw(st.integers(0, len(text)))]

    broken = _fault_of(cut)

    if broken is None:  # only what follows the value was cut off
        assert jsonc.parse(cut).value == value
    else:
        lines = re.split(r"\r\n|\n|\r", cut)
        assert 1 <= broken.line <= len(lines)
        assert 1 <= broken.column <= len(lines[broken.line - 1]) + 2


def _fault_of(text):
    try:
        jsonc.parse(text)
    except Broken as broken:
        return broken
    return None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1, column 1: the end comes too early"),
        ('{"a" 1}', "line 1, column 6: a colon is expected here"),
        ('{\r\n  "a": 1\r\n  "b": 2\r\n}', "line 3, column 3: a comma or } is expected here"),
        ("[1,,2]", "line 1, column 4: a value is expected here"),
        ('{"a": 1} x', "line 1, column 10: 'x' is not expected here"),
        ('{"a": 1} {}', "line 1, column 10: nothing may follow the closing bracket"),
        ("{'a': 1}", 'line 1, column 2: "\'" is not expected here'),
        ('{"a": "\\x"}', "line 1, column 7: a string that JSON does not have"),
        ('{"a": 01}', "line 1, column 8: a comma or } is expected here"),
        ('{"a": /* never ended', "line 1, column 7: '/' is not expected here"),
        ("[" * 200, "line 1, column 102: more than 100 levels deep"),
        ('{"a": "' + "x\ny" + '"}', "line 1, column 7: '\"' is not expected here"),
    ],
)
def test_a_broken_document_is_told_by_its_place(text, place):
    with pytest.raises(Broken) as caught:
        jsonc.parse(text)

    assert str(caught.value) == place


@pytest.mark.parametrize("text", ['{"plugin": "x"}', '{"plugin": null}', "[]", '"x"'])
def test_what_is_no_configuration_is_refused(text):
    with pytest.raises(InvalidRequest):
        with_entry(text, ENTRY)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{\n  "a": 1\n}\n', '{\n  "a": 1,\n  "plugin": [\n    ENTRY\n  ]\n}\n'),
        ("{}", '{ "plugin": [ ENTRY ] }'),
        ('{\n\t"plugin": [\n\t\t"a", // why\n\t],\n}', '{\n\t"plugin": [\n\t\t"a", // why\n\t\tENTRY,\n\t],\n}'),
        ('{"plugin": ["a"]}', '{"plugin": ["a", ENTRY]}'),
        ('{"plugin": []}', '{"plugin": [ENTRY]}'),
        ('{"plugin": [ // none\r\n]}', '{"plugin": [ENTRY // none\r\n]}'),
        ('{\r\n  "a": 1 // one\r\n}', '{\r\n  "a": 1, // one\r\n  "plugin": [\r\n    ENTRY\r\n  ]\r\n}'),
    ],
)  # fmt: skip
def test_the_entry_stands_as_its_neighbours_do(before, after):
    assert with_entry(before, ENTRY) == after.replace("ENTRY", ENTRY.text())


@pytest.mark.parametrize("before", [None, "", "\ufeff", "\n\n"])
def test_a_file_that_we_made_or_filled_is_again_as_it_was(before):
    made = with_entry(before, ENTRY)

    assert jsonc.parse(made).value["plugin"] == [ENTRY.value()]
    assert without_entry(made) == before


def test_what_a_person_added_to_our_file_stays():
    made = with_entry(None, ENTRY).replace('"plugin": [', '"theme": "x", "plugin": ["b", ')

    left = without_entry(made)

    assert jsonc.parse(left).value["theme"] == "x"
    assert jsonc.parse(left).value["plugin"] == ["b"]


def test_of_two_entries_of_ours_one_is_left_and_another_plugin_keeps_its_place():
    text = '{"plugin": ["graphiti-memory.ts", "b", ["file:///x/graphiti-memory.ts", {}]]}'

    assert jsonc.parse(with_entry(text, ENTRY)).value["plugin"] == [ENTRY.value(), "b"]
    assert without_entry(text) == '{"plugin": [ "b"]}'


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        ("/a/graphiti-memory.ts", True), (["./graphiti-memory.ts", {}], True),
        ("graphiti-memory.ts", True), ("not-graphiti-memory.ts", False), ([], False), (None, False),
        (["b", "/a/graphiti-memory.ts"], False), ({"a": 1}, False),
    ],
)  # fmt: skip
def test_our_entry_is_known_by_its_file(value, ours):
    assert is_ours(value) is ours
