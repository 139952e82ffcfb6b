"""Hook payloads to raw events: our shapes, OpenCode's recorded ones, and any JSON whatever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_manager.contract import BODY_LIMIT, HOOKS
from memory_manager.errors import InvalidRequest
from memory_manager.hook_events import note_of, reported, tokens_of

SAMPLES = Path(__file__).parents[1] / "samples" / "opencode-1.18.33"
MINTED = "0190a5a0-0000-7000-8000-000000000000"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "query", "parts", "message", "message_id", "session_id", "sessionID", "tool", "path", "files",
        "old_path", "diff", "content", "change", "event", "error", "data", "name", "command", "output",
        "input", "args", "metadata", "properties", "tokens", "total", "cache", "duration", "task",
        "exit", "patchText", "oldString", "newString", "callID", "event_id", "id", "text", "type",
    ]
)  # fmt: skip
PAYLOADS = st.recursive(
    JSON, lambda inner: st.dictionaries(NAMES, inner, max_size=8) | st.lists(inner), max_leaves=30
)


def one(name, payload, **more):
    (event,) = reported(name, payload, minted=MINTED, at=1000.0, redacted=str, **more)
    return event


def recorded(hook, **wanted):
    for name in ("full.jsonl", "files.jsonl"):
        for line in (SAMPLES / name).read_text().splitlines():
            entry = json.loads(line)
            kind = entry.get("type") or entry.get("input", {}).get("tool")
            if entry["hook"] == hook and all(kind == value for value in wanted.values()):
                yield entry


@pytest.mark.parametrize(
    ("name", "payload", "event_id", "content", "metadata"),
    [
        (
            "chat:start",
            {"query": "why?", "session_id": "s", "message_id": "m", "agent": "build", "model": "x"},
            "m:prompt",
            "why?",
            {"type": "prompt", "message_id": "m", "agent": "build", "model": "x"},
        ),
        ("chat_start", {"query": "why?"}, MINTED, "why?", {"type": "prompt"}),
        (
            "file:write",
            {"path": "a.py", "session_id": "s", "call_id": "c", "tool": "edit", "diff": "+x"},
            "s:c:file_edit",
            "Modified: a.py",
            {
                "type": "file_edit",
                "path": "a.py",
                "change": "modified",
                "tool": "edit",
                "diff": "+x",
            },
        ),
        (
            "file:write",
            {"path": "a.py", "change": "deleted", "event_id": "e"},
            "e",
            "Deleted: a.py",
            {"type": "file_edit", "path": "a.py", "change": "deleted"},
        ),
        (
            "file-write",
            {"path": "b.py", "old_path": "a.py", "part_id": "p"},
            "p:file_edit",
            "Moved: a.py -> b.py",
            {"type": "file_edit", "path": "b.py", "old_path": "a.py", "change": "moved"},
        ),
        (
            "file.edited",
            {"id": "evt_1", "type": "file.edited", "properties": {"file": "/project/app.py"}},
            "evt_1:file_edit",
            "Modified: /project/app.py",
            {"type": "file_edit", "path": "/project/app.py", "change": "modified"},
        ),
        (
            "error",
            {"message": "boom", "name": "E", "command": "make", "message_id": "m"},
            "m:error",
            "Error: boom",
            {
                "type": "error",
                "severity": "high",
                "name": "E",
                "command": "make",
                "message_id": "m",
            },
        ),
        ("error", {"error": "boom"}, MINTED, "Error: boom", {"type": "error", "severity": "high"}),
        (
            "completion",
            {"task": "ship\nit", "duration": 1.5, "tokens": 12, "message_id": "m"},
            "m:success",
            "Completed: ship",
            {"type": "success", "duration": 1.5, "tokens": 12, "message_id": "m"},
        ),
        (
            "session.idle",
            {"id": "evt_2", "type": "session.idle", "properties": {"sessionID": "s"}},
            "evt_2:success",
            "Completed: turn",
            {"type": "success"},
        ),
    ],
    ids=["chat", "bare", "edit", "delete", "move", "edited", "error", "text", "done", "idle"],
)
def test_a_payload_is_this_event(name, payload, event_id, content, metadata):
    event = one(name, payload)

    assert (event.event_id, event.content, event.metadata) == (event_id, content, metadata)
    assert event.at == 1000.0


def test_a_recorded_prompt_is_its_message_whatever_wraps_it():
    entry = next(recorded("chat.message"))
    wrapped = one("chat.message", {"input": entry["input"], "output": entry["output"]})
    flat = one("chat.message", entry["input"] | entry["output"])

    assert wrapped == flat
    assert wrapped.event_id == entry["output"]["message"]["id"] + ":prompt"
    assert wrapped.session.startswith("ses_")
    assert wrapped.metadata["agent"] == "build"
    assert wrapped.metadata["model"] == "fake/fake-model"


def test_parts_that_a_program_added_are_no_prompt():
    parts = [
        {"type": "text", "text": "mine"},
        {"type": "text", "text": "injected", "synthetic": True},
        {"type": "file", "url": "data:"},
    ]

    assert one("chat.message", {"parts": parts}).content == "mine"
    assert reported("chat.message", {"parts": parts[1:]}, minted=MINTED, at=1.0, redacted=str) == ()


@pytest.mark.parametrize("tool", ["write", "edit"])
def test_a_recorded_tool_call_is_a_file_s_change_with_its_diff(tool):
    entry = next(recorded("tool.execute.after", tool=tool))
    event = one("tool.execute.after", {"input": entry["input"], "output": entry["output"]})

    assert event.content == "Modified: /project/app.py"
    assert event.event_id == f"{event.session}:{entry['input']['callID']}:file_edit"
    assert "+" in str(event.metadata["diff"])


def test_a_recorded_patch_is_an_event_for_each_file():
    entries = [
        reported(
            "tool.execute.after",
            {"input": entry["input"], "output": entry["output"]},
            minted=MINTED,
            at=1.0,
            redacted=str,
        )
        for entry in recorded("tool.execute.after", tool="apply_patch")
    ]
    events = max(entries, key=len)
    without = {"input": {"tool": "apply_patch", "args": {"patchText": PATCH}}, "output": {}}

    assert {event.metadata["change"] for event in events} == {"modified", "moved", "deleted"}
    assert len({event.event_id for event in events}) == len(events)
    assert [
        (event.metadata["change"], event.metadata["path"])
        for event in reported("file:write", without, minted=MINTED, at=1.0, redacted=str)
    ] == [("modified", "added.txt"), ("moved", "moved.txt"), ("deleted", "new.txt")]


PATCH = (
    "*** Begin Patch\n*** Add File: added.txt\n+added\n*** Update File: old.txt\n"
    "*** Move to: moved.txt\n@@\n-three\n+four\n*** Delete File: new.txt\n*** End Patch"
)


def test_a_recorded_command_keeps_its_exit_status_and_output():
    entry = next(recorded("tool.execute.after", tool="bash"))
    event = one("tool.execute.after", {"input": entry["input"], "output": entry["output"]})

    assert event.kind == "command"
    assert (event.metadata["exit"], event.metadata["command"]) == (
        3,
        entry["input"]["args"]["command"],
    )
    assert "err" in str(event.metadata["output"])


def test_reading_a_file_is_no_change_and_our_own_tools_are_no_news():
    read = {"input": {"tool": "read", "args": {"filePath": "a.py"}}, "output": {"output": "text"}}

    assert one("tool.execute.after", read).kind == "tool"
    assert (
        reported("tool.execute.after", {"tool": "memory"}, minted=MINTED, at=1.0, redacted=str)
        == ()
    )


def test_a_recorded_error_has_opencode_s_name_and_message():
    entry = next(recorded("event", type="session.error"))
    event = one("session.error", entry["input"])

    assert event.content.startswith("Error: ")
    assert event.metadata["name"] in {"APIError", "ContextOverflowError", "UnknownError"}
    assert event.event_id == entry["input"]["id"] + ":error"


def test_the_project_spells_both_names_of_a_move():
    event = one("file:write", {"path": "B", "old_path": "A"}, spell=str.lower)

    assert event.content == "Moved: a -> b"
    assert (event.metadata["path"], event.metadata["old_path"]) == ("b", "a")


def test_a_completion_without_a_task_is_called_by_its_prompt():
    assert one("completion", {}, prompt="fix it\nplease").content == "Completed: fix it"


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        (None, None),
        (7, 7),
        (7.9, 7),
        ({"total": 9, "input": 1}, 9),
        ({"input": 1, "output": 2, "reasoning": 4, "cache": {"read": 8, "write": 16}}, 31),
        ({}, 0),
    ],
)
def test_tokens_are_a_number_or_opencode_s_object(value, tokens):
    assert tokens_of(value) == tokens


@pytest.mark.parametrize(
    ("name", "payload", "field"),
    [
        ("nope", {}, "name"),
        ("error", [], "payload"),
        ("error", None, "payload"),
        ("chat:start", {}, "query"),
        ("chat:start", {"query": 3}, "query"),
        ("chat:start", {"query": "x", "session_id": 3}, "session_id"),
        ("file:write", {}, "path"),
        ("file:write", {"path": ["x"]}, "path"),
        ("file:write", {"path": "a\0b"}, "path"),
        ("file:write", {"files": [{}]}, "files[0].path"),
        ("file:write", {"tool": "bash"}, "command"),
        ("error", {}, "message"),
        ("completion", {"tokens": "many"}, "tokens"),
        ("completion", {"tokens": float("nan")}, "tokens"),
        ("completion", {"tokens": True}, "tokens"),
        ("completion", {"duration": -1}, "duration"),
    ],
)
def test_a_refusal_names_the_field(name, payload, field):
    with pytest.raises(InvalidRequest) as refused:
        reported(name, payload, minted=MINTED, at=1.0, redacted=str)

    assert str(refused.value).startswith(f"{field}:")
    assert "\n" not in str(refused.value)


def test_what_is_too_long_is_cut_so_that_the_event_fits_its_body():
    line = "🙂" * 100 + "\n"
    command = {"tool": "bash", "command": line * 5000, "output": line * 5000, "exit": 0}

    for name, payload in [("file:write", command), ("chat:start", {"query": line * 5000})]:
        event = one(name, payload)
        size = len(event.content.encode()) + len(
            json.dumps(event.metadata, ensure_ascii=False).encode()
        )
        assert 100_000 < size < BODY_LIMIT


@given(st.sampled_from([*HOOKS, "other"]), PAYLOADS)
def test_any_json_gives_events_that_can_be_stored_or_a_refusal(name, payload):
    try:
        events = reported(name, payload, minted=MINTED, at=1.0, redacted=str)
    except InvalidRequest:
        return

    for event in events:
        assert event.event_id
        assert event.content.strip()
        text = json.dumps([event.event_id, event.session, event.content, event.metadata])
        assert "\\u0000" not in text
        json.dumps(event.metadata, ensure_ascii=False, allow_nan=False).encode()
        event.content.encode()
        assert event.metadata["type"] == event.kind
    assert len({event.event_id for event in events}) == len(events) or name == "file:write"


@given(PAYLOADS)
def test_any_json_is_a_note_or_a_refusal(payload):
    params = payload if isinstance(payload, dict) else {"content": "x", "metadata": payload}
    try:
        event = note_of(params, minted=MINTED, at=1.0)
    except InvalidRequest:
        return

    json.dumps(event.metadata, ensure_ascii=False, allow_nan=False).encode()
    event.content.encode()


def test_a_note_keeps_its_own_type_and_its_source():
    params = {
        "content": "c",
        "metadata": {"type": "decision"},
        "source": "me",
        "at": 5,
        "event_id": "e",
    }
    event = note_of(params, minted=MINTED, at=1.0)

    assert (event.event_id, event.at, event.kind) == ("e", 5, "note")
    assert event.metadata == {"type": "decision", "source": "me"}
