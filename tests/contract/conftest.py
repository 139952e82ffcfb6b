"""Both memories, one after the other, and what is put into them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from memory_manager.embed import open_embedder
from memory_manager.memory import FakeMemory, Memory
from memory_manager.model import (
    Entity,
    Episode,
    EventKind,
    Extraction,
    Fact,
    entity_uuid,
    episode_name,
    episode_uuid,
    identifier,
)
from memory_manager.settings import MemorySettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOON = 1_763_640_000.0


@pytest.fixture(scope="module")
def embedder():
    return open_embedder("local")


@pytest.fixture
async def graph(request, embedder) -> AsyncIterator[Memory]:
    """The one on a real FalkorDB."""
    from memory_manager.graph.memory import GraphMemory

    socket = request.getfixturevalue("falkordb_server")
    opened = GraphMemory.open(MemorySettings(falkordb_url=f"unix://{socket}"), embedder)
    yield opened
    await opened.close()


@pytest.fixture(params=["fake", pytest.param("graph", marks=pytest.mark.engine)])
def memory(request, embedder) -> Memory:
    if request.param == "fake":
        return FakeMemory(embedder)
    return request.getfixturevalue("graph")


@pytest.fixture
def group() -> str:
    return f"g_{uuid.uuid4().hex}"


@dataclass(frozen=True)
class Make:
    """Values of one group. `n` stands for time and identity where nothing else does."""

    group: str

    def episode(self, text: str, n: int = 0, **more) -> Episode:
        event_id = more.pop("key", f"{text[:100]} {n}")
        at = more.pop("at", NOON + n)
        fields = {"kind": EventKind.NOTE, "session": "s1", "source": "test"} | more
        return Episode(
            uuid=episode_uuid(self.group, event_id),
            group=self.group,
            event_id=event_id,
            name=episode_name(at, event_id),
            content=text,
            at=at,
            **fields,
        )

    def entity(self, name: str, type_: str = "File", **attributes) -> Entity:
        return Entity(entity_uuid(self.group, type_, name), self.group, type_, name, attributes)

    def fact(self, one: Entity, relation: str, other: Entity, n: int = 0, **more) -> Fact:
        key = more.pop("key", str(n))
        return Fact(
            uuid=identifier("fact", one.uuid, relation, other.uuid, key),
            group=self.group,
            source=one.uuid,
            target=other.uuid,
            relation=relation,
            text=more.pop("text", f"{one.name} {relation.lower()} {other.name}"),
            valid_at=more.pop("at", NOON + n),
            **more,
        )

    def all(self, *values: Episode | Entity | Fact, **more) -> Extraction:
        """Everything as one batch."""
        kinds = {Episode: "episodes", Entity: "entities", Fact: "facts"}
        sorted_ = {
            name: tuple(each for each in values if isinstance(each, kind))
            for kind, name in kinds.items()
        }
        return Extraction(self.group, **sorted_, **more)


@pytest.fixture
def make(group) -> Make:
    return Make(group)
