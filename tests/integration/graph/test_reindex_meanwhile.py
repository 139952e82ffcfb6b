"""While a graph is reindexed, people ask, other processes store, and it may end at any moment."""

from __future__ import annotations

import asyncio

import pytest

from memory_manager.errors import Unavailable
from memory_manager.graph import reindex
from memory_manager.model import Episode, EventKind, Extraction, episode_uuid

pytestmark = pytest.mark.engine

NOON = 1_763_640_000.0


async def test_questions_and_writers_go_on_meanwhile(memory, tell, opened, embedder, group):
    told = await tell(1500)
    await told.write("MATCH (n:Episodic) WHERE n.uuid > '8' SET n.digest = 'x'")
    other = await opened(embedder)
    working = asyncio.create_task(memory.reindex(group))
    asked = 0
    while not working.done():
        assert await told.through(other).texts(f"kubectl attempt {asked % 1500}")
        assert await told.texts("rollouts of apps via kubernetes")
        assert (await memory.episodes(group, text=f"attempt {asked % 1500}")).episodes
        new = Episode(
            episode_uuid(group, f"n{asked}"), group, "s", f"n{asked}", EventKind.NOTE, "new",
            f"newcomer number{asked}", "hook", NOON + 9999 + asked,
        )  # fmt: skip
        await other.store(Extraction(group, (new,)))
        asked += 1
    assert asked > 2
    size = await working
    assert 1500 <= size.episodes <= 1500 + asked
    for n in (0, asked - 1):
        assert len((await memory.episodes(group, text=f"newcomer number{n}")).episodes) == 1
    assert (await memory.size(group)).episodes == 1500 + asked


async def test_an_interrupted_one_is_simply_repeated(memory, tell, group, monkeypatch):
    told = await tell(300)
    before = await told.derived()
    await told.write("MATCH (n:Episodic) SET n.terms = 'x', n.digest = NULL")
    write, left = memory._link.write, [4]

    async def cut(graph, statement, parameters=None):
        left[0] -= 1
        if left[0] < 0:
            raise Unavailable("cut")
        return await write(graph, statement, parameters)

    for patience in (3, 6, 4):
        left[0] = patience
        with monkeypatch.context() as patched:
            patched.setattr(memory._link, "write", cut)
            with pytest.raises(Unavailable):
                await memory.reindex(group)
        assert (await memory.size(group)).episodes == 300
    await memory.reindex(group)
    assert await told.derived() == before
    assert await told.is_whole()


async def test_a_fact_that_is_closed_meanwhile_stays_closed(memory, tell, group, monkeypatch):
    told = await tell()
    await told.write("MATCH ()-[e:RELATES_TO]->() SET e.terms = NULL, e.past_terms = NULL")
    write = memory._link.write

    async def late(graph, statement, parameters=None):
        if statement == reindex._SET_FACTS:
            await write(
                graph,
                "MATCH ()-[e:RELATES_TO {uuid: $u}]->() SET e.invalid_at = $at",
                {"u": told.batch.facts[1].uuid, "at": "2026-01-01T00:00:00+00:00"},
            )
        return await write(graph, statement, parameters)

    monkeypatch.setattr(memory._link, "write", late)
    await memory.reindex(group)
    assert "the service is built by actions" not in await told.texts("service actions")
