from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_manager.errors import InvalidRequest
from memory_manager.model import EventKind
from memory_manager.spool.compact import compact
from memory_manager.spool.events import ingested, new_event_id, raw_event

NOW = 1_800_000_000.0


def made(**changes):
    fields = {
        "event_id": "e1",
        "group": "g_1",
        "session": "s1",
        "kind": EventKind.NOTE,
        "at": NOW - 10,
        "content": "hello",
        "now": NOW,
    }
    return raw_event(**fields | changes)


def test_a_plain_event_is_kept_as_it_is():
    event = made(metadata={"path": "src/app.py", "n": 3})

    assert event.content == "hello"
    assert event.at == NOW - 10
    assert event.metadata == {"path": "src/app.py", "n": 3, "type": "note"}


def test_secrets_are_redacted_and_counted():
    counted = Counter()
    event = made(
        content="password='hunter2' <private>x</private>",
        metadata={"output": "token: 'abcdef123456'", "api_key": "x"},
        counted=counted,
    )

    assert "hunter2" not in event.content
    assert event.metadata == {"output": "token: '[REDACTED:assignment]'", "type": "note"}
    assert counted == {"assignment": 2, "private": 1, "field": 1}


def test_text_becomes_valid():
    event = made(content="a\0b\ud800c\ud83d\ude00", metadata={"x\udc00": "\0"})

    assert event.content == "a\ufffdb\ufffdc\U0001f600"
    assert event.metadata["x\ufffd"] == "\ufffd"
    event.content.encode()


@pytest.mark.parametrize("tool", ["memory", "memory_compact", "memory_search", "opencode-mem_x"])
def test_our_own_tools_are_ignored(tool):
    assert made(kind=EventKind.TOOL, metadata={"tool": tool}) is None


def test_a_tool_that_only_sounds_like_ours_is_kept():
    assert made(kind=EventKind.TOOL, metadata={"tool": "memoryleak"}) is not None


@pytest.mark.parametrize("metadata", [{"synthetic": True}, {"agent": "title"}, {"summary": True}])
def test_synthetic_parts_and_helper_requests_are_ignored(metadata):
    assert made(kind=EventKind.PROMPT, metadata=metadata) is None


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ("<system-reminder>be nice</system-reminder>do it", "do it"),
        ("do it<system-reminder>be nice", "do it"),
        ("[Memory Context]\nReference data x\n- y\n[/Memory Context]\ndo it", "\ndo it"),
        ("do it\n[Memory Context]\nReference data x\n- cut off", "do it\n"),
        ("what does [Memory Context] mean?", "what does [Memory Context] mean?"),
    ],
)
def test_what_was_injected_is_not_remembered(content, left):
    assert made(kind=EventKind.PROMPT, content=content).content == left


def test_nothing_left_is_no_event():
    assert made(content="<private>all of it</private>  ") is None
    assert made(kind=EventKind.PROMPT, content=" ") is None
    assert made(kind=EventKind.SESSION, content="", metadata={"change": "deleted"}) is not None
    assert made(kind=EventKind.TOOL, content="", metadata={"path": "a.py"}) is not None


def test_a_body_above_one_mebibyte_is_refused_by_name():
    with pytest.raises(InvalidRequest, match=r"^content: 1048577 bytes"):
        made(content="x" * (1024 * 1024 + 1))
    with pytest.raises(InvalidRequest, match=r"^content: "):
        made(content="é" * (512 * 1024 + 1))
    with pytest.raises(InvalidRequest, match=r"^metadata\.output: "):
        made(content="x" * 1024 * 1024, metadata={"output": "y"})
    assert made(content="x" * 1024 * 1024).content == "x" * 1024 * 1024


def test_long_tool_output_keeps_head_tail_and_counts():
    output = "\n".join(f"line {n}" for n in range(5000))
    event = made(kind=EventKind.COMMAND, metadata={"tool": "bash", "output": output})

    kept = event.metadata["output"]
    assert kept.startswith("line 0\n")
    assert kept.endswith("\nline 4999")
    assert "lines left out" in kept
    assert len(kept) <= 8192


def test_read_output_is_only_counted():
    event = made(
        kind=EventKind.TOOL,
        content="Used read",
        metadata={"tool": "read", "path": "a.py", "output": "one\ntwo\n"},
    )

    assert event.metadata == {
        "tool": "read", "path": "a.py", "lines": 2, "characters": 8, "type": "tool",
    }  # fmt: skip


@pytest.mark.parametrize("at", [math.nan, math.inf, -1.0, NOW + 86400])
def test_an_impossible_time_is_now(at):
    assert made(at=at).at == NOW


def test_metadata_is_bounded_in_depth_and_size():
    deep: dict = {}
    inner = deep
    for _ in range(50):
        inner["x"] = {}
        inner = inner["x"]
    event = made(
        metadata={"deep": deep, "many": list(range(10000)), "nan": math.nan, "big": 10**40}
    )

    text = json.dumps(event.metadata, allow_nan=False)
    assert len(text) < 10_000
    assert event.metadata["nan"] is None
    assert event.metadata["big"] is None


def test_the_type_of_a_note_is_its_authors():
    assert made(metadata={"type": "decision"}).metadata["type"] == "decision"
    assert made(kind=EventKind.ERROR, metadata={"type": "x"}).metadata["type"] == "error"


@pytest.mark.parametrize("length", [0, 10, 8192, 8193, 100_000])
def test_compacting_twice_is_compacting_once(length):
    once = compact("ab\n" * (length // 3))

    assert compact(once) == once
    assert len(once) <= 8192


def test_ingest_understands_every_spelling():
    event = ingested(
        {"id": "x", "session": "s", "type": "error", "at": 1_700_000_000_000, "content": "boom"},
        group="g",
        now=NOW,
    )

    assert (event.event_id, event.session, event.kind) == ("x", "s", EventKind.ERROR)
    assert event.at == 1_700_000_000.0
    assert (
        ingested({"content": "x", "at": "2023-11-14T22:13:20Z"}, group="g", now=NOW).at == event.at
    )
    assert ingested({"content": "x", "at": 5}, group="g", now=NOW).at == 5
    assert ingested({"content": "x"}, group="g", now=NOW).at == NOW


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ([], "event"),
        ({}, "content"),
        ({"content": 1}, "content"),
        ({"content": "x", "metadata": []}, "metadata"),
        ({"content": "x", "kind": "nonsense"}, "kind"),
        ({"content": "x", "at": "yesterday"}, "at"),
        ({"content": "x", "at": True}, "at"),
        ({"content": "x", "id": 5}, "id"),
        ({"content": "x", "session": "s" * 5000}, "session"),
    ],
)
def test_ingest_names_what_is_wrong(item, field):
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        ingested(item, group="g", now=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@given(
    st.dictionaries(
        st.sampled_from(["id", "session", "kind", "at", "content", "metadata", "x"]), JSON
    )
)
def test_any_object_is_an_event_or_a_precise_complaint(item):
    try:
        event = ingested(item, group="g", now=NOW)
    except InvalidRequest:
        return
    if event is not None:
        json.dumps(dict(event.metadata), allow_nan=False).encode()
        event.content.encode()


def test_minted_ids_are_unique_and_in_order_of_time():
    ids = [new_event_id() for _ in range(100)]

    assert len(set(ids)) == 100
    assert all(id_[14] == "7" for id_ in ids)
    assert [id_[:13] for id_ in ids] == sorted(id_[:13] for id_ in ids)


def test_nobody_outside_says_that_an_event_repeats_another():
    item = {"content": "ls", "kind": "tool", "metadata": {"same_as": "other", "tool": "x"}}
    event = ingested(item, group="g", now=1.0)
    assert "same_as" not in event.metadata
