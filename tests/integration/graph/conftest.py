"""A small graph with everything in it that can be derived, and what it has to answer."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

import pytest

from memory_manager.embed import open_embedder
from memory_manager.graph import indices
from memory_manager.graph.memory import GraphMemory
from memory_manager.model import (
    Entity,
    Episode,
    EventKind,
    Extraction,
    Fact,
    Query,
    entity_uuid,
    episode_uuid,
    identifier,
)
from memory_manager.settings import MemorySettings

NOON = 1_763_640_000.0


@pytest.fixture(scope="module")
def embedder():
    return open_embedder("local")


@pytest.fixture
def group() -> str:
    return f"g_{uuid.uuid4().hex}"


@pytest.fixture
async def opened(falkordb_server):
    """Opens memories of this test."""
    open_ = []

    async def one(embedder):
        open_.append(GraphMemory.open(MemorySettings(), embedder, socket=falkordb_server))
        return open_[-1]

    yield one
    for each in open_:
        await each.close()


@pytest.fixture
async def memory(opened, embedder):
    return await opened(embedder)


def batch(group: str, count: int = 12) -> Extraction:
    """Episodes about the deployment, two states of one chain, one fact of a session."""
    service = Entity(entity_uuid(group, "Tool", "service"), group, "Tool", "service")
    tools = [
        Entity(entity_uuid(group, "Tool", n), group, "Tool", n) for n in ("jenkins", "actions")
    ]
    episodes = tuple(
        Episode(
            uuid=episode_uuid(group, f"e{n}"),
            group=group,
            session="s",
            event_id=f"e{n}",
            kind=EventKind.NOTE,
            name=f"episode {n}",
            content=f"Deployed the application with kubectl, attempt {n}",
            source="hook",
            at=NOON + n,
            paths=("deploy/app.yaml",),
            metadata={"type": "note", "deep": {"a": [1, None]}},
        )
        for n in range(count)
    )

    def fact(n: int, target: Entity, **more) -> Fact:
        return Fact(
            uuid=identifier("fact", group, str(n)),
            group=group,
            source=service.uuid,
            target=target.uuid,
            relation="BUILT_BY",
            text=f"the service is built by {target.name}",
            valid_at=NOON + n,
            episodes=tuple(each.uuid for each in episodes[:1]),
            paths=("ci/build.yaml",),
            **more,
        )

    return Extraction(
        group,
        episodes,
        (service, *tools),
        (fact(0, tools[0], closes="builder"), fact(100, tools[1], closes="builder"),
         fact(200, tools[0], scope="s", session="s")),
        tuple((each.uuid, service.uuid) for each in episodes[:1]),
        ("s",),
    )  # fmt: skip


@dataclass
class Told:
    """What a group was told, and the memory that should know it."""

    memory: GraphMemory
    group: str
    batch: Extraction

    async def write(self, statement, parameters=None):
        await self.memory._link.write(self.group, statement, parameters)

    async def texts(self, text, **more):
        answer = await self.memory.query(Query(self.group, text, limit=50, **more))
        return {hit.text for hit in answer.hits}

    def through(self, memory):
        return replace(self, memory=memory)

    async def is_whole(self):
        """Everything is found: by words, by meaning, by session, by name, as of now and of then."""
        attempts = {episode.content for episode in self.batch.episodes}
        assert await self.texts("kubectl") & attempts
        for asked in ({"text": "kubectl attempt"}, {"text": "app.yaml", "session": "s"}):
            page = await self.memory.episodes(self.group, limit=1000, **asked)
            assert len(page.episodes) == len(attempts)
        # No word in common.
        assert await self.texts("rollouts of apps via kubernetes") & attempts
        assert "the service is built by actions" in await self.texts("service built by")
        then = await self.texts("service built by", at=NOON + 50)
        assert "the service is built by jenkins" in then
        assert "the service is built by actions" not in then
        found = await self.memory.neighbourhood(self.group, text="jenkins")
        assert [node.entity.name for node in found.nodes] == ["jenkins"]
        known = await self.memory.episode(self.group, self.batch.episodes[0].uuid)
        assert known is not None
        assert len(known[1]) == 3
        return True

    async def fields(self):
        have = await indices.existing(self.memory._link, self.group)
        return {label: index.answering - {indices._MARK} for label, index in have.items()}

    async def derived(self):
        return [
            sorted(await self.memory._link.read(self.group, statement), key=str)
            for statement in (
                "MATCH (n:Episodic) RETURN n.uuid, n.terms, n.digest, n.content_embedding",
                "MATCH (n:Entity) RETURN n.uuid, n.terms",
                "MATCH ()-[e:RELATES_TO]->() RETURN e.uuid, e.terms, e.past_terms, e.scope_key, e.chain_key",
            )
        ]


@pytest.fixture
def tell(memory, group):
    """Stores a batch of so many episodes."""

    async def told(count=12):
        made = Told(memory, group, batch(group, count))
        await memory.store(made.batch)
        return made

    return told
