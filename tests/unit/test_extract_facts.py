"""Every relation, from events to facts."""

from __future__ import annotations

import pytest

from memory_manager.extract import (
    RELATIONS,
    Basis,
    extract,
    is_low_signal,
    worth_keeping,
)
from memory_manager.extract.relations import ENTITY_TYPES
from memory_manager.model import EventKind, RawEvent, episode_uuid


def event(at, kind, said="", session="s1", /, **metadata):
    kind = EventKind(kind)
    return RawEvent(
        f"{session}-{at}-{kind}", "g", session, kind, float(at), said, {"type": kind, **metadata}
    )


def edit(at, path, change="modified", **more):
    return event(at, "file_edit", f"{change.title()}: {path}", path=path, change=change, **more)


def command(at, line, status=0, output="", **more):
    return event(at, "command", f"$ {line}", command=line, exit=status, output=output, **more)


def triples(*events, history=()):
    found = extract("g", events, history)
    names = {entity.uuid: entity.name for entity in found.entities}
    return {(names[f.source], f.relation, names[f.target]) for f in found.facts}


PYTEST_FAILED = (
    "E       ValueError: bad\n\nsrc/cart.py:3: ValueError\n"
    "FAILED tests/test_cart.py::test_total - ValueError: bad\n"
)
DIFF = "@@ -1,2 +1,2 @@ def total(cart):\n-    return 1\n+    return 2\n"

CASES = {
    "modified": (
        [edit(1, "src/cart.py", diff=DIFF)],
        {
            ("s1", "MODIFIED", "src/cart.py"),
            ("src/cart.py", "IN", "src"),
            ("src/cart.py", "CONTAINS", "src/cart.py::total"),
            ("s1", "CHANGED", "src/cart.py::total"),
        },
    ),
    "added": (
        [edit(1, "cart.py", "added", content="import httpx\ndef total(): ...\n")],
        {
            ("s1", "MODIFIED", "cart.py"),
            ("cart.py", "IN", "."),
            ("cart.py", "CONTAINS", "cart.py::total"),
            ("cart.py", "IMPORTS", "httpx"),
        },
    ),
    "deleted": (
        [edit(1, "cart.py", "deleted", diff="@@ -1 +0,0 @@\n-def total(): ...\n")],
        {("s1", "DELETED", "cart.py"), ("cart.py", "LOST", "cart.py::total")},
    ),
    "moved": (
        [edit(1, "new.py", "moved", old_path="old.py")],
        {("old.py", "MOVED", "new.py"), ("new.py", "IN", "."), ("s1", "MODIFIED", "new.py")},
    ),
    "dependencies": (
        [edit(1, "requirements.txt", diff="@@ -1 +1 @@\n-requests\n+httpx==0.27\n")],
        {
            ("requirements.txt", "DEPENDS_ON", "httpx"),
            ("requirements.txt", "DROPPED", "requests"),
            ("requirements.txt", "IN", "."),
            ("s1", "MODIFIED", "requirements.txt"),
        },
    ),
    "installed": (
        [command(1, "uv add httpx"), command(2, "npm rm left-pad")],
        {
            ("s1", "INSTALLED", "httpx"),
            ("s1", "UNINSTALLED", "left-pad"),
            ("uv add httpx", "PASSED", "s1"),
            ("npm rm left-pad", "PASSED", "s1"),
        },
    ),
    "failed": (
        [command(1, "pytest -q", 1, PYTEST_FAILED)],
        {
            ("pytest", "FAILED_WITH", "ValueError: bad"),
            ("tests/test_cart.py::test_total", "FAILED", "pytest"),
            ("ValueError: bad", "OCCURRED_IN", "src/cart.py"),
            ("ValueError: bad", "OCCURRED_IN", "tests/test_cart.py"),
        },
    ),
    "committed": (
        [command(1, "git commit -m x", output="[main 3f2a9bc] Add the cart\n 1 file changed")],
        {("git commit", "PASSED", "s1"), ("s1", "COMMITTED", "3f2a9bc")},
    ),
    "error": (
        [event(1, "error", "Error: bad request scripted", name="APIError")],
        {("s1", "HIT", "APIError: bad request scripted")},
    ),
    "work": (
        [event(1, "prompt", "Add the cart\nplease"), event(2, "success", task="Add the cart")],
        {("s1", "WORKED_ON", "Add the cart"), ("s1", "COMPLETED", "Add the cart")},
    ),
    "said": (
        [event(1, "note", "We decided to use uv. Remember that port 6380 is taken. Avoid mocks")],
        {
            ("user", "DECIDED", "uv"),
            ("user", "NOTED", "port 6380 is taken"),
            ("user", "AVOIDS", "mocks"),
        },
    ),
    "preferred": (
        [event(1, "prompt", "use uv instead of pip")],
        {
            ("user", "PREFERS", "uv"),
            ("user", "AVOIDS", "pip"),
            ("s1", "WORKED_ON", "use uv instead of pip"),
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_facts_of_single_events(case):
    events, expected = CASES[case]
    assert triples(*events) == expected


def test_an_error_was_fixed_by_the_edits_between_its_last_occurrence_and_the_pass():
    found = triples(
        command(1, "pytest", 1, PYTEST_FAILED),
        edit(2, "src/other.py"),
        command(3, "cd x && pytest -x", 1, PYTEST_FAILED),
        edit(4, "src/cart.py"),
        command(5, "pytest -q 2>&1 | tail -3"),
        edit(6, "src/late.py"),
    )
    fixes = {triple for triple in found if triple[1] == "FIXED_BY"}
    assert fixes == {("ValueError: bad", "FIXED_BY", "src/cart.py")}


def test_a_fix_names_command_error_file_and_symbols_and_its_witnesses():
    events = [
        command(1, "pytest", 1, PYTEST_FAILED),
        edit(2, "src/cart.py", diff=DIFF),
        command(3, "pytest", branch="main", commit="abc"),
    ]
    (fix,) = (f for f in extract("g", events[2:], events[:2]).facts if f.relation == "FIXED_BY")
    assert fix.text == (
        "`pytest` failed with ValueError: bad; fixed by editing src/cart.py, then it passed"
    )
    assert fix.event_ids == tuple(one.event_id for one in events)
    assert fix.episodes == tuple(episode_uuid("g", one.event_id) for one in events)
    assert (fix.valid_at, fix.scope, fix.branch, fix.commit) == (3.0, "s1", "main", "abc")
    assert fix.paths == ("src/cart.py", "tests/test_cart.py")


def test_a_pass_without_names_also_passes_the_tests_that_had_failed():
    found = extract("g", [command(1, "pytest", 1, PYTEST_FAILED), command(2, "pytest")])
    failed = next(f for f in found.facts if f.relation == "FAILED")
    passed = next(f for f in found.facts if f.relation == "PASSED" and f.scope)
    assert passed.closes == failed.closes
    assert passed.source == failed.source


def test_files_edited_in_one_turn_change_together():
    found = triples(
        event(1, "prompt", "Add the cart"),
        edit(2, "b.py"),
        edit(3, "a.py"),
        event(4, "prompt", "continue"),
        edit(5, "c.py"),
        event(6, "success", task="Add the cart"),
        edit(7, "d.py"),
    )
    pairs = {(one, other) for one, relation, other in found if relation == "CHANGED_WITH"}
    assert pairs == {("a.py", "b.py"), ("a.py", "c.py"), ("b.py", "c.py")}


def chain(events, relations):
    facts = [f for f in extract("g", events).facts if f.relation in relations]
    assert len({f.closes for f in facts}) == 1
    assert facts[0].closes
    return [f.relation for f in sorted(facts, key=lambda f: f.valid_at)]


def test_a_later_run_of_the_same_command_closes_the_earlier():
    events = [command(1, "pytest", 1, "ValueError: x\n"), command(2, "cd y && pytest -v")]
    assert chain(events, {"FAILED_WITH", "PASSED"}) == ["FAILED_WITH", "PASSED"]


def test_a_file_that_is_added_again_is_there_again():
    events = [edit(1, "a.py"), edit(2, "a.py", "deleted"), edit(3, "a.py", "added")]
    assert chain(events, {"IN", "DELETED"}) == ["IN", "DELETED", "IN"]


@pytest.mark.parametrize(
    "more", [{"diff": "@@ -0,0 +1 @@\n+x\n"}, {"diff": "+x\n+y\n"}, {"content": "x"}]
)
def test_a_file_that_is_written_whole_is_there_again(more):
    events = [edit(1, "a.py"), edit(2, "a.py", "deleted"), edit(3, "a.py", **more)]
    assert chain(events, {"IN", "DELETED"}) == ["IN", "DELETED", "IN"]


def test_a_symbol_that_is_removed_is_no_longer_contained():
    events = [
        edit(1, "a.py", diff="@@ -1 +1 @@\n+def f(): ...\n"),
        edit(2, "a.py", diff="@@ -1 +1 @@\n-def f(): ...\n"),
    ]
    assert chain(events, {"CONTAINS", "LOST"}) == ["CONTAINS", "LOST"]


def test_instead_of_closes_an_earlier_choice():
    events = [event(1, "prompt", "Use npm"), event(2, "note", "Use pnpm instead of npm")]
    facts = {(f.relation, f.valid_at): f for f in extract("g", events).facts}
    assert facts["AVOIDS", 2.0].closes == facts["PREFERS", 1.0].closes
    assert facts["PREFERS", 2.0].closes != facts["PREFERS", 1.0].closes


def test_what_was_completed_is_no_longer_worked_on():
    events = [event(1, "prompt", "Add it to x"), event(2, "success", task="Add it to x")]
    assert chain(events, {"WORKED_ON", "COMPLETED"}) == ["WORKED_ON", "COMPLETED"]


@pytest.mark.parametrize(
    ("one", "kept"),
    [
        (event(1, "session", "created"), False),
        (event(1, "compaction", "summary"), False),
        (event(1, "prompt", "Yes, go on!"), False),
        (event(1, "prompt", ""), False),
        (event(1, "prompt", "why?"), True),
        (event(1, "tool", "read a.py", tool="read"), False),
        (event(1, "tool", "sub work", tool="task"), True),
        (command(1, "ls"), False),
        (command(1, "ls nowhere", 2), True),
        (command(1, "make"), True),
        (event(1, "success", "Completed: ", task=""), False),
        (event(1, "success", "Completed: turn"), False),
        (event(1, "success", "Completed: add the cart"), True),
        (event(1, "message", "I have added it."), True),
        (event(1, "message", " \n"), False),
    ],
)
def test_what_is_worth_keeping(one, kept):
    assert worth_keeping(one) is kept
    assert is_low_signal([one]) is not kept
    assert bool(extract("g", [one]).episodes) is kept


def test_an_episode_holds_what_happened_within_its_bound():
    output = "start\n" + "x" * 100_000 + "\nAssertionError: at the end\n"
    (episode,) = extract("g", [command(1, "pytest", 2, output, branch="main")]).episodes
    assert len(episode.content) <= 16_384
    assert episode.content.startswith("$ pytest")
    assert episode.content.endswith("AssertionError: at the end\n(exit status 2)")
    assert episode.metadata == {"type": "command", "command": "pytest", "exit": 2, "branch": "main"}


def test_an_episode_names_the_paths_it_is_about():
    one = edit(1, "src/a.py", diff="@@ -1 +1 @@\n+see ./docs/b.md\n", directory="/work/p")
    (episode,) = extract("g", [one]).episodes
    assert episode.paths == ("src/a.py", "docs/b.md")


def test_every_fact_follows_the_table():
    events = [one for events, _ in CASES.values() for one in events]
    events += [command(50, "pytest", 1, PYTEST_FAILED), edit(51, "a.py"), command(52, "pytest")]
    events = [
        RawEvent(f"{i}", "g", "s1", e.kind, float(i), e.content, e.metadata)
        for i, e in enumerate(events)
    ]
    found = extract("g", events)
    types = {entity.uuid: entity.type for entity in found.entities}
    assert {fact.relation for fact in found.facts} == set(RELATIONS)
    assert set(types.values()) <= ENTITY_TYPES
    for fact in found.facts:
        row = RELATIONS[fact.relation]
        assert types[fact.source] in row.sources
        assert types[fact.target] in row.targets
        assert bool(fact.closes) is row.functional
        assert fact.scope == ("s1" if row.basis is Basis.SESSION else fact.scope)
        assert fact.text
        assert "{" not in fact.text
        assert fact.event_ids
        assert fact.invalid_at is None
    for episode, entity in found.mentions:
        assert entity in types
        assert episode in {one.uuid for one in found.episodes}


@pytest.mark.parametrize(
    "text",
    ["\x00" * 5000, "'" * 5000, '"\\' * 5000, "日本語" * 5000, "a" * 1_000_000, "a/" * 300_000,
     "(" * 100_000, "\n" * 200_000, "error: " * 50_000, "<<EOF\n" * 3000, "x.py:1:1: " * 50_000,
     "- " * 100_000, "use " * 50_000, "@@ -1 +1 @@\n+def f():\n" * 20_000, "```" * 50_000,
     "\u0131\u0130\ufb01\ufffd." * 10_000, ("d" * 300 + " ") * 3000, "- x" + " " * 300_000 + "y"],
    ids=lambda text: repr(text[:6]),
)  # fmt: skip
@pytest.mark.timeout(10)
def test_hostile_text_anywhere_is_only_text(text):
    keys = ("path", "old_path", "diff", "content", "output", "command", "task", "name", "tool")
    for kind in EventKind:
        metadata = dict.fromkeys(keys, text) | {"exit": 1, "change": "moved"}
        extract("g", [RawEvent("e", "g", "s", kind, 1.0, text, metadata)])
        extract("g", [RawEvent("e", "g", "s", kind, 1.0, text, {"path": "a.py", "diff": text})])
        extract("g", [RawEvent("e", "g", "s", kind, 1.0, text, {"command": "x", "output": text})])


def test_metadata_of_other_types_are_as_good_as_none():
    odd = {"path": 3, "exit": "1", "command": ["x"], "output": None, "duration": "long", "diff": {}}
    for kind in EventKind:
        extract("g", [RawEvent("e", "g", "s", kind, 1.0, "x", odd)])
