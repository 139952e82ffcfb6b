"""Tags: few, short, from known lists, the same in any order."""

from __future__ import annotations

import re
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_manager.extract.tags import tags_of
from memory_manager.model import EventKind, RawEvent

FAILED = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\nTypeError: bad\n'

_numbers = count()


def event(kind, content, **metadata):
    n = next(_numbers)
    return RawEvent(f"e{n}", "g", "s", kind, float(n), content, metadata)


def asked(text):
    return event(EventKind.PROMPT, text)


def edited(path, **more):
    return event(EventKind.FILE_EDIT, f"Modified: {path}", path=path, **more)


def ran(line, status=0, output=""):
    return event(EventKind.COMMAND, f"Ran: {line}", command=line, exit=status, output=output)


@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("src/app.py", {"python"}),
        ("web/src/App.tsx", {"typescript", "frontend"}),
        ("tests/test_app.py", {"python", "tests"}),
        ("src/cart.test.ts", {"typescript", "tests"}),
        ("docs/guide.md", {"docs"}),
        (".github/workflows/test.yml", {"ci", "config"}),
        ("db/migrations/2_orders.sql", {"sql", "database"}),
        ("pyproject.toml", {"dependencies", "config"}),
        ("src/auth/login.go", {"go", "security"}),
        ("src/api/orders.rs", {"rust", "api"}),
        ("Dockerfile", {"deploy"}),
        ("bench/spool.py", {"python", "performance"}),
        ("src/contest.py", {"python"}),
        ("LICENSE", set()),
    ],
)
def test_a_path_tells_language_and_area(path, tags):
    assert set(tags_of([edited(path)])) == tags


@pytest.mark.parametrize(
    ("prompt", "tag"),
    [
        ("Fix the parser", "bugfix"),
        ("Prices are wrong for two coupons", "bugfix"),
        ("Please add a retry to the client", "feature"),
        ("Rename it and clean up", "refactor"),
        ("The query is slow", "performance"),
        ("We decided to use uv instead of pip", "decision"),
        ("Please review this change", "review"),
    ],
)
def test_a_prompt_tells_the_activity(prompt, tag):
    assert tag in tags_of([asked(prompt)])


def test_a_prompt_about_nothing_of_it_has_no_tags():
    assert tags_of([asked("How does the parser work?")]) == ()


def test_a_run_tells_its_tool_and_its_error():
    tags = tags_of([ran("python -m pytest", 1, FAILED)])

    assert tags == ("error:typeerror", "failure", "pytest", "tests")


def test_a_failure_that_was_mended_is_a_bugfix():
    tags = tags_of([ran("pytest", 1, FAILED), edited("a.py"), ran("pytest")])

    assert {"bugfix", "failure"} <= set(tags)


def test_an_exit_status_is_no_kind_of_error():
    tags = tags_of([ran("make all", 2, "something odd")])

    assert tags == ("failure", "make")


def test_installing_a_package_is_about_dependencies():
    assert tags_of([ran("npm install react")]) == ("dependencies", "npm")


def test_of_too_many_the_activities_and_the_most_frequent_stay():
    suffixes = ("py", "py", "ts", "go", "rs", "rb")
    tools = ("git push", "docker build .", "npm test", "cargo test", "uv sync")
    batch = [
        asked("Fix the bug, then add a test"),
        *(edited(f"tests/api/auth/migrations/x.{suffix}") for suffix in suffixes),
        *(ran(tool, 1, FAILED) for tool in tools),
    ]

    tags = tags_of(batch)

    assert len(tags) == 12
    assert {"bugfix", "feature", "failure", "python", "tests", "error:typeerror"} <= set(tags)


HOSTILE = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=200),
    st.sampled_from(["</script>", "\ud800", "x" * 9000, "a/b.py", "Error: Bad", "docker git pip"]),
)
KEYS = st.sampled_from(["path", "change", "command", "exit", "output", "name"])


@st.composite
def anything(draw):
    return [
        RawEvent(
            f"e{number}",
            "g",
            "s",
            draw(st.sampled_from(EventKind)),
            float(draw(st.integers(0, 5))),
            draw(HOSTILE),
            draw(st.dictionaries(KEYS, st.one_of(HOSTILE, st.integers(-1, 3), st.none()))),
        )
        for number in range(draw(st.integers(0, 6)))
    ]


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(anything(), st.randoms())
def test_any_text_gives_short_sorted_identifiers_in_any_order(events, random):
    tags = tags_of(events)

    shuffled = list(events)
    random.shuffle(shuffled)
    assert tags_of(shuffled) == tags == tuple(sorted(set(tags)))
    assert len(tags) <= 12
    assert all(re.fullmatch(r"(?:error:)?[a-z][a-z0-9_-]{0,39}", tag) for tag in tags)


def test_a_summary_in_the_batch_would_change_nothing():
    assert tags_of([event(EventKind.SUMMARY, "Fixed: all of it")]) == ()
