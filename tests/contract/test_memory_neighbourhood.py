"""A part of the graph to look at: asked of both memories, and of both at once."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_manager import browse
from memory_manager.browse import Neighbourhood
from memory_manager.memory import FakeMemory
from memory_manager.model import Extraction

NOON = 1_763_640_000.0


def names(found):
    return [node.entity.name for node in found.nodes]


def edges(found):
    return [fact.uuid for fact in found.edges]


def connected(found):
    shown = {node.entity.uuid for node in found.nodes}
    return all({fact.source, fact.target} <= shown for fact in found.edges)


async def test_an_unknown_group_has_no_neighbourhood(memory, group):
    assert await memory.neighbourhood(group) == Neighbourhood()
    assert await memory.neighbourhood(group, center="x", text="y", at=NOON) == Neighbourhood()
    assert group not in await memory.groups()


async def test_the_best_connected_come_first_and_files_and_errors_before_all(memory, group, make):
    app, lib, alone = (make.entity(name) for name in ("app.py", "lib.py", "alone.py"))
    error = make.entity("TypeError", "Error")
    task, tool = make.entity("release", "Task"), make.entity("ruff", "Tool")
    facts = [
        make.fact(error, "OCCURRED_IN", app),
        make.fact(task, "TOUCHED", app),
        make.fact(task, "TOUCHED", lib),
        make.fact(task, "USED", tool),
    ]
    await memory.store(make.all(app, lib, alone, error, task, tool, *facts))
    found = await memory.neighbourhood(group)
    assert names(found) == ["app.py", "TypeError", "lib.py", "release", "ruff", "alone.py"]
    assert [node.degree for node in found.nodes] == [2, 1, 1, 3, 1, 0]
    assert set(edges(found)) == {fact.uuid for fact in facts}
    assert not found.truncated
    part = await memory.neighbourhood(group, limit=3)
    assert names(part) == ["app.py", "TypeError", "lib.py"]
    assert edges(part) == [facts[0].uuid]
    assert part.truncated
    for types, wanted in (
        (("Task", "Tool", "Task"), ["release", "ruff"]),
        ({"Error"}, ["TypeError"]),
        (["the"], []),
    ):
        assert names(await memory.neighbourhood(group, types=types)) == wanted


async def test_a_text_finds_entities_by_name(memory, group, make):
    wanted = make.entity("src/parseConfig.py"), make.entity("parse_config", "Symbol")
    other = make.entity("lib/other.py"), make.entity("config parser", "Task")
    held = make.fact(wanted[0], "CONTAINS", wanted[1])
    await memory.store(make.all(*wanted, *other, held, make.fact(other[0], "USES", other[1])))
    found = await memory.neighbourhood(group, text="parse Config")
    assert names(found) == ["src/parseConfig.py", "parse_config"]
    assert edges(found) == [held.uuid]
    assert names(await memory.neighbourhood(group, text="other.py lib")) == ["lib/other.py"]
    assert names(await memory.neighbourhood(group, text="config", types=("Symbol",))) == [
        "parse_config"
    ]
    assert names(await memory.neighbourhood(group, text="?!")) == []
    assert len((await memory.neighbourhood(group, text=" ")).nodes) == 4


async def test_a_center_comes_first_then_what_is_near_and_strong(memory, group, make):
    center, near, strong, far, beyond = (
        make.entity(f"{name}.py") for name in ("center", "near", "strong", "far", "beyond")
    )
    facts = [
        make.fact(center, "IMPORTS", near),
        *(make.fact(strong, "CHANGED_WITH", center, n) for n in range(3)),
        make.fact(near, "IMPORTS", far),
        make.fact(far, "IMPORTS", beyond),
        make.fact(center, "MOVED", center, 1),
    ]
    await memory.store(make.all(center, near, strong, far, beyond, *facts))
    found = await memory.neighbourhood(group, center=center.uuid)
    assert names(found) == ["center.py", "strong.py", "near.py", "far.py"]
    assert found.nodes[0].degree == 6
    assert set(edges(found)) == {fact.uuid for fact in facts if fact is not facts[5]}
    assert not found.truncated
    for limit, many, wanted in ((1, 1, True), (3, 3, True), (4, 4, False), (0, 0, True)):
        part = await memory.neighbourhood(group, center=center.uuid, limit=limit)
        assert names(part) == names(found)[:many]
        assert part.truncated is wanted
        assert connected(part)
    assert names(await memory.neighbourhood(group, center=center.uuid, text="near py")) == [
        "center.py",
        "near.py",
    ]
    assert names(await memory.neighbourhood(group, center=center.uuid, types=("Task",))) == [
        "center.py"
    ]
    assert names(await memory.neighbourhood(group, center=center.uuid, text="?")) == ["center.py"]
    assert (await memory.neighbourhood(group, center="nobody")).nodes == ()


async def test_only_facts_that_were_true_then(memory, group, make):
    service, jenkins, actions = (make.entity(n, "Tool") for n in ("service", "jenkins", "actions"))
    first = make.fact(service, "BUILT_BY", jenkins, 0, closes="builder")
    second = make.fact(service, "BUILT_BY", actions, 100, closes="builder")
    told = make.episode("first", 0), make.episode("second", 100)
    await memory.store(make.all(service, jenkins, actions, first, second, *told))

    async def at(n, **more):
        found = await memory.neighbourhood(group, at=None if n is None else NOON + n, **more)
        assert (found.first_at, found.last_at) == (NOON, NOON + 100)
        return names(found), edges(found)

    assert await at(-1) == ([], [])
    assert await at(50) == (["jenkins", "service"], [first.uuid])
    assert await at(99.999999) == await at(0) == await at(50)
    assert await at(100) == (["actions", "service"], [second.uuid])
    assert await at(None) == (["service", "actions", "jenkins"], [second.uuid, first.uuid])
    assert await at(-1, center=service.uuid) == (["service"], [])
    assert await at(50, center=service.uuid) == (["service", "jenkins"], [first.uuid])
    ends = (await memory.neighbourhood(group)).edges
    assert [fact.invalid_at for fact in ends] == [None, NOON + 100]


async def test_of_many_facts_between_two_the_newest_are_given(memory, group, make):
    one, other = make.entity("one"), make.entity("other")
    facts = [make.fact(one, "CHANGED", other, n) for n in range(browse.PARALLEL + 4)]
    back = make.fact(other, "CHANGED", one, 0)
    await memory.store(make.all(one, other, *facts, back))
    found = await memory.neighbourhood(group)
    newest = [fact.uuid for fact in reversed(facts[4:])]
    assert edges(found) == [*newest, back.uuid]
    assert found.truncated


async def test_a_hub_is_shown_but_not_passed(memory, group, make, monkeypatch):
    monkeypatch.setattr(browse, "STEPS", 20)
    center, hub, small, behind = (make.entity(n) for n in ("center", "hub", "small", "behind"))
    many = [make.entity(f"m{n}") for n in range(30)]
    facts = [make.fact(center, "USES", hub), make.fact(center, "USES", small)]
    facts += [make.fact(small, "USES", behind)]
    facts += [make.fact(hub, "USES", each) for each in many]
    await memory.store(make.all(center, hub, small, behind, *many, *facts))
    found = await memory.neighbourhood(group, center=center.uuid)
    assert names(found) == ["center", "hub", "small", "behind"]
    assert found.truncated
    around = await memory.neighbourhood(group, center=hub.uuid, limit=10)
    assert len(around.nodes) == 10
    assert around.nodes[0].degree == 31


async def test_an_end_that_nobody_has_named_is_not_shown(memory, group, make):
    known, later = make.entity("known"), make.entity("later")
    fact = make.fact(known, "USES", later)
    await memory.store(make.all(known, fact))
    for center in (None, known.uuid):
        found = await memory.neighbourhood(group, center=center)
        assert (names(found), edges(found)) == (["known"], [])
    assert (await memory.neighbourhood(group, center=later.uuid)).nodes == ()


@pytest.mark.parametrize(
    "text", ["'; MATCH (n) DETACH DELETE n //", "@terms:(x)|-y*", "\x00", "\ud800", "_", '"`\\']
)
async def test_nothing_that_is_asked_is_interpreted(memory, group, make, text):
    await memory.store(make.all(make.entity("bystander"), make.entity("Will", "the")))
    for asked in ({"center": text}, {"text": text}, {"types": (text,)}):
        assert (await memory.neighbourhood(group, **asked)).nodes == ()
    assert names(await memory.neighbourhood(group, types=("the", "a"), text="bystander")) == []
    assert names(await memory.neighbourhood(group, types=("the",))) == ["Will"]
    assert (await memory.size(group)).entities == 2


TYPES = ("File", "Error", "Task", "the")
entities_ = st.lists(
    st.tuples(st.sampled_from(TYPES), st.sampled_from(("app", "Will", "src/a b", "café"))),
    min_size=1,
    max_size=10,
    unique=True,
)
facts_ = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(0, 9), st.integers(0, 5), st.integers(1, 9) | st.none()
    ),
    max_size=25,
)
asked_ = st.fixed_dictionaries(
    {
        "center": st.none() | st.integers(0, 9),
        "text": st.sampled_from(("", "", "a", "will", "src a", "?")),
        "types": st.lists(st.sampled_from(TYPES), max_size=2),
        "at": st.none() | st.integers(-1, 9),
        "limit": st.integers(0, 12),
    }
)


@pytest.mark.engine
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(entities_, facts_, st.lists(asked_, min_size=1, max_size=4))
async def test_both_memories_give_the_same_picture(graph, make, entities, facts, questions):
    group = f"g_{uuid.uuid4().hex}"
    local = replace(make, group=group)
    nodes = [local.entity(name, type_) for type_, name in entities]
    drawn = [
        local.fact(
            nodes[one % len(nodes)],
            "USES",
            nodes[other % len(nodes)],
            since,
            key=str(number),
            invalid_at=None if lasts is None else NOON + since + lasts,
        )
        for number, (one, other, since, lasts) in enumerate(facts)
    ]
    whole = Extraction(group, entities=tuple(nodes), facts=tuple(drawn))
    fake = FakeMemory()
    for memory in (fake, graph):
        await memory.store(whole)
    for question in questions:
        center, at = question["center"], question["at"]
        asked = question | {
            "center": None if center is None else nodes[center % len(nodes)].uuid,
            "at": None if at is None else NOON + at,
        }
        found = await graph.neighbourhood(group, **asked)
        assert found == await fake.neighbourhood(group, **asked)
        assert connected(found)
        assert len(found.nodes) <= asked["limit"]
    await graph.drop(group)
