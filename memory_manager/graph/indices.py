"""The indices of a group's graph: few, safe, made on purpose and waited for.

Graphiti's own are not used: their stop-word lists crash the server when an entity is called "Will"
or "IT" (any list of equalities over one stop word does), and `group_id` indices make it slower in a
graph that holds one group.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.errors import Rejected, Unavailable
from memory_manager.graph.link import NoGraphError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_manager.graph.link import Link

#: Range indices for every look-up by value; `chain_key` and `scope_key` are digests (see `rows.py`).
_RANGE = {
    "Episodic": "CREATE INDEX FOR (n:Episodic) ON (n.uuid, n.valid_at)",
    "Entity": "CREATE INDEX FOR (n:Entity) ON (n.uuid, n.name, n.type)",
    "RELATES_TO": "CREATE INDEX FOR ()-[e:RELATES_TO]-() ON (e.uuid, e.chain_key, e.scope_key)",
}
#: Our words are stemmed already (`nostem`); Graphiti's texts are found through the engine's stemmer.
_TEXT = {
    (
        "Episodic",
        "terms",
    ): "CREATE FULLTEXT INDEX FOR (n:Episodic) ON (n.terms) OPTIONS {nostem: true}",
    ("Entity", "terms"): "CREATE FULLTEXT INDEX FOR (n:Entity) ON (n.terms) OPTIONS {nostem: true}",
    ("Entity", "summary"): "CREATE FULLTEXT INDEX FOR (n:Entity) ON (n.summary)",
    ("RELATES_TO", "terms"): (
        "CREATE FULLTEXT INDEX FOR ()-[e:RELATES_TO]-() ON (e.terms) OPTIONS {nostem: true}"
    ),
    ("RELATES_TO", "past_terms"): (
        "CREATE FULLTEXT INDEX FOR ()-[e:RELATES_TO]-() ON (e.past_terms) OPTIONS {nostem: true}"
    ),
}
#: Recall 0.99 at 10,000 vectors; the engine's own efRuntime of 10 gives 0.88.
_VECTOR = (
    "CREATE VECTOR INDEX FOR (n:Episodic) ON (n.content_embedding) OPTIONS {{dimension: {dimension},"
    " similarityFunction: 'cosine', M: 16, efConstruction: 200, efRuntime: 100}}"
)
_STATUS = (
    "CALL db.indexes() YIELD label, properties, options, status"
    " RETURN label, properties, options, status"
)
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Index:
    """What is indexed of one label. `dimension`: of its vectors (0: none are indexed)."""

    properties: frozenset[str] = frozenset()
    dimension: int = 0
    usable: bool = True


async def existing(link: Link, graph: str) -> dict[str, Index]:
    """The graph's indices by label.

    Raises:
        NoGraphError: there is no such graph.
    """
    found = {}
    for label, properties, options, status in await link.read(graph, _STATUS):
        embedding = (options or {}).get("content_embedding") or {}
        dimension = int(embedding.get("dimension", 0))
        found[label] = Index(frozenset(properties), dimension, status == "OPERATIONAL")
    return found


async def make(link: Link, graph: str, dimension: int) -> None:
    """Make what is missing (and the graph), and wait until it can be used."""
    try:
        have = await existing(link, graph)
    except NoGraphError:
        have = {}
    for statement in _missing(have, dimension):
        try:
            await link.write(graph, statement)
        except Rejected as refusal:
            if "already indexed" not in str(refusal):  # by another process, since we looked
                raise
    await usable(link, graph)


def _missing(have: dict[str, Index], dimension: int) -> Iterable[str]:
    def lacks(label: str, name: str) -> bool:
        return name not in have.get(label, Index()).properties

    for label, statement in _RANGE.items():
        if lacks(label, "uuid"):
            yield statement
    for (label, name), statement in _TEXT.items():
        if lacks(label, name):
            yield statement
    if dimension and lacks("Episodic", "content_embedding"):
        yield _VECTOR.format(dimension=dimension)


async def usable(link: Link, graph: str) -> int:
    """Wait until no index is being built: after a restart they find nothing for a moment.

    Returns:
        The dimension of the vectors that can be searched for, 0 for none.

    Raises:
        NoGraphError: there is no such graph.
        Unavailable: still being built when the link's patience ended.
    """
    until = time.monotonic() + link.timeout_s
    while True:
        have = await existing(link, graph)
        if all(index.usable for index in have.values()):
            return have.get("Episodic", Index()).dimension
        if time.monotonic() > until:
            raise Unavailable("the graph's indices are still being built")
        await asyncio.sleep(_POLL_S)
