"""Making anew what can be derived, in chunks, beside questions and other processes that store.

What is written is written only where it differs, and only where nobody has written meanwhile (each
row says what stood there when it was read). So a reindex may be interrupted and repeated at will.
"""

from __future__ import annotations

import asyncio
from itertools import batched
from typing import TYPE_CHECKING, Any

from memory_manager.graph import indices, rows
from memory_manager.graph.cypher import Value, indexed, vector
from memory_manager.graph.link import NoGraphError
from memory_manager.hits import searchable
from memory_manager.memory import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from memory_manager.embed import Embedder
    from memory_manager.graph.link import Link, Row
    from memory_manager.model import Episode

    type Written = list[tuple[str, list[Value]]]

#: Rows that are read and thought about at once, and rows of one statement that has vectors.
_EPISODES, _OTHERS, _VECTORS = 100, 500, 32

_ALL = (
    "MATCH (n:Episodic) RETURN n.uuid",
    "MATCH (n:Entity) WHERE n.name <> '' RETURN n.uuid",
    "MATCH ()-[e:RELATES_TO]->() RETURN e.uuid",
)
_EPISODE = (
    "UNWIND $keys AS k MATCH (n:Episodic {uuid: k})"
    f" RETURN {rows.EPISODE_COLUMNS}, n.entity_edges, n.digest, n.terms, n.content_embedding"
)
_ENTITY = "UNWIND $keys AS k MATCH (n:Entity {uuid: k}) RETURN n.uuid, n.name, n.terms"
_FACT = (
    "UNWIND $keys AS k MATCH ()-[e:RELATES_TO {uuid: k}]->()"
    " RETURN e.uuid, e.fact, e.paths, e.scope, e.closes, e.invalid_at IS NULL,"
    " e.terms, e.past_terms, e.scope_key, e.chain_key"
)
_SET_EPISODES = (
    "UNWIND $rows AS r MATCH (n:Episodic {uuid: r.uuid}) WHERE coalesce(n.digest, '') = r.was"
    " SET n.terms = r.terms, n.digest = r.digest"
)
_SET_PLACED = f"{_SET_EPISODES}, n.content_embedding = vecf32(r.v)"
_SET_UNPLACED = f"{_SET_EPISODES}, n.content_embedding = NULL"
_SET_ENTITIES = "UNWIND $rows AS r MATCH (n:Entity {uuid: r.uuid}) SET n.terms = r.terms"
# Another process may have closed or opened the fact since: what holds when it is written counts.
_SET_FACTS = (
    "UNWIND $rows AS r MATCH ()-[e:RELATES_TO {uuid: r.uuid}]->()"
    " WHERE coalesce(e.terms, e.past_terms, '') = r.was"
    " SET e.terms = CASE WHEN e.invalid_at IS NULL THEN r.words ELSE NULL END,"
    " e.past_terms = CASE WHEN e.invalid_at IS NULL THEN NULL ELSE r.words END,"
    " e.scope_key = r.scope_key, e.chain_key = r.chain_key"
)


async def reindex(
    link: Link, group: str, embedder: Embedder, progress: Callable[[int, int], None]
) -> Size:
    """See `Memory.reindex`. Half of the progress is the rows, the other half the indices."""
    try:
        listed = [await link.read(group, statement) for statement in _ALL]
    except NoGraphError:
        return Size()
    keys = [[row[0] for row in found if row[0]] for found in listed]
    counts = [len(each) for each in keys]
    done, total = 0, 2 * sum(counts)
    # Chunks are read by uuid: without its index each would take a look at everything.
    await indices.make(link, group, embedder.dimension)

    def think(kind: int, found: list[Row]) -> Written:
        match kind:
            case 0:
                return _episodes(group, found, embedder)
            case 1:
                return _entities(found)
            case _:
                return _facts(found)

    for kind, statement in enumerate((_EPISODE, _ENTITY, _FACT)):
        for chunk in batched(keys[kind], _OTHERS if kind else _EPISODES):
            found = await link.read(group, statement, {"keys": list[Any](chunk)})
            # The caller's event loop has people to answer.
            for change, changed in await asyncio.to_thread(think, kind, found):
                await link.write(group, change, {"rows": changed})
            done += len(chunk)
            progress(done, total)
    half = done

    def built(left: int) -> None:
        nonlocal done
        done = max(done, min(total - 1, total - min(left, half)))
        progress(done, total)

    await indices.rebuild(link, group, embedder.dimension, built)
    progress(total, total)
    mentions = await link.read(group, "MATCH ()-[e:MENTIONS]->() RETURN count(e)")
    return Size(counts[0], counts[1], counts[2], int(mentions[0][0]))


def _episodes(group: str, found: Iterable[Row], embedder: Embedder) -> Written:
    """Words and digest of each; its vector too when it has none or one of another model."""
    kept: list[Value] = []
    lost: list[tuple[dict[str, Value], Episode, bool]] = []
    for *row, edges, digest, terms, placed in found:
        episode = rows.episode_of(group, tuple(row))
        properties = rows.episode_properties(episode, edges or [], embedder.name)
        change: dict[str, Value] = {
            "uuid": episode.uuid,
            "was": digest or "",
            "digest": properties["digest"],
            "terms": properties["terms"],
        }
        right = (digest, terms) == (properties["digest"], properties["terms"])
        if digest != properties["digest"] or len(placed or ()) != embedder.dimension:
            lost.append((change, episode, right and not placed))
        elif not right:
            kept.append(change)
    written: Written = [(_SET_EPISODES, kept)] if kept else []
    for chunk in batched(lost, _VECTORS):
        vectors = embedder.embed([searchable(episode) for _, episode, _ in chunk])
        placeable: list[Value] = []
        placeless: list[Value] = []
        for (change, _, right), found_vector in zip(chunk, vectors, strict=True):
            if found_vector.any():
                placeable.append({**change, "v": vector(found_vector)})
            elif not right:
                placeless.append(change)
        both = ((_SET_PLACED, placeable), (_SET_UNPLACED, placeless))
        written += [(statement, changed) for statement, changed in both if changed]
    return written


def _entities(found: Iterable[Row]) -> Written:
    changed: list[Value] = [
        {"uuid": uuid, "terms": indexed(name)}
        for uuid, name, terms in found
        if terms != indexed(name)
    ]
    return [(_SET_ENTITIES, changed)] if changed else []


def _facts(found: Iterable[Row]) -> Written:
    changed: list[Value] = []
    for uuid, text, paths, scope, closes, open_, *stored in found:
        words = rows.fact_words(text or "", paths or ())
        scope_key, chain_key = rows.key_or_none(scope), rows.key_or_none(closes)
        if stored != [words if open_ else None, None if open_ else words, scope_key, chain_key]:
            changed.append(
                {
                    "uuid": uuid,
                    "was": stored[0] if stored[0] is not None else stored[1] or "",
                    "words": words,
                    "scope_key": scope_key,
                    "chain_key": chain_key,
                }
            )
    return [(_SET_FACTS, changed)] if changed else []
