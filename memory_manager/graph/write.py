"""Storing: what stands in the graph is read, the difference is decided (`merge.py`) and written.

A few statements for a batch, each over many rows. Writers take a lock on the graph, so the rows of
one statement are few enough that a reader beside them does not notice.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import batched
from typing import TYPE_CHECKING, Any

from memory_manager import merge
from memory_manager.graph import rows
from memory_manager.graph.cypher import Value, vector
from memory_manager.hits import searchable
from memory_manager.model import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memory_manager.embed import Embedder
    from memory_manager.graph.link import Link
    from memory_manager.model import Entity, Episode, Extraction, Fact

#: Rows of one statement that has vectors to index (about 1 ms each, under the graph's lock).
_VECTOR_ROWS = 32
_ROWS = 250
#: Characters of text in one statement.
_CHARACTERS = 1_000_000

_STORED_EPISODES = "UNWIND $keys AS k MATCH (n:Episodic {uuid: k}) RETURN n.uuid, n.digest"
_STORED_ENTITIES = f"UNWIND $keys AS k MATCH (n:Entity {{uuid: k}}) RETURN {rows.ENTITY_COLUMNS}"
_STORED_FACTS = (
    f"UNWIND $keys AS k MATCH ()-[e:RELATES_TO {{uuid: k}}]->() RETURN {rows.FACT_COLUMNS}"
)
_SCOPED_FACTS = (
    f"UNWIND $keys AS k MATCH ()-[e:RELATES_TO {{scope_key: k}}]->() RETURN {rows.FACT_COLUMNS}"
)
_CHAINS = (
    "UNWIND $keys AS k MATCH ()-[e:RELATES_TO {chain_key: k}]->()"
    " RETURN e.chain_key, e.uuid, e.valid_at, e.ended_at, e.invalid_at"
)
_EPISODES = "UNWIND $rows AS r MERGE (n:Episodic {uuid: r.p.uuid}) SET n = r.p"
_EPISODES_WITH_VECTORS = f"{_EPISODES}, n.content_embedding = vecf32(r.v)"
_ENTITIES = (
    "UNWIND $rows AS r MERGE (n:Entity {uuid: r.uuid})"
    " ON CREATE SET n = r ON MATCH SET n.name = r.name, n.type = r.type,"
    " n.attributes = r.attributes, n.terms = r.terms"
)
_STUBS = "UNWIND $rows AS r MERGE (n:Entity {uuid: r.uuid}) ON CREATE SET n = r"
_GONE_FACTS = "UNWIND $keys AS k MATCH ()-[e:RELATES_TO {uuid: k}]->() DELETE e"
_FACTS = (
    "UNWIND $rows AS r MATCH (s:Entity {uuid: r.s}) MATCH (t:Entity {uuid: r.t})"
    " MERGE (s)-[e:RELATES_TO {uuid: r.p.uuid}]->(t) SET e = r.p"
)
_CLOSED = (
    "UNWIND $rows AS r MATCH ()-[e:RELATES_TO {uuid: r.uuid}]->()"
    " SET e.invalid_at = r.until, e.expired_at = r.until,"
    " e.past_terms = coalesce(e.terms, e.past_terms) SET e.terms = NULL"
)
_OPENED = (
    "UNWIND $rows AS r MATCH ()-[e:RELATES_TO {uuid: r.uuid}]->()"
    " SET e.invalid_at = NULL, e.expired_at = NULL,"
    " e.terms = coalesce(e.past_terms, e.terms) SET e.past_terms = NULL"
)
_MENTIONS = (
    "UNWIND $rows AS r MATCH (n:Episodic {uuid: r.e}) MATCH (m:Entity {uuid: r.n})"
    " MERGE (n)-[x:MENTIONS]->(m)"
    " ON CREATE SET x.uuid = r.uuid, x.group_id = $group, x.created_at = n.created_at"
)


async def store(link: Link, extraction: Extraction, embedder: Embedder) -> None:
    """Make the graph hold `extraction`. Its indices exist already; one at a time for a group."""
    await _store_episodes(link, extraction, embedder)
    await _store_entities(link, extraction)
    await _store_facts(link, extraction)
    mentions = [
        {"e": episode, "n": entity, "uuid": identifier("mention", episode, entity)}
        for episode, entity in dict.fromkeys(extraction.mentions)
    ]
    for chunk in batched(mentions, _ROWS):
        await link.write(
            extraction.group, _MENTIONS, {"group": extraction.group, "rows": list[Any](chunk)}
        )


async def _read(link: Link, group: str, statement: str, keys: Iterable[str]) -> list[Any]:
    wanted = sorted(set(keys))
    chunks = (link.read(group, statement, {"keys": list[Any](c)}) for c in batched(wanted, 2000))
    return [row for found in await asyncio.gather(*chunks) for row in found]


async def _store_episodes(link: Link, extraction: Extraction, embedder: Embedder) -> None:
    group = extraction.group
    stored = dict(await _read(link, group, _STORED_EPISODES, (e.uuid for e in extraction.episodes)))
    edges: defaultdict[str, set[str]] = defaultdict(set)
    for fact in extraction.facts:
        for episode in fact.episodes:
            edges[episode].add(fact.uuid)
    new: list[tuple[Episode, rows.Properties]] = []
    for each in {episode.uuid: episode for episode in extraction.episodes}.values():
        properties = rows.episode_properties(each, sorted(edges[each.uuid]), embedder.name)
        if stored.get(each.uuid) != properties["digest"]:
            new.append((each, properties))
    for chunk in _portions(new):
        vectors = embedder.embed([searchable(episode) for episode, _ in chunk])
        plain: list[Value] = []
        placed: list[Value] = []
        for (_, properties), row in zip(chunk, vectors, strict=True):
            if row.any():
                placed.append({"p": properties, "v": vector(row)})
            else:
                plain.append({"p": properties})
        if placed:
            await link.write(group, _EPISODES_WITH_VECTORS, {"rows": placed})
        if plain:
            await link.write(group, _EPISODES, {"rows": plain})


def _portions[T](
    new: list[tuple[Episode, T]],
) -> Iterator[list[tuple[Episode, T]]]:
    """Few enough rows and characters for one statement each."""
    portion: list[tuple[Episode, T]] = []
    size = 0
    for item in new:
        length = len(item[0].content)
        if portion and (len(portion) == _VECTOR_ROWS or size + length > _CHARACTERS):
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += length
    if portion:
        yield portion


async def _store_entities(link: Link, extraction: Extraction) -> None:
    group = extraction.group
    since = min((episode.at for episode in extraction.episodes), default=0.0)
    wanted: dict[str, Entity] = {}
    for entity in extraction.entities:
        wanted[entity.uuid] = merge.merged_entity(wanted.get(entity.uuid), entity)
    ends = {uuid for fact in extraction.facts for uuid in (fact.source, fact.target)}
    ends |= {entity for _, entity in extraction.mentions}
    known = {row[0]: row for row in await _read(link, group, _STORED_ENTITIES, {*wanted, *ends})}
    by_label: defaultdict[str, list[Value]] = defaultdict(list)
    for uuid, entity in wanted.items():
        row = known.get(uuid)
        stored = rows.entity_of(group, row) if row and row[1] else None
        merged = merge.merged_entity(stored, entity)
        if merged != stored:
            by_label[rows.label(entity.type)].append(rows.entity_properties(merged, since))
    for name, found in by_label.items():
        # A label cannot be a parameter; `rows.label` gives ASCII letters and digits only.
        statement = f"{_ENTITIES} SET n:{name}" if name else _ENTITIES
        for chunk in batched(found, _ROWS):
            await link.write(group, statement, {"rows": list(chunk)})
    # An end that no batch has named yet: a later one will. Until then it has no type and no name.
    stubs: list[Value] = [
        {
            "uuid": uuid,
            "name": "",
            "group_id": group,
            "summary": "",
            "created_at": rows.stamp(since),
        }
        for uuid in sorted(ends - wanted.keys() - known.keys())
    ]
    for chunk in batched(stubs, _ROWS):
        await link.write(group, _STUBS, {"rows": list(chunk)})


async def _store_facts(link: Link, extraction: Extraction) -> None:
    group = extraction.group
    if not extraction.facts and not extraction.scopes:
        return
    uuids = (fact.uuid for fact in extraction.facts)
    scopes = (rows.key(scope) for scope in extraction.scopes if scope)
    read = await asyncio.gather(
        _read(link, group, _STORED_FACTS, uuids), _read(link, group, _SCOPED_FACTS, scopes)
    )
    standing = [rows.fact_of(group, row) for found in read for row in found]
    stored = {fact.uuid: fact for fact, _ in standing}
    untils = {fact.uuid: until for fact, until in standing}
    names = {
        rows.key(fact.closes): fact.closes
        for fact in (*stored.values(), *extraction.facts)
        if fact.closes
    }
    chains: defaultdict[str, dict[str, merge.Link]] = defaultdict(dict)
    for digest, *rest in await _read(link, group, _CHAINS, names):
        found = rows.link_of(tuple(rest))
        chains[names[digest]][found.uuid] = found
    plan = merge.plan_facts(extraction.facts, extraction.scopes, stored, chains)
    await _write_facts(link, group, plan, stored, untils)


async def _write_facts(
    link: Link,
    group: str,
    plan: merge.FactPlan,
    stored: dict[str, Fact],
    untils: dict[str, float | None],
) -> None:
    for gone in batched(sorted(plan.deletes), _ROWS):
        await link.write(group, _GONE_FACTS, {"keys": list[Any](gone)})
    changed: list[Value] = []
    closed: list[Value] = []
    opened: list[Value] = []
    upserts = {fact.uuid: fact for fact in plan.upserts}
    for uuid, until in plan.untils.items():
        fact = upserts.get(uuid)
        if fact is not None and stored.get(uuid) != fact:
            properties: Value = rows.fact_properties(fact, until)
            changed.append({"s": fact.source, "t": fact.target, "p": properties})
        elif fact is None or untils[uuid] != until:
            if until is None:
                opened.append({"uuid": uuid})
            else:
                closed.append({"uuid": uuid, "until": rows.stamp(until)})
    for statement, found in ((_FACTS, changed), (_CLOSED, closed), (_OPENED, opened)):
        for chunk in batched(found, _ROWS):
            await link.write(group, statement, {"rows": list(chunk)})
