"""A graph whose derived parts are damaged, outdated or gone is whole again after a reindex."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memory_manager.graph import indices
from memory_manager.memory import Size
from memory_manager.model import Extraction, Fact

pytestmark = pytest.mark.engine


DAMAGE = [
    "MATCH (n:Episodic) SET n.terms = NULL",
    "MATCH (n:Episodic) SET n.terms = 'nonsense', n.digest = 'nonsense'",
    "MATCH (n:Episodic) SET n.content_embedding = NULL",
    "MATCH (n:Episodic) SET n.content_embedding = vecf32([1.0, 0.5])",
    "MATCH (n:Entity) SET n.terms = 'nonsense'",
    "MATCH ()-[e:RELATES_TO]->() SET e.terms = NULL, e.past_terms = NULL",
    "MATCH ()-[e:RELATES_TO]->() SET e.past_terms = e.terms",
    "MATCH ()-[e:RELATES_TO]->() SET e.scope_key = NULL, e.chain_key = 'x'",
    "DROP INDEX FOR (n:Episodic) ON (n.uuid)",
    "DROP FULLTEXT INDEX FOR (n:Episodic) ON (n.terms)",
    "DROP VECTOR INDEX FOR (n:Episodic) ON (n.content_embedding)",
    "DROP FULLTEXT INDEX FOR (n:Entity) ON (n.terms)",
    "DROP FULLTEXT INDEX FOR ()-[e:RELATES_TO]-() ON (e.past_terms)",
]


@pytest.mark.parametrize("damage", [*([each] for each in DAMAGE), DAMAGE], ids=range(14))
async def test_what_was_damaged_is_made_anew(memory, tell, group, damage):
    told = await tell()
    assert await told.is_whole()
    before = await memory.export(group), await told.derived(), await told.fields()
    for statement in damage:
        await told.write(statement)
    assert await memory.reindex(group) == Size(episodes=12, entities=3, facts=3, mentions=1)
    after = await memory.export(group), await told.derived(), await told.fields()
    assert after == before
    assert await told.is_whole()
    again = told.batch.facts[0].valid_at + 500
    later = [Fact(**{**_plain(told.batch.facts[0]), "uuid": "later", "valid_at": again})]
    await memory.store(Extraction(group, facts=tuple(later)))
    ends = {f["uuid"]: f["invalid_at"] for f in (await memory.export(group))["facts"]}
    assert ends[told.batch.facts[1].uuid] == again  # the chain is known by its key


def _plain(fact: Fact) -> dict[str, object]:
    return {name: getattr(fact, name) for name in Fact.__slots__}


async def test_indices_that_are_gone_or_anothers_are_replaced(memory, tell, group):
    told = await tell()
    before = await told.fields()
    for index in (await indices.existing(memory._link, group)).items():
        for statement in indices._dropped(index[0], index[1].fields):
            await told.write(statement)
    assert await told.fields() == {}
    from graphiti_core.driver.driver import GraphProvider
    from graphiti_core.graph_queries import get_fulltext_indices, get_range_indices

    for statement in (
        *get_range_indices(GraphProvider.FALKORDB),
        *get_fulltext_indices(GraphProvider.FALKORDB),
    ):
        await told.write(statement)
    await memory.reindex(group)
    have = await indices.existing(memory._link, group)
    assert not any(index.stops for index in have.values())
    assert {label: have[label].answering - {indices._MARK} for label in before} == before
    assert await told.is_whole()


async def test_what_is_right_is_not_written(memory, tell, group, monkeypatch):
    told = await tell()
    # Nothing in it has a place in the model's space.
    await memory.store(
        Extraction(group, (replace(told.batch.episodes[0], uuid="x", content="!", paths=()),))
    )
    written = []
    write = memory._link.write

    async def recorded(graph, statement, parameters=None):
        written.append(statement)
        return await write(graph, statement, parameters)

    monkeypatch.setattr(memory._link, "write", recorded)
    seen = []
    await memory.reindex(group, lambda done, total: seen.append((done, total)))
    assert written
    assert all("INDEX" in statement for statement in written)
    assert {total for _, total in seen} == {38}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (38, 38)
    assert all(done < total for done, total in seen[:-1])
    written.clear()
    await memory.store(told.batch)
    assert not [
        statement for statement in written if "Episodic" in statement and "SET n" in statement
    ]


class Model:
    """Another model: the same space turned, with more dimensions, or with none."""

    def __init__(self, name, inner, dimension):
        self.name, self._inner, self.dimension = name, inner, dimension

    def embed(self, texts):
        turned = self._inner.embed(texts)[:, ::-1]
        more = max(0, self.dimension - turned.shape[1])
        return np.ascontiguousarray(np.pad(turned, ((0, 0), (0, more)))[:, : self.dimension])


@pytest.mark.parametrize("dimension", [256, 320, 0])
async def test_vectors_of_another_model_are_made_anew(memory, tell, opened, embedder, dimension):
    told = await tell()
    model = Model(f"model-{dimension}", embedder, dimension)
    other = await opened(model)
    await other.reindex(told.group)
    vectors = [row[3] for row in (await told.derived())[0]]
    if dimension:
        assert {len(vector) for vector in vectors} == {dimension}
        wanted = model.embed([f"{told.batch.episodes[0].content} deploy/app.yaml"])[0]
        assert any(np.allclose(vector, wanted, atol=1e-3) for vector in vectors)
        assert await told.through(other).is_whole()
    else:
        assert set(vectors) == {None}
        assert await told.through(other).texts("kubectl")
    await memory.reindex(told.group)
    assert await told.is_whole()
