"""Looking through a memory, episode by episode: asked of both memories."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from memory_manager.browse import MOST_EPISODES, Cursor, EpisodePage, cursor_from
from memory_manager.errors import InvalidRequest
from memory_manager.hits import TEXT_LIMIT
from memory_manager.memory import FakeMemory, Size
from memory_manager.model import EventKind

NOON = 1_763_640_000.0
WEEK = 7 * 86400.0


async def turned(memory, group, limit, **asked):
    """All pages, one after the other."""
    before, pages = None, []
    while True:
        page = await memory.episodes(group, before=before, limit=limit, **asked)
        pages.append(page.episodes)
        if page.next is None:
            return pages
        before = page.next


async def contents(memory, group, **asked):
    return [episode.content for episode in (await memory.episodes(group, **asked)).episodes]


async def known(memory):
    return () if isinstance(memory, FakeMemory) else await memory._link.execute("GRAPH.LIST")


# Pages


async def test_an_unknown_group_has_no_episodes_and_is_not_made(memory, group):
    assert await memory.episodes(group) == EpisodePage()
    assert await memory.episodes(group, text="anything", session="s", path="p") == EpisodePage()
    assert await memory.episode(group, "nobody") is None
    assert await memory.missing(group, ["b", "a", "b"]) == {"a", "b"}
    assert await memory.reindex(group) == Size()
    await memory.drop(group)
    assert group not in await memory.groups()
    assert group not in await known(memory)


async def test_pages_come_newest_first_and_have_each_episode_once(memory, group, make):
    # Bursts, gaps of minutes, months and years, and some at the very same moment.
    times = [NOON + n // 3 for n in range(20)] + [NOON + n**4 for n in range(1, 30)]
    stored = [make.episode(f"note {n}", at=at, key=str(n)) for n, at in enumerate(times)]
    await memory.store(make.all(*stored))
    wanted = sorted(stored, key=lambda each: (each.at, each.uuid), reverse=True)
    assert list((await memory.episodes(group)).episodes) == wanted
    for limit in (1, 7, 48, 49, 50):
        pages = await turned(memory, group, limit)
        assert [each for page in pages for each in page] == wanted
        assert all(len(page) == limit for page in pages[:-1])


async def test_what_comes_meanwhile_moves_no_page(memory, group, make):
    await memory.store(make.all(*(make.episode("old", n) for n in range(6))))
    first = await memory.episodes(group, limit=3)
    await memory.store(make.all(*(make.episode("new", 100 + n) for n in range(5))))
    rest = await memory.episodes(group, before=first.next, limit=10)
    assert [each.at - NOON for each in (*first.episodes, *rest.episodes)] == [5, 4, 3, 2, 1, 0]


async def test_a_long_text_is_listed_in_part_and_given_whole(memory, group, make):
    body = "ünïcode 東京 " * 1000
    long = make.episode(body, metadata={"a": [1, None, {"b": "c"}]}, paths=("x", "y"))
    await memory.store(make.all(long))
    (listed,) = (await memory.episodes(group)).episodes
    assert listed.content == body[:TEXT_LIMIT]
    assert await memory.episode(group, long.uuid) == (long, ())


async def test_limits_are_kept_within_reason(memory, group, make):
    await memory.store(make.all(*(make.episode(f"n{n}", n) for n in range(3))))
    for limit in (0, -1, -(10**30)):
        assert await memory.episodes(group, limit=limit) == EpisodePage()
    for limit in (3, MOST_EPISODES + 1, 10**30):
        assert len((await memory.episodes(group, limit=limit)).episodes) == 3


# Filters


async def test_filters_combine(memory, group, make):
    def note(n, session, kind, paths, text):
        return make.episode(text, n, session=session, kind=kind, paths=paths)

    await memory.store(
        make.all(
            note(0, "s1", EventKind.ERROR, ("a.py",), "tests failed badly"),
            note(1, "s2", EventKind.ERROR, ("a.py", "b.py"), "tests failed again"),
            note(2, "s1", EventKind.NOTE, ("b.py",), "tests passed"),
            note(3, "s1", EventKind.ERROR, ("src/a.py",), "the build failed"),
        )
    )

    async def asked(**filters):
        pages = await turned(memory, group, 1, **filters)
        return [int(each.at - NOON) for page in pages for each in page]

    assert await asked(session="s1") == [3, 2, 0]
    assert await asked(kind="error") == await asked(kind=EventKind.ERROR) == [3, 1, 0]
    assert await asked(path="a.py") == [1, 0]
    assert await asked(path="b.py") == [2, 1]
    assert await asked(text="failed") == [3, 1, 0]
    assert await asked(text="tests FAILED") == [1, 0]
    assert await asked(text="again a.py") == [1]
    assert await asked(session="s1", kind="error", path="a.py", text="fail") == [0]
    assert await asked(session="s2", kind="note") == []
    for nothing in ({"session": ""}, {"kind": ""}, {"path": ""}, {"path": "A.py"}, {"kind": "no"}):
        assert await asked(**nothing) == []
    assert await asked(text="  ") == [3, 2, 1, 0]
    assert await asked(text="?!") == await asked(text="the") == []


async def test_a_text_finds_what_has_all_its_words(memory, group, make):
    await memory.store(
        make.all(
            make.episode("Renamed parseConfigFile in src/core/loader.py", 1),
            make.episode("Wills and testaments; 東京タワー", 2, paths=("docs/wills.md",)),
            make.episode("x " * 3000 + "zeppelin", 3),
        )
    )
    for text in (
        "parse config file",
        "LOADER core",
        "src/core/loader.py",
        "renamed parseConfigFile",
    ):
        assert len(await contents(memory, group, text=text)) == 1, text
    for text in ("loader.py", "core/loader", "parse-config", "file.loader"):
        assert len(await contents(memory, group, text=text)) == 1, text
    assert len(await contents(memory, group, text="will")) == 0
    assert len(await contents(memory, group, text="wills docs")) == 1
    assert len(await contents(memory, group, text="東京")) == 1
    assert len(await contents(memory, group, text="zeppelin")) == 1
    assert await contents(memory, group, text="loader zeppelin") == []
    assert await contents(memory, group, text="absent " * 5000) == []


HOSTILE = [
    "'; MATCH (n) DETACH DELETE n //", "@terms:(x) | -y ~z* %w% {t}", "a _ b", "_", "\\", '"', "`",
    "\x00", "\x01\x1f", "\ud800 half", "CYPHER x=1", "$path", "(", ")", "a)(b", "*", "-", "terms",
    "<script>alert(1)</script>", "{{}}", "%s {0}", "🚀", "null", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_nothing_in_a_filter_is_interpreted(memory, group, make, text):
    await memory.store(make.all(make.episode("bystander"), make.episode("other", session="s2")))
    for asked in ({"text": text}, {"session": text}, {"path": text}, {"kind": text}):
        assert await contents(memory, group, **asked) in ([], ["bystander"])
    assert await memory.episode(group, text) is None
    assert await memory.missing(group, [text]) == {text}
    assert (await memory.size(group)).episodes == 2


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=100))
async def test_any_text_may_be_a_filter(memory, make, text):
    group = "g_f11e"
    for asked in ({"text": text}, {"session": text}, {"path": text}, {"kind": text}):
        assert await memory.episodes(group, **asked) is not None


# Cursors


def cursor(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "text",
    ["x", "????", "é", "\ud800", "0", cursor([]), cursor([1, 2]), cursor([1, 2, 3]), cursor({}),
     cursor(["a", "b", 0]), cursor([None, "b", 0]), cursor([1e999, "b", 0]), cursor([float("nan"), "b", 0]),
     cursor([1, "b", "c"]), cursor([1e300, "b", 0]), "W" * 100_000, "\x00" * 10],
    ids=range(17),
)  # fmt: skip
async def test_a_bad_cursor_is_refused_in_one_line(memory, group, make, text):
    await memory.store(make.all(make.episode("one")))
    with pytest.raises(InvalidRequest, match=r"before: .* is no cursor") as refusal:
        await memory.episodes(group, before=text)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


@given(st.floats(-6e10, 2.5e11), st.text(), st.integers())
@example(-0.0, "\ud800", 2**70)
def test_a_cursor_comes_back_as_it_was(at, uuid, seen):
    said = str(Cursor(at, uuid, seen))
    assert said.isascii()
    again = cursor_from(said)
    assert (again.at, again.seen) == (at, seen)
    assert again.uuid == uuid.encode("utf-8", "replace").decode()


# One episode


async def test_an_episode_comes_with_the_facts_it_is_a_source_of(memory, group, make):
    told, other = make.episode("build broke", 5), make.episode("elsewhere", 9)
    build, red, green = make.entity("build", "Task"), make.entity("red"), make.entity("green")
    state = make.fact(build, "STATE", red, 5, closes="build", episodes=(told.uuid, other.uuid))
    after = make.fact(build, "STATE", green, 9, closes="build", episodes=(other.uuid,))
    early = make.fact(red, "SEEN_IN", green, 1, episodes=(told.uuid,))
    unrelated = make.fact(green, "SEEN_IN", red, 1)
    await memory.store(make.all(told, build, red, green, state, early, unrelated))
    await memory.store(make.all(other, after))
    episode, facts = await memory.episode(group, told.uuid)
    assert episode == told
    assert [(fact.uuid, fact.invalid_at) for fact in facts] == [
        (early.uuid, None),
        (state.uuid, NOON + 9),
    ]
    assert {fact.uuid for fact in (await memory.episode(group, other.uuid))[1]} == {
        state.uuid,
        after.uuid,
    }
    assert await memory.episode(group, "nobody") is None


# Groups


async def test_missing_tells_which_are_not_there(memory, group, make):
    stored = [make.episode(f"n{n}", n) for n in range(30)]
    await memory.store(make.all(*stored))
    there = [each.uuid for each in stored]
    absent = [f"not-{n}" for n in range(4500)]
    assert await memory.missing(group, [*absent, *there, *there]) == set(absent)
    assert await memory.missing(group, there) == frozenset()
    assert await memory.missing(group, []) == frozenset()
    assert await memory.missing(group, (each for each in there)) == frozenset()


async def test_groups_are_those_that_hold_something_of_ours(memory, group, make):
    await memory.store(make.all(make.episode("one")))
    if not isinstance(memory, FakeMemory):
        for name in ("other_graph", f"{group}_x", "g_"):
            await memory._link.write(name, "CREATE (:Thing)")
    listed = await memory.groups()
    assert group in listed
    assert list(listed) == sorted(listed)
    assert not {"other_graph", f"{group}_x", "g_"} & set(listed)
    if not isinstance(memory, FakeMemory):
        for name in ("other_graph", f"{group}_x", "g_"):
            await memory._link.execute("GRAPH.DELETE", name)


async def test_a_dropped_group_is_gone_and_can_begin_again(memory, group, make):
    await memory.store(make.all(make.episode("one")))
    await memory.drop(group)
    assert group not in await memory.groups()
    assert await memory.size(group) == Size()
    assert await memory.episodes(group) == EpisodePage()
    await memory.store(make.all(make.episode("two")))
    assert await contents(memory, group, text="two") == ["two"]
