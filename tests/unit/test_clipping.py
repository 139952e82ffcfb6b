"""What is too long is cut; no piece of a secret that stands across the cut is stored."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.handlers import Handlers
from bridge.remembered import Remembered
from memory_manager.hook_events import reported
from memory_manager.hook_payload import LONGEST_PROMPT, SHORT, clipped
from memory_manager.model import EventKind
from memory_manager.spool.events import raw_event
from memory_manager.spool.redact import redact

NOISE = random.Random(7)  # noqa: S311 - the same secrets each time
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def noise(count: int, letters: str = LETTERS) -> str:
    return "".join(NOISE.choices(letters, k=count))


BODY = noise(1600)
#: What is written, and what of it is secret.
SECRETS = {
    "github": ("ghp_{}", noise(36)),
    "github fine": ("github_pat_{}", noise(82)),
    "aws": ("AKIA{}", noise(16, LETTERS[:26])),
    "openai": ("sk-proj-{}", noise(120)),
    "anthropic": ("sk-ant-api03-{}", noise(90)),
    "jwt": ("eyJhbGciOiJSUzI1NiJ9.{}", f"eyJ{noise(300)}.{noise(340)}"),
    "long jwt": ("eyJhbGciOiJSUzI1NiJ9.{}", f"eyJ{noise(9000)}.{noise(340)}"),
    "assignment": ("password = '{}'", noise(40)),
    "url": ("postgres://bob:{}@db:5432/app", noise(24)),
    "bearer": ("Authorization: Bearer {}", noise(64)),
    "key": (
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
        "\n".join(BODY[at : at + 64] for at in range(0, 1600, 64)),
    ),
    "private": ("<private>{}</private>", " ".join(noise(14) for _ in range(500))),
}
PIECE = 12
LONG = 64 * 1024
LONG_OUTPUT = 120 * 1024
#: Fields that are clipped: hook, payload of a text, where the cut is.
FIELDS = {
    "agent": ("chat:start", lambda text: {"query": "why?", "agent": text}, SHORT),
    "model": ("chat:start", lambda text: {"query": "why?", "model": text}, SHORT),
    "model's id": ("chat:start", lambda text: {"query": "q?", "model": {"id": text}}, SHORT),
    "directory": ("chat:start", lambda text: {"query": "why?", "directory": text}, SHORT),
    "prompt": ("chat:start", lambda text: {"query": text}, LONGEST_PROMPT),
    "tool": ("file:write", lambda text: {"tool": text, "output": "x"}, SHORT),
    "title": ("file:write", lambda text: {"tool": "task", "title": text}, SHORT),
    "output": ("file:write", lambda text: {"tool": "task", "output": text}, LONG_OUTPUT),
    "command": ("file:write", lambda text: {"tool": "bash", "command": text}, LONG),
    "diff": ("file:write", lambda text: {"path": "a.py", "diff": text}, LONG),
    "listed": ("file:write", lambda text: {"files": [{"path": "a.py", "diff": text}]}, LONG),
    "content": ("file:write", lambda text: {"path": "a.py", "content": text}, LONG),
    "old": ("file:write", lambda text: {"path": "a.py", "oldString": text, "newString": ""}, LONG),
    "new": ("file:write", lambda text: {"path": "a.py", "oldString": "", "newString": text}, LONG),
    "name": ("error", lambda text: {"message": "boom", "name": text}, SHORT),
    "message": ("error", lambda text: {"message": text}, LONG),
    "failed": ("error", lambda text: {"message": "boom", "command": text}, LONG),
    "task": ("completion", lambda text: {"task": text}, SHORT),
}


def redacted(text: str) -> str:
    return redact(text)[0]


def stored(hook: str, payload, prompt: str = "") -> str:
    """All that the disk gets of a hook's report, as one text."""
    events = reported(hook, payload, minted="e", at=1.0, redacted=redacted, prompt=prompt)
    made = [
        raw_event(
            event_id=event.event_id, group="g", session="s", kind=event.kind, at=1.0, now=1.0,
            content=event.content, metadata=event.metadata,
        )
        for event in events
    ]  # fmt: skip
    return "\n".join(
        f"{event.content}\n{json.dumps(dict(event.metadata))}" for event in made if event
    )


def across(kind: str, cut: int, before: int, filler: str, gap: str = " ") -> str:
    """A long text in which the secret begins so many characters before the cut."""
    form, secret = SECRETS[kind]
    head = (filler * (cut // len(filler) + 1))[: max(0, cut - before)]
    return f"{head}{gap}{form.format(secret)} " + filler * (12_000 // len(filler))


def pieces(kind: str, text: str) -> list[str]:
    secret = SECRETS[kind][1]
    # Every piece of its head, which is what a cut would leave; of the rest, one after the other.
    places = [*range(min(400, len(secret) - PIECE + 1)), *range(400, len(secret), PIECE)]
    found = (secret[at : at + PIECE] for at in places)
    return [piece for piece in found if len(piece) == PIECE and piece in text]


FILLERS = st.sampled_from(["word and word ", "line\n", "+ x.y(z);\n", "漢字 かな "])
KINDS = st.sampled_from(list(SECRETS))


@pytest.mark.parametrize("field", FIELDS)
@settings(max_examples=30, deadline=None)
@given(KINDS, st.integers(0, 800), FILLERS, st.sampled_from(" \n"))
@example("github", 30, "word and word ", " ")
@example("aws", 17, "word and word ", " ")
@example("long jwt", 500, "word and word ", " ")
@example("private", 500, "word and word ", " ")
def test_no_clipped_field_holds_a_piece_of_a_secret(field, kind, before, filler, gap):
    hook, payload, cut = FIELDS[field]

    kept = stored(hook, payload(across(kind, cut, before, filler, gap)))

    assert pieces(kind, kept) == []


@pytest.mark.parametrize("field", FIELDS)
def test_what_was_cut_off_is_the_end_of_a_field_and_no_more(field):
    hook, payload, cut = FIELDS[field]

    kept = stored(hook, payload("first " + "word " * (cut // 5) + "last"))

    assert "first word" in kept
    assert "last" not in kept or field in {"output", "command", "diff", "content", "failed"}


@settings(max_examples=100, deadline=None)
@given(KINDS, st.integers(0, 300))
@example("github", 30)
@example("long jwt", 150)
def test_a_completion_named_by_a_remembered_prompt_holds_none_either(kind, before):
    handlers = Handlers.__new__(Handlers)
    handlers.prompts = Remembered(9, 60.0, lambda: 0.0)
    first = across(kind, 200, before, "word ").replace("\n", " ")

    handlers._remember("s", f"{first}\nsecond line")
    task = handlers.prompts.get("s")

    assert len(task) <= 200
    assert pieces(kind, stored("completion", {}, prompt=task)) == []


@settings(max_examples=100, deadline=None)
@given(KINDS, st.integers(0, 300))
@example("github", 30)
def test_a_name_in_the_metadata_holds_none_either(kind, before):
    name = across(kind, 256, before, "word ")

    event = raw_event(
        event_id="e", group="g", session="s", kind=EventKind.NOTE, at=1.0, now=1.0, content="c",
        metadata={"inner": {name: "v"}, name: "v"},
    )  # fmt: skip

    # A mark that was cut is written out again.
    assert max(map(len, event.metadata)) <= 256 + len("[REDACTED:assignment]")
    assert pieces(kind, json.dumps(dict(event.metadata))) == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.integers(1, 20))
def test_a_text_is_its_own_beginning_when_it_has_no_secret(text, limit):
    usual = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")

    assert clipped(usual, limit, str) == usual[:limit]


@pytest.mark.parametrize("size", [512 + 4096, 512 + 4097, 100_000])
def test_one_long_run_of_letters_may_be_a_secret_and_goes(size):
    assert clipped("word " + "a" * (512 + 4096 - 5), 512, str) == "word " + "a" * 507
    assert clipped("word " + "a" * size + " end", 512, str) in {"word …", "word " + "a" * 507}
    assert clipped("x " * size, 512, str) == "x " * 256
    assert clipped("漢" * size, 512, str) == "漢" * 512


def test_a_secret_that_reaches_the_window_s_end_takes_nothing_else_with_it():
    text = "first\n-----BEGIN PRIVATE KEY-----\n" + (noise(64) + "\n") * 500

    assert clipped(text, 512, redacted) == "first\n[REDACTED:keyblock]"
