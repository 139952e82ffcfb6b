"""What the real OpenCode's events tell, by the recording of every kind of turn."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from memory_manager.contract import HOOKS
from memory_manager.stream import WANTED, Call, Item, Stream

SAMPLES = Path(__file__).parents[1] / "samples" / "opencode-1.18.33"
DEMO = files("bridge.demo").joinpath("recording.jsonl")


def heard(turns, *, hooks=False, keep=True):
    """What a stream tells of a recording, each thing once; with the hooks' help or without."""
    stream, found = Stream(), {}
    for row in turns:
        if row["hook"] == "event":
            for told in stream.tell(row["input"], row["ts"]):
                found.setdefault(told.key, told)
                if keep:
                    stream.keep(told)
        elif hooks and row["hook"] == "tool.execute.after":
            stream.seen({"input": row["input"], "output": row["output"]})
    return list(found.values())


def calls(told, hook):
    return [each.payload for each in told if isinstance(each, Call) and HOOKS[each.hook] == hook]


def items(told, kind):
    return [each.event for each in told if isinstance(each, Item) and each.event["kind"] == kind]


@pytest.fixture(scope="module")
def told(turns):
    return heard(turns)


def test_each_turn_is_completed_once_whatever_happened_in_it(told):
    tasks = [payload["task"].splitlines()[0] for payload in calls(told, "completion")]

    # Not: what was aborted (count slowly, sleep long), the shell's command, the subagent's prompt.
    assert tasks == [
        "Create app.py, then run it",
        "first part of the question",
        "Use a subagent",
        "Say hello to bob",
        "use the search",
        "remove it",
        "ask me first",
        "slow one",
        "queued one",
        "fail please",
        "flaky please",
        "hopeless please",
        "overflow please",
        "big usage please",
        "what now?",
        "a session that goes",
        "patch it",
    ]


def test_a_completion_has_what_all_its_answers_used_and_its_time(told):
    first = calls(told, "completion")[0]

    assert first["tokens"] == {
        "input": 8522, "output": 204, "reasoning": 7, "cache": {"read": 3000, "write": 0},
    }  # fmt: skip
    assert first["cost"] == pytest.approx(0.009337, abs=1e-3)
    assert 5 < first["duration"] < 60


def test_a_subagent_s_tokens_are_its_turn_s(told):
    turn = next(each for each in calls(told, "completion") if each["task"] == "Use a subagent")
    answers = 2 + 2  # its own, and the subagent's

    assert turn["tokens"]["output"] == 61
    assert turn["tokens"]["input"] > 2500 * answers


def test_what_a_compaction_cost_belongs_to_the_turn_that_goes_on_after_it(told):
    turn = next(each for each in calls(told, "completion") if each["task"] == "big usage please")

    assert turn["tokens"]["input"] > 125_000
    assert turn["cost"] == pytest.approx(0.1285, abs=1e-3)


def test_errors_are_told_once_and_aborts_never(told):
    messages = [
        payload.get("message") or payload["error"]["data"]["message"]
        for payload in calls(told, "error")
    ]

    assert [message[:40] for message in messages] == [
        "Could not find oldString in the file. It",
        "File not found: /project/missing.txt",
        "tool failed",
        "bad request scripted",
        # Asked again and given an answer; asked again in vain; too long for the model.
        "scripted 500",
        "and then a 400",
        "This model's maximum context length is 1",
    ]


def test_an_answer_s_error_has_the_answer_s_id(told):
    provider = [payload["event_id"] for payload in calls(told, "error") if "error" in payload]

    assert all(name.startswith("msg_") and name.endswith(":error") for name in provider)


def test_every_prompt_is_told_as_it_was_typed(told):
    typed = [event["content"] for event in items(told, "prompt")]

    assert typed[:4] == [
        "Create app.py, then run it\nand tidy up",
        "first part of the question\nsecond part of it",
        "Use a subagent",
        "say sub-hi and write",
    ]
    assert "queued one" in typed
    # The compaction that begins with it again does not ask it again.
    assert typed.count("overflow please") == 1
    assert not any("Continue if you have next steps" in text for text in typed)


def test_a_subagent_s_prompt_and_words_say_whose_they_are(told):
    (prompt,) = [each for each in items(told, "prompt") if each["content"].startswith("say sub")]
    (said,) = [each for each in items(told, "message") if each["content"] == "sub-hi"]

    assert prompt["metadata"]["parent"] == said["metadata"]["parent"]
    assert prompt["metadata"]["agent"] == "general"


def test_the_assistant_s_words_are_told_and_its_summaries_are_not(told):
    said = [event["content"] for event in items(told, "message")]

    assert said[:3] == ["I will write the file.", "All done.", "Answered both."]
    assert "one two " in said  # what was said before somebody stopped it
    assert not any(text.startswith("## Goal") for text in said)


def test_each_compaction_is_told_once(told):
    assert len(items(told, "compaction")) == 3


def test_sessions_are_told_with_what_started_them(told):
    sessions = items(told, "session")

    changes = Counter(event["metadata"]["change"] for event in sessions)
    assert changes == {"created": 4, "deleted": 1}
    assert [bool(event["metadata"].get("parent")) for event in sessions].count(True) == 1


def test_a_tool_that_was_refused_is_no_error(told):
    refused = [event["content"] for event in items(told, "tool")]

    assert refused == ["Refused bash: rm -rf app.py", "Refused bash: ask-me now"]


def test_files_that_only_a_command_changed_are_told_from_the_patch(told):
    patches = [each for each in calls(told, "file:write") if "input" not in each]

    (patch,) = patches
    assert [item["path"] for item in patch["files"]] == ["/project/gone.txt", "/project/made.txt"]


def test_a_person_s_own_command_is_told_as_a_tool_s(told):
    commands = [
        each["input"]["args"]["command"]
        for each in calls(told, "file:write")
        if "input" in each and each["input"]["tool"] == "bash"
    ]

    assert "echo from-user-shell > shelled.txt; cat shelled.txt" in commands


def test_a_tool_whose_hook_was_called_tells_nothing_again(turns):
    alone, helped = heard(turns), heard(turns, hooks=True)
    hooked = [row["input"]["callID"] for row in turns if row["hook"] == "tool.execute.after"]
    left = [each for each in calls(helped, "file:write") if "input" in each]

    # What is left had no hook: the person's own command.
    assert len(left) == 1
    assert len(alone) - len(helped) == len(hooked)


def test_what_nobody_keeps_is_told_again_and_has_the_same_ids(turns):
    kept, unkept = heard(turns), heard(turns, keep=False)

    assert [each.key for each in unkept] == [each.key for each in kept]


def test_everything_told_has_a_session_and_a_key_of_its_own(told):
    keys = [each.key for each in told]

    assert all(keys)
    assert len(set(keys)) == len(keys)
    assert all(each.session.startswith("ses_") for each in told)


def test_only_wanted_events_are_needed(turns):
    wanted = [row for row in turns if row["hook"] != "event" or row["type"] in WANTED]

    assert heard(wanted) == heard(turns)


@pytest.mark.parametrize(
    ("sample", "completions", "errors"),
    [("full.jsonl", 9, 3), ("files.jsonl", 2, 1), ("recording.jsonl", 7, 2)],
)
def test_a_recording_without_prompts_and_unfinished_answers_is_told_too(
    sample, completions, errors
):
    """As after a start in the middle of a turn: what is not known is left out, nothing is told twice."""
    path = SAMPLES / sample if (SAMPLES / sample).exists() else DEMO
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    told = heard(rows, hooks=True)

    assert len(calls(told, "completion")) == completions
    assert len(calls(told, "error")) == errors
