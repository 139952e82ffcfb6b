"""Long output keeps its head, its tail, its trouble and its lines; what was read is only counted."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_manager.model import EventKind
from memory_manager.spool.compact import LONGEST, compact, counts
from memory_manager.spool.events import raw_event

NOTE = re.compile(r"^\[… (\d+) characters(?:, (\d+) lines)? left out …\]$", re.MULTILINE)


def made(content="c", kind=EventKind.TOOL, **metadata):
    return raw_event(
        event_id="e", group="g", session="s", kind=kind, at=1.0, now=1.0, content=content,
        metadata=metadata,
    )  # fmt: skip


LINES = [f"line {n} is fine" for n in range(5000)]


def test_head_and_tail_stay_in_whole_lines_and_the_note_counts_the_rest():
    text = "\n".join(LINES)
    kept = compact(text)
    ((characters, lines),) = NOTE.findall(kept)
    shown = NOTE.sub("", kept).split("\n")

    assert kept.startswith("line 0 is fine\nline 1 is fine\n")
    assert kept.endswith("\nline 4998 is fine\nline 4999 is fine")
    assert set(filter(None, shown)) <= set(LINES)
    assert len(list(filter(None, shown))) + int(lines) == len(LINES)
    assert int(characters) == len(text) - len(NOTE.sub("", kept).replace("\n\n", "\n"))
    assert LONGEST // 2 < len(kept) <= LONGEST


@pytest.mark.parametrize(
    "trouble",
    [
        "Traceback (most recent call last):\n  File 'a.py', line 3\nValueError: bad",
        "FAILED tests/test_pay.py::test_total - assert 1 == 2",
        "src/a.ts(3,4): error TS2304: Cannot find name 'x'.",
        "--- FAIL: TestPay (0.00s)",
        "thread 'main' panicked at src/main.rs:3",
        "not ok 3 - it adds",
        "bash: foo: command not found",
        "java.lang.NullPointerException",
        "E       AssertionError",
        "Permission denied (publickey).",
        "fatal: not a git repository",
    ],
)
def test_trouble_in_the_middle_survives_with_the_lines_around_it(trouble):
    kept = compact("\n".join([*LINES[:2500], trouble, *LINES[2500:]]))

    assert f"line 2499 is fine\n{trouble}\n" in kept
    assert len(NOTE.findall(kept)) == 2
    assert len(kept) <= LONGEST


@pytest.mark.parametrize("said", ["0 errors", "no failures", "without errors", "5 passed"])
def test_what_went_well_is_no_trouble(said):
    assert said not in compact("\n".join([*LINES[:2500], said, *LINES[2500:]]))


def test_the_same_trouble_a_thousand_times_leaves_room_for_another():
    noise = [f"12:00:{n:02} error: connection {n} refused" for n in range(3000)]
    kept = compact("\n".join([*LINES[:500], *noise, "TypeError: the real one", *LINES[500:900]]))

    assert "TypeError: the real one" in kept
    assert kept.count("refused") < 20


def test_json_in_one_line_stays_recognisable():
    items = [{"id": n, "name": f"n{n}", "status": "ok"} for n in range(4000)]
    items[1700]["status"] = "error: disk full"
    kept = compact(json.dumps(items))

    assert kept.startswith('[{"id": 0, "name": "n0", "status": "ok"}, {"id": 1,')
    assert kept.endswith('{"id": 3999, "name": "n3999", "status": "ok"}]')
    assert '"id": 1700, "name": "n1700", "status": "error: disk full"}' in kept
    assert kept.split("\n")[0].endswith("},")
    assert len(kept) <= LONGEST


def test_json_in_many_lines_is_cut_at_lines():
    text = json.dumps([{"id": n, "name": f"n{n}"} for n in range(2000)], indent=2)

    assert set(NOTE.sub("", compact(text)).split("\n")) <= {*text.split("\n"), ""}


@pytest.mark.parametrize("text", ["x" * 100_000, "漢" * 20_000, "\n" * 50_000, " \n" * 9000])
def test_a_text_without_any_structure_is_bounded_too(text):
    kept = compact(text)

    assert len(kept) <= LONGEST
    assert NOTE.search(kept)
    assert kept[0] == kept[-1] == text[0] or text[0] == " "


TEXTS = st.lists(
    st.tuples(
        st.sampled_from(["ok\n", "error: x\n", "Traceback\n", "a,b,", '{"a": 1},', "漢字 ", "\r\n",
                         "\ud800", "0 errors\n", "x" * 300, "failed", "\0", "é\n"]),
        st.integers(1, 900),
    ).map(lambda pair: pair[0] * pair[1]),
    max_size=12,
).map("".join)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from([512, 4096, LONGEST]))
def test_any_text_is_bounded_shortened_once_and_accounted_for(text, longest):
    kept = compact(text, longest)

    assert len(kept) <= longest
    assert compact(kept, longest) == kept == compact(text, longest)
    if kept != text:
        gone = sum(int(characters) for characters, _ in NOTE.findall(kept))
        shown = len(NOTE.sub("", kept))
        assert shown - 3 * len(NOTE.findall(kept)) <= len(text) - gone <= shown
        assert text.startswith(kept.partition("\n[…")[0])


READ = (
    "<path>/project/old.txt</path>\n<type>file</type>\n<content>\n1: one\n2: two\n\n"
    "(End of file - total 2 lines)\n</content>"
)


@pytest.mark.parametrize("tool", ["read", "view", "Read"])
def test_what_was_read_is_only_counted(tool):
    event = made(tool=tool, path="old.txt", output=READ)
    bare = made("Read old.txt\n" + READ, tool=tool, path="old.txt")

    assert event.metadata == {
        "tool": tool, "path": "old.txt", "characters": 13, "lines": 2, "type": "tool",
    }  # fmt: skip
    assert bare.content == "Read: old.txt"
    assert "one" not in json.dumps(dict(bare.metadata))


@pytest.mark.parametrize(("text", "lines"), [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2)])
def test_lines_are_counted_as_people_count_them(text, lines):
    assert counts(text) == {"characters": len(text), "lines": lines}


def test_text_deep_in_the_metadata_is_shortened_too():
    long = "\n".join(LINES)
    event = made(state={"output": long, "all": [long]}, diff=long, output=long)

    assert len(event.metadata["state"]["output"]) <= 4096
    assert len(event.metadata["state"]["all"][0]) <= 4096
    assert len(event.metadata["output"]) <= LONGEST < len(event.metadata["diff"]) <= 2 * LONGEST


@pytest.mark.parametrize("kind", [EventKind.NOTE, EventKind.PROMPT, EventKind.MESSAGE])
def test_what_people_and_the_agent_say_is_kept_whole(kind):
    assert made("\n".join(LINES), kind).content == "\n".join(LINES)
