"""What stock Graphiti has written is browsed at once, and searched after a reindex."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from memory_manager.graph import indices
from memory_manager.model import EventKind, Query

pytestmark = pytest.mark.engine


async def test_what_graphiti_wrote_is_a_part_of_the_memory(memory, tell, group):
    from graphiti_core.edges import EntityEdge
    from graphiti_core.nodes import EntityNode, EpisodeType, EpisodicNode

    told = await tell()
    driver = memory.driver(group)
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    episode = EpisodicNode(
        name="meeting",
        group_id=group,
        source=EpisodeType.text,
        source_description="minutes",
        content="We agreed to paint the bikeshed turquoise.",
        created_at=now,
        valid_at=now,
    )
    shed = EntityNode(name="Bikeshed", group_id=group, summary="a shed", created_at=now)
    team = EntityNode(name="The team", group_id=group, created_at=now)
    for node in (shed, team):
        node.name_embedding = [0.1, 0.2]
    edge = EntityEdge(
        group_id=group,
        source_node_uuid=team.uuid,
        target_node_uuid=shed.uuid,
        name="PAINTS",
        fact="The team paints the bikeshed",
        fact_embedding=[0.1, 0.2],
        episodes=[episode.uuid],
        created_at=now,
        valid_at=now,
    )
    for each in (episode, shed, team, edge):
        await each.save(driver)

    newest = (await memory.episodes(group, limit=1)).episodes[0]
    assert (newest.uuid, newest.kind, newest.source) == (episode.uuid, EventKind.NOTE, "minutes")
    assert newest.at == now.timestamp()
    whole, facts = await memory.episode(group, episode.uuid)
    assert whole.content == episode.content
    assert [fact.text for fact in facts] == [edge.fact]
    assert await memory.missing(group, [episode.uuid, "x"]) == {"x"}

    await memory.reindex(group)
    hits = (await memory.query(Query(group, "turquoise bikeshed"))).hits
    assert {hit.text for hit in hits} >= {episode.content, edge.fact}
    found = await memory.neighbourhood(group, text="bikeshed")
    assert [node.entity.name for node in found.nodes] == ["Bikeshed"]
    around = await memory.neighbourhood(group, center=shed.uuid)
    assert [fact.relation for fact in around.edges] == ["PAINTS"]
    assert (await EntityNode.get_by_uuid(driver, shed.uuid)).summary == "a shed"
    again = await EpisodicNode.get_by_uuid(driver, episode.uuid)
    assert (again.content, again.valid_at) == (episode.content, now)
    assert await told.is_whole()


async def test_graphiti_may_ask_for_new_indices(memory, tell, group):
    told = await tell()
    before = await told.fields()
    await memory.driver(group).build_indices_and_constraints(delete_existing=True)
    assert await told.fields() == before
    assert not any(index.left for index in (await indices.existing(memory._link, group)).values())
    assert await told.is_whole()


async def test_a_graph_of_an_earlier_version_gets_what_it_lacks_with_the_next_store(
    memory, tell, opened, embedder
):
    told = await tell()
    before = await told.fields()
    for statement in (
        "DROP INDEX FOR (n:Episodic) ON (n.session)",
        "DROP INDEX FOR (n:Episodic) ON (n.paths)",
        "DROP INDEX FOR ()-[e:RELATES_TO]-() ON (e.episodes)",
        "DROP VECTOR INDEX FOR (n:Episodic) ON (n.content_embedding)",
    ):
        await indices.settled(memory._link, told.group, lambda _: None)
        await told.write(statement)
    one, other = await opened(embedder), await opened(embedder)
    await asyncio.gather(one.store(told.batch), other.store(told.batch))
    await indices.settled(memory._link, told.group, lambda _: None)
    assert await told.fields() == before
    assert await told.is_whole()


async def test_two_processes_make_one_graph_at_the_same_moment(opened, embedder, tell, group):
    told = await tell(0)
    await told.memory.drop(group)
    writers = [await opened(embedder) for _ in range(4)]
    made = [replace(told.batch, episodes=()) for _ in writers]
    await asyncio.gather(*(each.store(part) for each, part in zip(writers, made, strict=True)))
    fresh = await tell(3)
    await indices.settled(fresh.memory._link, group, lambda _: None)
    assert await fresh.is_whole()
