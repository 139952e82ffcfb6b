from __future__ import annotations

import pytest

from memory_manager.extract.words import choices


def read(text: str) -> list[tuple[str, str]]:
    return [(choice.relation, choice.thing) for choice in choices(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Use pnpm instead of npm.", [("PREFERS", "pnpm"), ("AVOIDS", "npm")]),
        ("use pnpm instead of npm for installs, please", [("PREFERS", "pnpm"), ("AVOIDS", "npm")]),
        ("please use `valkey`, not redis", [("PREFERS", "valkey"), ("AVOIDS", "redis")]),
        ("I prefer tabs over spaces", [("PREFERS", "tabs"), ("AVOIDS", "spaces")]),
        ("we'd prefer pathlib", [("PREFERS", "pathlib")]),
        ("Use pnpm", [("PREFERS", "pnpm")]),
        ("we use pnpm here", [("PREFERS", "pnpm")]),
        ("We switched from jest to vitest", [("PREFERS", "vitest"), ("AVOIDS", "jest")]),
        ("We decided to use FalkorDB instead of Neo4j", [("DECIDED", "FalkorDB"), ("AVOIDS", "Neo4j")]),
        ("we've agreed that the API stays at v1", [("DECIDED", "the API stays at v1")]),
        ("Decision: keep the socket at 0600", [("DECIDED", "keep the socket at 0600")]),
        ("let's go with sqlite", [("DECIDED", "sqlite")]),
        ("Always run ruff before committing.", [("PREFERS", "run ruff before committing")]),
        ("ok, always use uv", [("PREFERS", "uv")]),
        ("From now on, write tests first", [("PREFERS", "write tests first")]),
        ("- never commit secrets", [("AVOIDS", "commit secrets")]),
        ("Don't mock the database in integration tests", [("AVOIDS", "mock the database in integration tests")]),
        ("don\u2019t use npm", [("AVOIDS", "npm")]),
        ("avoid global state", [("AVOIDS", "global state")]),
        ("stop using mocks", [("AVOIDS", "mocks")]),
        ("Remember that the staging database is read-only", [("NOTED", "the staging database is read-only")]),
        ("remember to always run make lint", [("PREFERS", "run make lint")]),
        ("don't forget to bump the version", [("PREFERS", "bump the version")]),
    ],
)  # fmt: skip
def test_what_people_state(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "should we always use pnpm?",
        "why don't we use pnpm instead of npm?",
        "I don't know why it fails",
        "the tests never pass on CI",
        "it doesn't work",
        "don't worry about it",
        "never mind",
        "don't commit yet",
        "don't do that",
        "don't change anything, just look",
        "use the existing helper",
        "use git bisect to find the commit",
        "let's go with option 1",
        "he said: always on time",
        "```\nalways use tabs\n```",
        "> always quoted",
        "The cache always misses after a restart",
        "Using mocks here will likely not work",
        "",
    ],
)
def test_what_is_no_statement(text):
    assert read(text) == []


def test_instead_of_is_about_the_same_topic_as_the_earlier_choice():
    (before,) = choices("Use npm")
    after = {choice.relation: choice for choice in choices("use pnpm instead of npm")}
    assert after["AVOIDS"].topic == before.topic
    assert after["PREFERS"].topic != before.topic


def test_the_last_word_on_a_topic_counts():
    assert read("use npm\nno, don't use npm") == [("AVOIDS", "npm")]
