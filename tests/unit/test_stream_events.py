"""From what a stream tells to raw events: whole, without secrets, and none at another's cost."""

from __future__ import annotations

from collections import Counter

import pytest

from memory_manager.model import EventKind
from memory_manager.project import Project
from memory_manager.reporting import hooked, standings_of_hook
from memory_manager.spool.opened import Opened
from memory_manager.stream import Stream
from memory_manager.stream_events import overheard, raw_events, reported, told_by
from memory_manager.stream_told import Call, item

PROJECT = Project("g_" + "0" * 24, "p", "/project")
SECRET = "ghp_" + "a1B2" * 9


def made(*told):
    rules: Counter[str] = Counter()
    events = [event for each in told for event in reported(each, "/project", PROJECT, 9.0, rules)]
    return raw_events(events, standings_of_hook(events, PROJECT, Opened()), PROJECT, 9.0, rules)


def said(content, kind=EventKind.MESSAGE, name="prt_1:message", **metadata):
    return item(name, "ses_1", kind, 5.0, content, {"message_id": "msg_1", **metadata})


def test_a_prompt_is_the_same_by_hook_and_by_stream():
    text = "why?\n" + "line of text\n" * 40_000
    payload = {
        "input": {"sessionID": "ses_1"},
        "output": {
            "message": {"id": "msg_1", "agent": "build"},
            "parts": [{"type": "text", "text": text}],
        },
    }
    rules: Counter[str] = Counter()
    params = {"payload": payload, "cwd": "/project"}
    (by_hook,) = hooked("chat.message", params, PROJECT, minted="x", at=5.0, counted=rules)
    (by_stream,) = reported(
        said(text, EventKind.PROMPT, "msg_1:prompt"), "/project", PROJECT, 9.0, rules
    )

    assert by_stream.event_id == by_hook.event_id
    assert by_stream.content == by_hook.content
    assert len(by_hook.content) < len(text)


@pytest.mark.parametrize("before", [65_500, 65_530, 65_536 - len(SECRET) // 2])
def test_a_secret_across_the_limit_is_not_half_kept(before):
    (event,) = made(said("x" * before + f" {SECRET} and more" + " y" * 20_000))

    assert SECRET[:12] not in event.content


def test_what_is_private_in_one_part_is_so_in_the_next():
    first, second = made(
        said("open <private> not this"), said("nor this</private> but this", name="prt_2:message")
    )

    assert first.content.strip() == "open"
    assert second.content.strip() == "but this"


def test_a_malformed_call_costs_no_other():
    broken = Call("file:write", {"session_id": "ses_1", "files": [7]}, 5.0, "ses_1", "prt_9")
    large = said("z", name="prt_3:message", output="w" * 2_000_000)

    events = made(said("one"), broken, large, said("two", name="prt_2:message"))

    assert [event.content for event in events] == ["one", "two"]


def test_a_task_is_its_first_line_without_what_is_private():
    call = Call("session.idle", {"event_id": "msg_1:success", "task":
                "<private>\nmine\n</private>\nmend the parser\nthen rest", "cost": 0.25},
                5.0, "ses_1", "msg_1:success")  # fmt: skip
    (event,) = made(call)

    assert event.content == "Completed: mend the parser"
    assert event.metadata["cost"] == 0.25


@pytest.mark.parametrize("entry", [None, 7, "x", [], {}, {"event": 7}, {"hook": "no such"},
                                   {"hook": "context:replay", "payload": {}}, {"event": {}, "at": "?"}])  # fmt: skip
def test_what_is_no_entry_tells_nothing(entry):
    assert told_by(Stream(), entry, 9.0) == ()


@pytest.mark.parametrize(
    ("at", "taken"), [(5.5, 5.5), (5_000_000_000_000, 9.0), (-3, 9.0), ("?", 9.0), (None, 9.0)]
)
def test_a_time_that_cannot_be_is_now(at, taken):
    (call,) = told_by(Stream(), {"hook": "error", "payload": {}, "at": at}, 9.0)

    assert call.at == taken


def test_a_patch_says_which_of_its_files_are_gone(tmp_path):
    kept, gone = tmp_path / "kept.py", tmp_path / "gone.py"
    kept.touch()
    patch = {"id": "prt_1", "type": "patch", "files": [str(kept), str(gone)]}
    event = {"type": "message.part.updated", "properties": {"sessionID": "ses_1", "part": patch}}
    events = overheard([{"event": event}], str(tmp_path), PROJECT, 9.0, Counter())

    assert [each.metadata["change"] for each in events] == ["modified", "deleted"]
    assert events[1].content == f"Deleted: {gone}"


def test_the_whole_recording_is_overheard_without_a_bridge(turns):
    entries = [{"event": row["input"], "at": row["ts"]} for row in turns if row["hook"] == "event"]
    events = overheard(entries, "/project", PROJECT, 1e10, Counter())

    assert Counter(event.kind for event in events) == {
        "session": 5, "prompt": 20, "message": 18, "tool": 5, "error": 7, "command": 3,
        "file_edit": 7, "success": 17, "compaction": 3,
    }  # fmt: skip
