"""Nothing between private tags is stored, whichever way the text is cut and however it comes."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memory_manager import reporting
from memory_manager.hook_payload import LONGEST_PROMPT, HookEvent
from memory_manager.model import EventKind
from memory_manager.project import Project
from memory_manager.spool.opened import Opened
from memory_manager.spool.private import START, Standing, public, settled, told

PROJECT = Project("g_1", "p", "/project")
NOW = 1_800_000_000.0

#: Every way in which the two tags are written.
SPELLINGS = [
    ("<private>", "</private>"),
    ("<PRIVATE>", "</Private >"),
    ("<private why='mine'>", "</private>"),
    ("&lt;private&gt;", "&lt;/private&gt;"),
    ("&#60;private&#62;", "&#60;&#47;private&#62;"),
    ("&#x3c;private&#x3E;", "&#x3C;/private&#x3e;"),
    ("&amp;lt;private&amp;gt;", "&amp;lt;/private&amp;gt;"),
    ("\\u003cprivate\\u003e", "\\u003c\\/private\\u003e"),
    ("\\x3cprivate\\x3e", "\\x3c/private\\x3e"),
    ("%3Cprivate%3E", "%3C%2Fprivate%3E"),
    ("< private >", "</ private >"),
]


def kept(items, opened=None, **params) -> dict[str, str]:
    """What would be stored of these objects, by id."""
    standings = None
    if opened is not None:
        standings = reporting.standings_of_ingest(items, PROJECT, opened)
    events = reporting.from_ingest(items, params, PROJECT, NOW, Counter(), standings=standings)
    return {
        event.event_id: f"{event.content}\n{json.dumps(dict(event.metadata))}" for event in events
    }


def parts(texts, *, message="m", session="s", kind="note"):
    metadata = {"message_id": message} if message else {}
    return [
        {
            "id": f"e{number}",
            "session": session,
            "kind": kind,
            "content": text,
            "metadata": metadata,
        }
        for number, text in enumerate(texts)
    ]


def contents(items, opened=None):
    standings = reporting.standings_of_ingest(items, PROJECT, opened or Opened())
    events = reporting.from_ingest(items, {}, PROJECT, NOW, Counter(), standings=standings)
    return [event.content for event in events]


@pytest.mark.parametrize(("opening", "closing"), SPELLINGS)
@pytest.mark.parametrize(
    ("form", "left"),
    [
        ("a({0}b{1})c", "a()c"),
        ("a{0}b{0}c{1}d{1}e", "ae"),
        ("a{0}b", "a"),
        ("a{0}b{0}c{1}d", "a"),
        ("b{1}c", "c"),
        ("a{0}b{1}c{1}d", "d"),
        ("{0}{1}", ""),
    ],
)
def test_a_passage_disappears_in_every_spelling_nested_unclosed_or_unopened(
    opening, closing, form, left
):
    text = form.format(opening, closing)

    assert public(text) == left
    assert public(left) == left
    for cut in range(len(text) + 1):
        first, between, _ = told(text[:cut])
        second, end, _ = told(text[cut:], between)
        assert "b" not in second
        assert end.depth == told(text)[1].depth
        assert "b" not in first or "{0}b" not in form  # its beginning was never heard of


@pytest.mark.parametrize(
    "text", ["privateer <privately>", "a < b", "<private/>x", "private", "100 %", "a & b", "C:\\"]
)
def test_what_is_no_tag_stays(text):
    assert public(text) == text
    assert told(text)[1].depth == 0


PIECES = st.sampled_from(
    [
        *sum(SPELLINGS, ()),
        *"abc",
        "<",
        "&",
        "%",
        "\\",
        "priv",
        "ate>",
        "<pri",
        "vate>",
        "\n",
        "漢",
        "\ud800",
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@settings(max_examples=500, deadline=None)
@given(TEXTS, st.integers(0, 3))
def test_a_settled_text_does_to_its_neighbours_what_the_whole_does(text, depth):
    whole, short = told(text, Standing(depth)), told("".join(settled(text)), Standing(depth))

    assert short[0] == whole[0]
    assert short[1].depth == whole[1].depth
    assert public(whole[0]) == whole[0]


@st.composite
def cut_texts(draw):
    """A text of public and private pieces, and a way to cut it."""
    opening, closing = draw(st.sampled_from(SPELLINGS))
    inner = f"SECRET{opening}DEEP{closing}HIDDEN"
    text = ""
    for piece in draw(st.lists(st.sampled_from(["open ", "air ", "P", "N", "\n"]), max_size=8)):
        text += {"P": f"{opening}SECRET{closing}", "N": f"{opening}{inner}{closing}"}.get(
            piece, piece
        )
    text += draw(st.sampled_from(["", f"{opening}SECRET", f"{opening}{inner}"]))
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=5)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


#: Pieces of the secrets above that are long enough to be told from tags.
HIDDEN = ("SECR", "ECRE", "CRET", "DEEP", "HIDD", "IDDE", "DDEN")


@settings(max_examples=400, deadline=None)
@given(
    texts=cut_texts(),
    kind=st.sampled_from(["note", "prompt", "message", "error", "tool"]),
    together=st.booleans(),
)
@example(texts=["a <pri", "vate>SECRET</pri", "vate> b"], kind="note", together=True)
def test_however_a_message_is_cut_into_events_nothing_private_is_stored(texts, kind, together):
    opened = Opened()
    items = parts(texts, kind=kind)

    reports = [items] if together else [[item] for item in items]
    stored = "".join(text for report in reports for text in kept(report, opened).values())

    assert not [piece for piece in HIDDEN if piece in stored]


@settings(max_examples=200, deadline=None)
@given(cut_texts(), st.data())
def test_the_result_is_the_same_whichever_way_the_parts_come(texts, data):
    items = parts(texts)
    places = sorted(data.draw(st.lists(st.integers(0, len(items)), max_size=3)))
    reports = [
        items[a:b] for a, b in zip([0, *places], [*places, len(items)], strict=True) if a < b
    ]
    opened = Opened()

    one_by_one = {name: text for report in reports for name, text in kept(report, opened).items()}

    assert one_by_one == kept(items)
    # And once more, in any order: a part stands where it stood.
    for item in data.draw(st.permutations(items)):
        assert kept([item], opened).items() <= one_by_one.items()


@settings(max_examples=200, deadline=None)
@given(cut_texts())
def test_fields_of_one_event_are_one_text(texts):
    names = ["command", "diff", "output", "zz", "zzz"]
    first, *others = [*texts, ""]
    (item,) = parts([first], kind="tool")
    item["metadata"] |= dict(zip(names, others, strict=False))

    assert not [piece for piece in HIDDEN for text in kept([item]).values() if piece in text]


def test_a_passage_ends_with_its_message():
    items = [
        *parts(["one <private>x"], message="m1"),
        *parts(["two"], message="m2"),
        *parts(["three"], message="m1", session="other"),
    ]

    assert contents(items) == ["one ", "two", "three"]


def test_without_a_message_it_goes_on_through_the_session_to_the_end_of_the_report():
    opened = Opened()
    report = parts(["one <private>x", "hidden", "y</private> two <private>z"], message="")
    others = parts(["apart"], message="", session="t")

    assert contents([*report[:2], *others, report[2]], opened) == ["one ", "apart", " two "]
    assert contents(parts(["later"], message=""), opened) == ["later"]
    assert opened.size == 0


def test_a_path_and_a_change_of_a_file_are_told_in_a_private_message_too():
    edit = {
        "id": "f", "session": "s", "kind": "file_edit", "content": "Modified: a.py",
        "metadata": {"path": "a.py", "message_id": "m", "diff": "+secret"},
    }  # fmt: skip
    (event,) = reporting.from_ingest([*parts(["<private>x"]), edit], {}, PROJECT, NOW, Counter())

    assert (event.content, event.metadata["path"]) == ("Modified: a.py", "a.py")
    assert event.metadata["diff"] == ""


def test_a_command_is_said_twice_and_opens_a_passage_once():
    run = {
        "id": "c", "session": "s", "kind": "command", "content": "Ran: echo '<private>'",
        "metadata": {"command": "echo '<private>'", "output": "x</private> done", "message_id": "m"},
    }  # fmt: skip
    (event,) = reporting.from_ingest([run], {}, PROJECT, NOW, Counter())

    assert (event.content, event.metadata["output"]) == ("Ran: echo '", " done")


def test_a_part_that_comes_again_stays_hidden_after_the_passage_has_ended():
    opened = Opened()
    first, middle, last = parts(["<private>a", "hidden", "b</private>c"])

    assert contents([first, middle, last], opened) == ["c"]
    assert contents([middle], opened) == []
    assert contents([first], opened) == []
    assert contents([last], opened) == ["c"]
    assert contents(parts(["<private>", "x", "y", "after"])[3:], opened) == ["after"]


def test_the_memory_of_open_messages_is_bounded():
    opened = Opened(most=10)
    for number in range(50):
        contents(parts(["<private>x" * 3], message=f"m{number}" * 10_000), opened)
    for number in range(500):
        item = parts(["y"], message="m49" * 10_000)[0] | {"id": f"p{number}"}
        assert contents([item], opened) == []

    assert opened.size == 10
    (message,) = [known for known in opened._messages.values() if len(known.parts) > 1]
    assert len(message.parts) == 64


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SPELLINGS), st.integers(-40, 40))
def test_what_a_cut_takes_away_still_opens_and_closes(tags, before):
    """A prompt is cut at its limit: a passage behind the cut hides the next part all the same."""
    opening, closing = tags
    long = "word " * ((LONGEST_PROMPT + before) // 5)

    def prompt(text):
        payload = {"query": text, "message_id": "m", "session_id": "s"}
        params = {"payload": payload}
        return reporting.hooked("chat:start", params, PROJECT, minted="e", at=NOW)

    for text, left in ((f"{long}{opening}SECRET", ""), (f"{long}SECRET{closing} x {long}", " and")):
        opened = Opened()
        for events in (
            prompt(text),
            (HookEvent("n", "s", EventKind.NOTE, NOW, " and", {"message_id": "m"}),),
        ):
            standings = reporting.standings_of_hook(events, PROJECT, opened)
            made = reporting.from_hook(events, PROJECT, NOW, Counter(), standings=standings)
            assert not [event for event in made if "SECR" in event.content]
        assert "".join(event.content for event in made) == left


def test_a_passage_is_counted_where_it_begins_ends_and_goes_on():
    counted = Counter()
    reporting.from_ingest(
        parts(["a<private>b", "c", "d</private>e", "f"]), {}, PROJECT, NOW, counted
    )

    assert counted == {"private": 3}


def test_nobody_stands_anywhere_at_first():
    assert told("") == ("", START, 0)
