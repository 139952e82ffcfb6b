"""One event at a time: what OpenCode's stream can do that its recording does not show."""

from __future__ import annotations

import pytest

from memory_manager.stream import Call, Item, Stream


def event(kind, **properties):
    return {"id": "evt_1", "type": kind, "properties": {"sessionID": "ses_1", **properties}}


def person(name, text, **part):
    said = {"id": f"prt_{name}", "messageID": name, "type": "text", "text": text, **part}
    info = {"id": name, "role": "user", "time": {"created": 1000}}
    return [event("message.updated", info=info), event("message.part.updated", part=said)]


def answer(name, prompt, **info):
    known = {"id": name, "role": "assistant", "parentID": prompt, "time": {"created": 2000}}
    return event("message.updated", info={**known, **info})


def done(name, prompt, **info):
    ended = {"created": 2000, "completed": 5000}
    return answer(name, prompt, time=ended, **{"finish": "stop", **info})


def part(name, **about):
    return event("message.part.updated", part={"id": name, "messageID": "msg_a", **about})


IDLE = event("session.idle")
ERROR = {"name": "APIError", "data": {"message": "no money left"}}
ABORT = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}


@pytest.fixture
def stream():
    return Stream()


def feed(stream, *events, keep=True):
    told = []
    for each in events:
        for item in stream.tell(each, 9.0):
            told.append(item)
            if keep:
                stream.keep(item)
    return told


def keys(told):
    return [each.key for each in told]


def test_a_turn_that_fails_before_its_end_is_completed_with_what_it_had_used(stream):
    used = {"input": 10, "output": 5}
    told = feed(
        stream,
        *person("msg_u", "do it"),
        answer("msg_a", "msg_u"),
        done("msg_a", "msg_u", finish="tool-calls", tokens=used, cost=0.5),
        answer("msg_b", "msg_u"),
        event("session.error", error=ERROR),
        IDLE,
        done("msg_b", "msg_u", finish=None, error=ERROR),
        IDLE,
    )

    assert keys(told) == ["msg_u:prompt", "msg_b:error", "msg_u:success"]
    assert told[-1].payload["tokens"]["input"] == 10
    assert told[-1].payload["cost"] == 0.5


def test_a_turn_that_was_stopped_at_once_says_nothing_of_the_turn_before(stream):
    told = feed(
        stream,
        *person("msg_u", "one"),
        answer("msg_a", "msg_u"),
        done("msg_a", "msg_u"),
        IDLE,
        *person("msg_v", "two"),
        event("session.error", error=ABORT),
        IDLE,
    )

    assert keys(told) == ["msg_u:prompt", "msg_u:success", "msg_v:prompt"]


def test_an_error_before_any_answer_is_told_at_once_and_only_once(stream):
    told = feed(
        stream,
        *person("msg_u", "do it"),
        event("session.error", error=ERROR),
        IDLE,
        done("msg_a", "msg_u", finish=None, error=ERROR),
        IDLE,
    )

    assert keys(told) == ["evt_1:error", "msg_u:prompt", "msg_u:success"]


def test_an_error_of_no_session_is_told(stream):
    (told,) = stream.tell(
        {"id": "evt_9", "type": "session.error", "properties": {"error": ERROR}}, 3.0
    )

    assert told == Call(
        "session.error", {"session_id": "", "event_id": "evt_9:error", "error": ERROR}, 3.0, "",
        "evt_9:error",
    )  # fmt: skip


def test_a_provider_that_was_asked_again_until_somebody_stopped_it_is_told(stream):
    status = {"type": "retry", "attempt": 1, "message": "rate limited"}
    told = feed(
        stream,
        *person("msg_u", "do it"),
        answer("msg_a", "msg_u"),
        event("session.status", status=status),
        event("session.status", status={**status, "attempt": 2, "message": "still"}),
        done("msg_a", "msg_u", finish=None, error=ABORT),
        IDLE,
    )

    assert keys(told) == ["msg_u:prompt", "msg_a:error"]
    assert told[-1].payload["error"]["data"]["message"] == "rate limited"


def test_the_same_words_after_a_compaction_by_hand_are_a_new_question(stream):
    summary = {"summary": True, "mode": "compaction"}
    told = feed(
        stream,
        *person("msg_u", "continue"),
        answer("msg_a", "msg_u"),
        done("msg_a", "msg_u"),
        IDLE,
        event("message.updated", info={"id": "msg_c", "role": "user", "time": {"created": 1}}),
        event("message.part.updated", part={"id": "prt_c", "messageID": "msg_c",
                                            "type": "compaction", "auto": False}),
        answer("msg_s", "msg_c", **summary),
        done("msg_s", "msg_c", **summary),
        IDLE,
        *person("msg_v", "continue"),
        answer("msg_b", "msg_v"),
        done("msg_b", "msg_v"),
        IDLE,
    )  # fmt: skip

    assert keys(told) == [
        "msg_u:prompt", "msg_u:success", "msg_s:compaction", "msg_v:prompt", "msg_v:success",
    ]  # fmt: skip


def test_a_compaction_that_failed_is_an_error_and_no_compaction(stream):
    summary = {"summary": True, "mode": "compaction"}
    told = feed(
        stream,
        answer("msg_s", "msg_c", **summary),
        event("session.error", error=ERROR),
        done("msg_s", "msg_c", finish=None, error=ERROR, **summary),
    )

    assert keys(told) == ["msg_s:error"]


def test_a_prompt_that_nobody_answers_is_told_when_the_session_is_idle(stream):
    told = feed(stream, *person("msg_u", "by the way, we use tabs"), IDLE)

    assert keys(told) == ["msg_u:prompt"]


def test_what_a_program_added_to_a_prompt_is_not_in_it(stream):
    told = feed(
        stream,
        *person("msg_u", "<private>a\nb</private>", synthetic=True),
        answer("msg_a", "msg_u"),
        done("msg_a", "msg_u"),
        IDLE,
    )

    assert keys(told) == ["msg_u:success"]


def test_a_patch_tells_each_file_once_and_under_the_same_id_alone_or_with_others(stream):
    wrote = {"status": "completed", "input": {"filePath": "/p/a.py"}, "time": {"end": 3000}}
    first = feed(
        stream,
        part("prt_t", type="tool", tool="write", callID="c1", state=wrote),
        part("prt_p", type="patch", files=["/p/a.py", "/p/b.py"]),
    )
    again = feed(stream, part("prt_p", type="patch", files=["/p/a.py", "/p/b.py"]), keep=False)

    assert keys(first) == ["ses_1:c1", "prt_p:file_edit"]
    assert first[1].payload["path"] == "/p/b.py"
    assert first[1].payload["event_id"].startswith("prt_p:file_edit:")
    assert again == []


def test_a_patch_that_was_not_kept_is_told_again_as_it_was(stream):
    wrote = {"status": "completed", "input": {"filePath": "/p/a.py"}}
    patch = part("prt_p", type="patch", files=["/p/a.py", "/p/b.py"])
    feed(stream, part("prt_t", type="tool", tool="write", callID="c1", state=wrote))

    assert feed(stream, patch, keep=False) == feed(stream, patch, keep=False)


def test_files_that_a_subagent_wrote_are_not_the_parent_s_command_s(stream):
    stream.family("ses_2", "ses_1")
    stream.seen({"input": {"tool": "write", "sessionID": "ses_2", "callID": "c",
                           "args": {"filePath": "/p/sub.py"}}})  # fmt: skip

    assert feed(stream, part("prt_p", type="patch", files=["/p/sub.py"])) == []


def test_a_tool_that_was_interrupted_says_nothing(stream):
    state = {
        "status": "error",
        "error": "Tool execution aborted",
        "metadata": {"interrupted": True},
    }

    assert feed(stream, part("prt_t", type="tool", tool="bash", callID="c", state=state)) == []


def test_the_reason_of_a_refusal_is_kept(stream):
    said = "The user rejected permission to use this specific tool call with the following feedback: no"
    state = {"status": "error", "error": said, "input": {"command": "rm x"}}
    (told,) = feed(stream, part("prt_t", type="tool", tool="bash", callID="c", state=state))

    assert isinstance(told, Item)
    assert (told.event["content"], told.event["metadata"]["output"]) == ("Refused bash: rm x", said)


def test_events_of_opencode_s_own_log_are_understood(stream):
    info = {"id": "ses_7", "parentID": None, "directory": "/p", "time": {"created": 7000}}
    (told,) = stream.tell(
        {"type": "session.created.1", "data": {"sessionID": "ses_7", "info": info}}, 9.0
    )

    assert told.key == "ses_7:created"
    assert told.event["at"] == 7.0


def test_a_session_that_was_deleted_is_forgotten(stream):
    feed(stream, *person("msg_u", "x"), answer("msg_a", "msg_u"))
    feed(stream, event("session.deleted", info={"id": "ses_1"}))

    assert stream.turn_of("ses_1") == ""


def test_untold_words_are_bounded(stream):
    for number in range(200):
        for each in person(f"msg_{number}", "x" * 200_000):
            each["properties"]["sessionID"] = f"ses_{number}"
            stream.tell(each, 1.0)

    kept = sum(known.size for known in stream._sessions.values())
    assert kept <= 16 * 1024 * 1024 + 200_000


def test_everything_else_is_bounded(stream):
    for number in range(1500):
        stream.family(f"ses_{number}", "ses_p")
    for number in range(3000):
        feed(
            stream,
            *person(f"msg_{number}", "x"),
            answer(f"msg_a{number}", "msg_u"),
            part(f"prt_{number}", type="patch", files=[f"/p/{number}"]),
        )

    known = stream._sessions["ses_1"]
    assert len(stream._sessions) <= 500
    assert max(map(len, (known.messages, known.kept, known.written, known.patches))) <= 1024
