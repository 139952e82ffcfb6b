"""What every `Memory` promises, asked of the one in memory and of the one on a real FalkorDB."""

from __future__ import annotations

import itertools
import json
import uuid
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_manager.errors import InvalidRequest
from memory_manager.hits import TEXT_LIMIT
from memory_manager.memory import FakeMemory, Memory, Size
from memory_manager.merge import PROVENANCE
from memory_manager.model import (
    Answer,
    Entity,
    Episode,
    EventKind,
    Extraction,
    Fact,
    Query,
    entity_uuid,
    episode_name,
    episode_uuid,
    identifier,
)
from memory_manager.portable import imported

NOON = 1_763_640_000.0


def episode(group: str, text: str, *, at: float = NOON, key: str = "", **more) -> Episode:
    event_id = key or f"{text[:100]}{at}"
    fields = {"kind": EventKind.NOTE, "session": "s1", "source": "test"} | more
    return Episode(
        uuid=episode_uuid(group, event_id),
        group=group,
        event_id=event_id,
        name=episode_name(at, event_id),
        content=text,
        at=at,
        **fields,
    )


def entity(group: str, name: str, type_: str = "file", **attributes) -> Entity:
    return Entity(entity_uuid(group, type_, name), group, type_, name, attributes)


def fact(
    one: Entity, relation: str, other: Entity, *, at: float = NOON, key: str = "", **more
) -> Fact:
    return Fact(
        uuid=identifier("fact", one.uuid, relation, other.uuid, key),
        group=one.group,
        source=one.uuid,
        target=other.uuid,
        relation=relation,
        text=more.pop("text", f"{one.name} {relation.lower()} {other.name}"),
        valid_at=at,
        **more,
    )


def note(group: str, *texts: str, **more) -> Extraction:
    return Extraction(group, episodes=tuple(episode(group, text, **more) for text in texts))


async def found(memory: Memory, group: str, text: str, **more) -> list[str]:
    return [hit.text for hit in (await memory.query(Query(group, text, **more))).hits]


async def ends(memory: Memory, group: str) -> dict[str, float | None]:
    return {str(f["uuid"]): f["invalid_at"] for f in (await memory.export(group))["facts"]}


# Nothing


async def test_an_unknown_group_is_empty_and_asking_does_not_make_it(memory, group):
    assert await memory.query(Query(group, "anything at all", paths=("b", "a"))) == Answer(
        paths=("a", "b")
    )
    assert await memory.size(group) == Size()
    assert await memory.entities(group) == ()
    assert (await memory.export(group))["episodes"] == []
    if not isinstance(memory, FakeMemory):
        assert group not in await memory._link.execute("GRAPH.LIST")


async def test_nothing_relevant_gives_nothing(memory, group):
    await memory.store(note(group, "The deployment pipeline uses Kubernetes.", "Tests run in tox."))
    for text in ("quantum chromodynamics lattice", "", "   ", "the and of", "?!", "\x00", "yes"):
        assert await found(memory, group, text) == [], text


async def test_an_empty_extraction_is_stored(memory, group):
    await memory.store(Extraction(group))
    assert await memory.size(group) == Size()
    assert await found(memory, group, "anything") == []


# Finding


async def test_words_find_an_episode_with_all_it_says(memory, group):
    kept = episode(
        group,
        "We chose PostgreSQL for the billing service.",
        session="s7",
        paths=("src/billing/db.py",),
        kind=EventKind.MESSAGE,
    )
    await memory.store(Extraction(group, episodes=(kept,)))
    answer = await memory.query(Query(group, "which database does billing use? postgresql"))
    hit = answer.hits[0]
    assert (hit.uuid, hit.kind, hit.text, hit.at) == (kept.uuid, "message", kept.content, kept.at)
    assert (hit.session, hit.event_ids, hit.source) == ("s7", (kept.event_id,), "test")
    assert hit.paths == answer.paths == ("src/billing/db.py",)
    assert hit.score > 0


async def test_meaning_finds_what_shares_no_word(memory, group):
    await memory.store(note(group, "Deployed the application with kubectl", "Buy flowers"))
    assert await found(memory, group, "deployment of apps") == [
        "Deployed the application with kubectl"
    ]


async def test_code_names_and_paths_are_found_by_their_parts(memory, group):
    await memory.store(note(group, "Renamed parseConfigFile in src/core/loader.py"))
    for text in (
        "parse config",
        "loader",
        "src/core/loader.py",
        "parseConfigFile",
        "PARSECONFIGFILE",
    ):
        assert len(await found(memory, group, text)) == 1, text


async def test_a_question_that_names_a_file_gets_its_neighbourhood(memory, group):
    file, task = entity(group, "src/cart.py"), entity(group, "discounts", "task")
    seen = episode(group, "Rounding was wrong for vouchers.")
    await memory.store(
        Extraction(
            group,
            episodes=(seen,),
            entities=(file, task),
            facts=(fact(task, "TOUCHED", file, text="work on vouchers", paths=("src/cart.py",)),),
            mentions=((seen.uuid, file.uuid),),
        )
    )
    by_text = await memory.query(Query(group, "what happened to src/cart.py?"))
    by_path = await memory.query(Query(group, "what happened here?", paths=("src/cart.py",)))
    for answer in (by_text, by_path):
        assert {hit.text for hit in answer.hits} == {"work on vouchers", seen.content}
    assert by_path.paths == ("src/cart.py",)


async def test_the_limit_holds_and_the_best_come_first(memory, group):
    texts = [f"cache note {'timeout ' * (n % 2)}number {'x' * n}" for n in range(12)]
    await memory.store(note(group, *texts))
    answer = await memory.query(Query(group, "cache timeout", limit=4))
    assert len(answer.hits) == 4
    assert all("timeout" in hit.text for hit in answer.hits)
    scores = [hit.score for hit in answer.hits]
    assert scores == sorted(scores, reverse=True)
    assert (await memory.query(Query(group, "cache timeout", limit=0))).hits == ()


async def test_what_was_said_twice_is_given_once_and_as_of_the_newest(memory, group):
    await memory.store(note(group, "Modified: src/app.py", at=NOON, key="a"))
    await memory.store(note(group, "Modified: src/app.py", at=NOON + 60, key="b"))
    hits = (await memory.query(Query(group, "src/app.py"))).hits
    assert [hit.at for hit in hits] == [NOON + 60]


async def test_groups_never_leak(memory, group):
    other = f"g_{uuid.uuid4().hex}"
    await memory.store(note(group, "The secret handshake is zebra."))
    await memory.store(note(other, "Our secret handshake is walrus."))
    assert await found(memory, group, "secret handshake") == ["The secret handshake is zebra."]
    assert await found(memory, other, "secret handshake") == ["Our secret handshake is walrus."]
    assert (await memory.size(group)).episodes == 1


# Storing


def history(group: str) -> list[Extraction]:
    """Batches whose order must not matter: shared entities, a chain, one fact seen again."""
    file, build = entity(group, "src/app.py"), entity(group, "build", "task")
    batches = []
    for number, state in enumerate(["passes", "fails", "passes again"]):
        at = NOON + number * 60
        told = episode(group, f"build {state}", at=at, key=f"e{number}")
        outcome = entity(group, state, "outcome")
        batches.append(
            Extraction(
                group,
                episodes=(told,),
                entities=(
                    replace(file, attributes={"lines": number, f"seen{number}": True}),
                    build,
                    outcome,
                ),
                facts=(
                    fact(build, "STATE", outcome, at=at, closes="state of build", key=str(number)),
                    fact(
                        file,
                        "PART_OF",
                        build,
                        at=at,
                        episodes=(told.uuid,),
                        event_ids=(told.event_id,),
                        paths=(f"p{number}",),
                    ),
                ),
                mentions=((told.uuid, file.uuid),),
            )
        )
    return batches


async def test_stored_twice_is_stored_once(memory, group):
    for batch in history(group):
        await memory.store(batch)
    once = await memory.export(group)
    for batch in history(group):
        await memory.store(batch)
    assert await memory.export(group) == once
    assert await memory.size(group) == Size(episodes=3, entities=5, facts=4, mentions=3)


def moved(batch: Extraction, group: str) -> Extraction:
    """The same batch, identifiers included, in another group."""
    parts = {
        name: tuple(replace(each, group=group) for each in getattr(batch, name))
        for name in ("episodes", "entities", "facts")
    }
    return replace(batch, group=group, **parts)


async def test_the_order_of_batches_does_not_matter(memory):
    batches = history("g_0")
    exports = []
    for order in itertools.permutations(range(3)):
        group = f"g_{uuid.uuid4().hex}"
        for number in order:
            await memory.store(moved(batches[number], group))
        exports.append(await memory.export(group) | {"group": ""})
    assert all(export == exports[0] for export in exports)


async def test_a_later_fact_closes_the_one_before_it_whatever_came_first(memory, group):
    task = entity(group, "build", "task")
    states = [entity(group, name, "outcome") for name in ("red", "green", "blue")]
    facts = [
        fact(task, "STATE", state, at=NOON + n * 10, closes="build")
        for n, state in enumerate(states)
    ]
    for number in (2, 0, 1):
        await memory.store(
            Extraction(group, entities=(task, states[number]), facts=(facts[number],))
        )
    assert await ends(memory, group) == {
        facts[0].uuid: NOON + 10,
        facts[1].uuid: NOON + 20,
        facts[2].uuid: None,
    }
    assert await found(memory, group, "state of build") == ["build state blue"]


async def test_ties_in_a_chain_are_broken_by_uuid(memory, group):
    task = entity(group, "build", "task")
    states = [entity(group, name, "outcome") for name in ("red", "green")]
    facts = [fact(task, "STATE", state, closes="build") for state in states]
    await memory.store(Extraction(group, entities=(task, *states), facts=tuple(facts)))
    first, last = sorted(each.uuid for each in facts)
    assert await ends(memory, group) == {first: NOON, last: None}


async def test_a_facts_own_end_counts_if_it_is_earlier(memory, group):
    one, other = entity(group, "a"), entity(group, "b")
    short = fact(one, "USES", other, closes="k", invalid_at=NOON + 5)
    later = fact(one, "USES", other, at=NOON + 10, closes="k", key="2")
    await memory.store(Extraction(group, entities=(one, other), facts=(short,)))
    assert await ends(memory, group) == {short.uuid: NOON + 5}
    await memory.store(Extraction(group, facts=(later,)))
    assert await ends(memory, group) == {short.uuid: NOON + 5, later.uuid: None}


async def test_a_sessions_scoped_facts_are_replaced_as_a_set(memory, group):
    one, other, third = (entity(group, name) for name in ("a.py", "b.py", "c.py"))
    kept = fact(one, "CHANGED_WITH", other, scope="s1", session="s1")
    stale = fact(one, "CHANGED_WITH", third, scope="s1", session="s1")
    elsewhere = fact(other, "CHANGED_WITH", third, scope="s2", session="s2")
    plain = fact(other, "IMPORTS", third, session="s1")
    everyone = (one, other, third)
    await memory.store(Extraction(group, entities=everyone, facts=(stale, kept), scopes=("s1",)))
    await memory.store(
        Extraction(group, entities=everyone, facts=(elsewhere, plain), scopes=("s2",))
    )
    await memory.store(Extraction(group, entities=everyone, facts=(kept,), scopes=("s1",)))
    assert set(await ends(memory, group)) == {kept.uuid, elsewhere.uuid, plain.uuid}
    await memory.store(Extraction(group, scopes=("s1",)))
    assert set(await ends(memory, group)) == {elsewhere.uuid, plain.uuid}


async def test_a_removed_fact_opens_the_one_that_it_closed(memory, group):
    one, other = entity(group, "a"), entity(group, "b")
    first = fact(one, "FIXED_BY", other, closes="k")
    second = fact(one, "FIXED_BY", other, at=NOON + 9, closes="k", scope="s", key="2")
    await memory.store(
        Extraction(group, entities=(one, other), facts=(first, second), scopes=("s",))
    )
    assert (await ends(memory, group))[first.uuid] == NOON + 9
    await memory.store(Extraction(group, scopes=("s",)))
    assert await ends(memory, group) == {first.uuid: None}


async def test_a_fact_seen_again_keeps_its_earliest_time_and_unites_its_sources(memory, group):
    one, other = entity(group, "a.py"), entity(group, "b.py")
    for number in (3, 1, 2, *range(4, PROVENANCE + 10)):
        again = fact(one, "IMPORTS", other, at=NOON + number, event_ids=(f"e{number:03}",))
        await memory.store(Extraction(group, entities=(one, other), facts=(again,)))
    (stored,) = (await memory.export(group))["facts"]
    assert stored["valid_at"] == NOON + 1
    assert stored["event_ids"] == [f"e{number:03}" for number in range(1, PROVENANCE + 1)]


async def test_a_fact_may_arrive_before_its_entities(memory, group):
    one, other = entity(group, "a.py"), entity(group, "b.py")
    await memory.store(Extraction(group, facts=(fact(one, "IMPORTS", other),)))
    await memory.store(Extraction(group, entities=(one, other)))
    assert await memory.entities(group) == (one, other)
    assert await found(memory, group, "a.py imports") == ["a.py imports b.py"]


async def test_entities_are_listed_by_type_and_name(memory, group):
    listed = (
        entity(group, "Will", "person"),
        entity(group, "b.py", "file", size=3, tags=["x"], deep={"a": [1, None]}),
        entity(group, "a.py", "file"),
    )
    await memory.store(Extraction(group, entities=listed))
    assert [e.name for e in await memory.entities(group)] == ["a.py", "b.py", "Will"]
    assert await memory.entities(group, "file", limit=1) == (listed[2],)
    assert await memory.entities(group, "file") == (listed[2], listed[1])
    assert await memory.entities(group, "nothing") == ()


# Time


async def test_as_of_then_only_what_was_known_and_true_then(memory, group):
    service = entity(group, "service", "component")
    tools = [entity(group, name, "tool") for name in ("Jenkins", "Actions")]
    facts = [
        fact(service, "BUILT_BY", tool, at=NOON + n * 100, closes="builder of service")
        for n, tool in enumerate(tools)
    ]
    told = [episode(group, f"service note {n}", at=NOON + n * 100) for n in range(2)]
    await memory.store(
        Extraction(group, episodes=tuple(told), entities=(service, *tools), facts=tuple(facts))
    )

    async def at(time: float | None) -> set[str]:
        return set(await found(memory, group, "service note built by", limit=10, at=time))

    assert await at(NOON - 1) == set()
    assert await at(NOON + 50) == {"service note 0", "service built_by Jenkins"}
    later = {"service note 0", "service note 1", "service built_by Actions"}
    assert await at(NOON + 100) == later
    assert await at(None) == later
    answer = await memory.query(Query(group, "service built by", at=NOON + 50, limit=10))
    assert {hit.invalid_at for hit in answer.hits if hit.kind == "fact"} == {NOON + 100}


# Anything


HOSTILE = [
    "Will", "IT", "The", "a", "no", "my-service-name", "rock'n'roll \"quoted\"",
    "'; MATCH (n) DETACH DELETE n //", '") RETURN 1 //', "`backtick` ``` code", "$(rm -rf /) ${HOME}",
    "@content:(foo) | -bar ~baz* %fuzzy% {tag}", "a _ b", "_", "__init__.py", "line\nbreak\r\ntab\t",
    "C:\\path\\to\\file.txt", 'back\\slash \\" \\', "🚀 emoji 👩‍👩‍👧", "東京タワー", "Ünïcödé café",
    "\x01\x02\x1f control", "{json: [1, null]}", "CYPHER x=1 RETURN 1", "100% [x] #tag <b>",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_text_is_only_text(memory, group, text):
    thing, other = entity(group, text, "ty`pe-1"), entity(group, "bystander")
    seen = episode(
        group, text, session=text, source=text, paths=(text,), metadata={"key `\"'": [text, None]}
    )
    link = fact(
        thing,
        text,
        other,
        text=text,
        closes=text,
        scope=text,
        branch=text,
        commit=text,
        session=text,
    )
    whole = Extraction(
        group,
        episodes=(seen,),
        entities=(thing, other),
        facts=(link,),
        mentions=((seen.uuid, thing.uuid),),
        scopes=(text,),
    )
    await memory.store(whole)
    await memory.store(whole)
    assert await memory.size(group) == Size(episodes=1, entities=2, facts=1, mentions=1)
    assert {thing.name for thing in await memory.entities(group)} == {text, "bystander"}
    stored = await memory.export(group)
    assert stored["episodes"][0]["content"] == text
    assert stored["episodes"][0]["metadata"] == {"key `\"'": [text, None]}
    assert stored["facts"][0]["text"] == stored["facts"][0]["relation"] == text
    await memory.query(Query(group, text, paths=(text,), at=NOON))
    await memory.query(Query(group, f"tell me of {text} please"))
    assert [hit.text for hit in (await memory.query(Query(group, text, paths=(text,)))).hits]


async def test_a_megabyte_is_stored_whole_and_given_in_part(memory, group):
    body = "prelude about zeppelins " + "All work and no play. " * 50_000
    await memory.store(note(group, body))
    assert (await memory.export(group))["episodes"][0]["content"] == body
    (hit,) = (await memory.query(Query(group, "zeppelins"))).hits
    assert hit.text == body[:TEXT_LIMIT]
    assert await memory.query(Query(group, body)) is not None


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.text(max_size=200), st.floats(allow_nan=False, min_value=0, max_value=4e9))
async def test_a_question_of_any_text_is_answered(memory, text, at):
    group = "g_any_text"
    await memory.store(note(group, "one thing to find"))
    assert isinstance(await memory.query(Query(group, text)), Answer)
    assert isinstance(await memory.query(Query(group, text, paths=(text,), at=at)), Answer)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=80))
async def test_any_text_comes_back_as_it_was(memory, text):
    group = f"g_{uuid.uuid4().hex}"
    await memory.store(note(group, text))
    assert (await memory.export(group))["episodes"][0]["content"] == text


async def test_what_no_engine_can_hold_is_stored_without_it(memory, group):
    await memory.store(note(group, "nul \x00 and \ud800 surrogate", key="odd"))
    assert "surrogate" in str((await memory.export(group))["episodes"][0]["content"])


# Export


async def test_an_export_restores_the_same_memory_elsewhere(memory, group):
    for batch in history(group):
        await memory.store(batch)
    exported = await memory.export(group)
    portable = json.loads(json.dumps(exported))
    other = f"g_{uuid.uuid4().hex}"
    await memory.store(imported(portable, other))
    await memory.store(imported(portable, other))
    assert await memory.export(other) == exported | {"group": other}


def test_a_damaged_export_is_refused():
    with pytest.raises(InvalidRequest):
        imported({"format": "something else", "version": 1})
    with pytest.raises(InvalidRequest, match="damaged"):
        imported({})


async def test_persist_ready_and_close(memory, group):
    await memory.ready()
    await memory.store(note(group, "anything"))
    await memory.persist()
