"""What programs put into messages is not remembered: our context, reminders, compaction debris."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.context.render import block
from memory_manager import reporting
from memory_manager.model import EventKind, Hit
from memory_manager.project import Project
from memory_manager.spool.blocks import without_blocks
from memory_manager.spool.events import ingested, raw_event

NOW = 1_800_000_000.0
BLOCK = block([Hit("u", "note", f"remembered thing {n}", NOW, 1.0) for n in range(4)], 1500)
SAMPLES = Path(__file__).parents[1] / "samples" / "opencode-1.18.33"


def made(content="c", kind=EventKind.PROMPT, counted=None, /, **metadata):
    return raw_event(
        event_id="e", group="g", session="s", kind=kind, at=NOW, now=NOW, content=content,
        metadata=metadata, counted=counted,
    )  # fmt: skip


def left(text):
    return without_blocks(text, Counter())


QUOTED = BLOCK.replace("\n", "\n> ")
NUMBERED = "".join(f"{n}: {line}\n" for n, line in enumerate(BLOCK.split("\n"), 1))


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        (f"{BLOCK}\nfix it", "\nfix it"),
        (f"fix it\n{BLOCK}", "fix it\n"),
        (f"a {BLOCK} b {BLOCK} c", "a  b  c"),
        (f"a {BLOCK[: len(BLOCK) // 2]}", "a "),
        (f"a {BLOCK[:150]} and {BLOCK} b", "a  b"),
        (f"a {BLOCK} b {BLOCK[:150]}", "a  b "),
        (f"log:\n> {QUOTED}\nend", "log:\n> \nend"),
        (f"{NUMBERED}9: end", "1: \n9: end"),
        (json.dumps({"parts": [BLOCK, "x"]}), '{"parts": ["", "x"]}'),
        ("[Memory Context]\n- remembered fact\n[/Memory Context]\nfix", "\nfix"),
        ("[memory  context]\r\nx\n[ / MEMORY CONTEXT ]y", "y"),
        ("what does [Memory Context] mean?", None),
        ('HEAD = "[Memory Context]"\nTAIL = "[/Memory Context]"', None),
        ("[Memory Context]\nthat nobody closed", None),
        ("so far [/Memory Context]", None),
        ("a[Mem[Memory Context]\nx[/Memory Context]ory Context]\nReference data b", "a"),
    ],
)
def test_an_injected_block_is_cut_out_whole_cut_off_twice_or_quoted(text, rest):
    assert left(text) == (text if rest is None else rest)
    assert "remembered thing" not in left(text)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a<system-reminder>x</system-reminder>b", "ab"),
        ("a<SYSTEM-Reminder kind='plan'>x</System-REMINDER >b", "ab"),
        ("a<system-reminder>x<system-reminder>y</system-reminder>z</system-reminder>b", "ab"),
        ("a<system-reminder>x", "a"),
        ("a<system-reminder>x<system-reminder>y</system-reminder>b", "ab"),
        ("a<system-reminder>x<system-reminder>y</system-reminder>b<system-reminder>z", "ab"),
        ("a&lt;system-reminder&gt;x&lt;/system-reminder&gt;b", "ab"),
        ("\\u003csystem-reminder\\u003ex\\u003c/system-reminder\\u003eb", "b"),
        ("so </system-reminder> ends one", None),
        ("system-reminder tags", None),
        ("a<sys<system-reminder>x</system-reminder>tem-reminder>y</system-reminder>b", "a" + "b"),
    ],
)
def test_a_reminder_is_cut_out_nested_unclosed_with_attributes_in_any_case(text, rest):
    assert left(text) == (text if rest is None else rest)


@pytest.mark.parametrize("field", ["output", "diff", "content", "other"])
def test_both_are_cut_out_of_every_field_and_counted(field):
    counted = Counter()
    text = f"x {BLOCK} y <system-reminder>z</system-reminder>"

    event = made(text, EventKind.TOOL, counted, **{field: text, "deep": [{"a": text}]})

    assert event.content == event.metadata[field] == event.metadata["deep"][0]["a"] == "x  y "
    assert counted == {"injected": 3, "reminder": 3}


PIECES = st.sampled_from(
    [BLOCK, BLOCK[:90], "[Memory Context]\n", "[/Memory Context]", "<system-reminder>", "<private>",
     "</system-reminder>", "</private>", "<sys", "tem-reminder>", "[Mem", "ory Context]", "a", "\n"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=10).map("".join))
def test_filtering_twice_is_filtering_once(text):
    once = made(text, EventKind.NOTE, output=text)
    if once is not None:
        again = made(once.content, EventKind.NOTE, **once.metadata)
        assert (again.content, again.metadata) == (once.content, once.metadata)


@pytest.mark.parametrize(
    "tool",
    ["memory", "memory_compact", "memory_search", "Memory", "opencode-mem_x", "opencode_mem_recall",
     "opencode-mem", "mcp__memory__recall", "mcp__opencode-mem__remember", "opencodemem_query"],
)  # fmt: skip
def test_what_our_own_tools_did_is_no_news(tool):
    assert made("c", EventKind.TOOL, tool=tool) is None


@pytest.mark.parametrize("tool", ["memoryleak", "memorize", "in_memory", "opencode-memes", "bash"])
def test_a_tool_that_only_sounds_like_ours_is(tool):
    assert made("c", EventKind.TOOL, tool=tool) is not None


@pytest.mark.parametrize(
    "command",
    ["opencode-mem query why", "A=1 ~/.local/bin/opencode-mem status", "opencode-mem",
     "python3 /root/.opencode/graphiti/memory_manager.py query x", "python -m memory_manager query x"],
)  # fmt: skip
def test_what_our_own_command_prints_is_no_news(command):
    assert made(f"Ran: {command}", EventKind.COMMAND, command=command, output="- old news") is None
    assert made(f"Ran: {command}", EventKind.COMMAND) is None


@pytest.mark.parametrize("command", ["cat memory_manager.py.txt", "ls opencode-memes", "pytest"])
def test_other_commands_are(command):
    assert made(f"Ran: {command}", EventKind.COMMAND, command=command) is not None


@pytest.mark.parametrize(
    "metadata",
    [{"synthetic": True}, {"ignored": True}, {"agent": "title"}, {"summary": True},
     {"mode": "compaction"}, {"agent": "compaction"}, {"compaction_continue": True}],
)  # fmt: skip
def test_synthetic_parts_and_helper_requests_are_ignored(metadata):
    assert made(**metadata) is None
    assert made(**dict.fromkeys(metadata, False)) is not None


@pytest.mark.parametrize("mark", ["synthetic", "ignored", "summary"])
def test_a_part_may_say_so_beside_its_metadata(mark):
    item = {"content": "x", "kind": "message", mark: True}

    assert ingested(item, group="g", now=NOW) is None
    assert ingested({**item, mark: {"diffs": []}}, group="g", now=NOW) is not None


CONTINUE = (
    "Continue if you have next steps, or stop and ask for clarification if you are unsure how to "
    "proceed."
)
OVERFLOW = (
    "The previous request exceeded the provider's size limit due to large media attachments. The "
    "conversation was compacted and media files were removed from context. If the user was asking "
    "about attached images or files, explain that the attachments were too large to process and "
    "suggest they try again with smaller or fewer files.\n\n"
)
SUMMARY = (
    "## Objective\n- ship\n\n## Important Details\n- (none)\n\n## Work State\n### Completed\n- x\n\n"
    "## Next Move\n1. y\n\n## Relevant Files\n- a.py\n"
)
OLD_SUMMARY = (
    "## Goal\n\nship\n\n## Instructions\n\nx\n\n## Discoveries\n\ny\n\n## Accomplished\n\nz"
)


@pytest.mark.parametrize(
    "text",
    [
        CONTINUE, OVERFLOW + CONTINUE, "What did we do so far?",
        "Summarize the task tool output above and continue with your task.",
        "The following tool was executed by the user",
        " Use the above message and context to generate a prompt and call the task tool with subagent: x",
        'Called the Read tool with the following input: {"filePath":"a.py"}',
        "You are a context summarization agent. You are given a conversation between a user and",
        "You are a title generator. You output ONLY a thread title. Nothing else.",
        "Here is the conversation so far:\n\n<conversation>\n[User]: hello\n</conversation>",
        "Create a new anchored summary from the conversation history",
        "Update the anchored summary below using the conversation history above.",
        "Provide a detailed prompt for continuing our conversation above.",
    ],
)  # fmt: skip
def test_what_opencode_writes_around_a_compaction_is_nobody_s_prompt(text):
    assert made(text) is None
    assert made(f"why does it say: {text}") is not None


def test_the_summary_of_a_compaction_is_no_message():
    assert made(SUMMARY, EventKind.MESSAGE) is None
    assert made(OLD_SUMMARY, EventKind.MESSAGE) is None
    assert made(SUMMARY, EventKind.NOTE) is not None
    assert made("## Goal\nship\n## Progress\nhalf", EventKind.MESSAGE) is not None


def test_a_cleared_output_says_nothing():
    counted = Counter()
    cleared = "[Old tool result content cleared]"

    event = made("Ran: ls", EventKind.COMMAND, counted, output=cleared, command="ls")

    assert event.metadata["output"] == ""
    assert counted == {"compaction": 1}
    assert made(cleared, EventKind.TOOL, output=cleared) is None


def recorded():
    for name in ("full.jsonl", "files.jsonl"):
        for line in (SAMPLES / name).read_text().splitlines():
            yield json.loads(line)


def test_of_a_recorded_session_no_injected_text_and_no_summary_is_left():
    """The real client's payloads, through the hooks and as the stream tells its messages."""
    project, kept = Project("g", "p", "/project"), []
    infos = {}
    for record in recorded():
        payload = record.get("input") or {}
        info = payload.get("properties", {}).get("info", {})
        infos |= {info["id"]: info} if "role" in info else {}
        if record["hook"] == "tool.execute.after":
            told = {"payload": {"input": payload, "output": record["output"]}, "cwd": "/project"}
            events = reporting.hooked("file:write", told, project, minted="e", at=NOW)
            kept += reporting.from_hook(events, project, NOW, Counter())
    for record in recorded():
        if record["hook"] == "experimental.text.complete":
            of = infos.get(record["input"]["messageID"], {})
            metadata = {name: of.get(name) for name in ("agent", "mode", "summary")}
            item = {"content": record["output"]["text"], "kind": "message", "metadata": metadata}
            event = ingested(item, group="g", now=NOW)
            kept += [event] if event else []
    texts = "\n".join(f"{event.content}{json.dumps(dict(event.metadata))}" for event in kept)

    assert "continuing after compaction" in texts
    assert "summary of the conversation" not in texts
    assert "summary after overflow" not in texts
    assert "Memory Context" not in texts
