"""A part of the graph to look at: which entities, and the facts between them.

Entities are ranked and cut in the engine; what is fetched does not grow with the graph, nor with a
hub's facts. The order is `browse.prominence` and `browse.closeness`, spelled in Cypher.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memory_manager import browse
from memory_manager.browse import Neighbourhood, Node
from memory_manager.graph import rows
from memory_manager.graph.cypher import containing, requiring
from memory_manager.graph.pages import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memory_manager.graph.cypher import Value
    from memory_manager.graph.link import Link, Row
    from memory_manager.model import Fact

_DEGREE = "indegree(n, 'RELATES_TO') + outdegree(n, 'RELATES_TO')"
_SINCE = "e.valid_at <= $at AND (e.invalid_at IS NULL OR e.invalid_at > $at)"
_IDENTITY = "n.type, n.name, n.uuid LIMIT $most"
# After the cut: a degree costs as much as a look at the entity.
_NODE = f" RETURN {rows.ENTITY_COLUMNS}, {_DEGREE}"
_FIRST = ", ".join(f"'{name}'" for name in sorted(browse.FIRST))
_BEST = (
    " WITH n, counted,"
    f" CASE WHEN toLower(n.type) IN [{_FIRST}] THEN 0 ELSE 1 END AS late,"
    " CASE WHEN counted = 0 THEN 1 ELSE 0 END AS lone"
    f" ORDER BY lone, late, counted DESC, {_IDENTITY}{_NODE}"
)
_CLOSEST = f" WITH n, count(e) AS facts ORDER BY facts DESC, {_IDENTITY}{_NODE}"
_CENTER = f"MATCH (n:Entity {{uuid: $uuid}}) WHERE n.name <> ''{_NODE}"
_SPAN = "MATCH (n:Episodic) RETURN min(n.valid_at), max(n.valid_at)"


@dataclass(frozen=True, slots=True)
class Looked:
    """What is asked for; see `Memory.neighbourhood`. `limit` is one that can be kept."""

    center: str | None
    words: tuple[str, ...] | None
    types: tuple[str, ...]
    at: float | None
    limit: int


async def neighbourhood(link: Link, group: str, asked: Looked) -> Neighbourhood:
    """See `Memory.neighbourhood`.

    Raises:
        NoGraphError: the group has no graph.
    """
    (nodes, edges, more), ((first, last),) = await asyncio.gather(
        _picture(link, group, asked), link.read(group, _SPAN)
    )
    return Neighbourhood(
        tuple(nodes),
        edges,
        rows.moment(first) if first else None,
        rows.moment(last) if last else None,
        more,
    )


async def _picture(
    link: Link, group: str, asked: Looked
) -> tuple[list[Node], tuple[Fact, ...], bool]:
    """Entities, facts, and whether there is more of either."""
    if asked.center is not None:
        nodes, more = await _around(link, group, asked, asked.center)
    elif asked.words == ():
        return [], (), False
    else:
        nodes, more = await _best(link, group, asked)
    edges, hidden = await _between(link, group, asked, nodes)
    return nodes, edges, more or hidden


async def _best(link: Link, group: str, asked: Looked) -> tuple[list[Node], bool]:
    parameters: dict[str, Value] = {"most": asked.limit + 1}
    conditions = ["n.name <> ''"]
    if asked.words is not None:
        parameters["words"] = requiring(asked.words)
        start = "CALL db.idx.fulltext.queryNodes('Entity', $words) YIELD node WITH node AS n"
        if asked.types:
            conditions.append("n.type IN $types")
    elif asked.types:
        start = "UNWIND $types AS wanted MATCH (n:Entity {type: wanted})"
    else:
        start = "MATCH (n:Entity)"
    if asked.types:
        parameters["types"] = list[Any](asked.types)
    start += f" WHERE {' AND '.join(conditions)}"
    if asked.at is None:
        start += f" WITH n, {_DEGREE} AS counted"
    else:
        parameters["at"] = rows.stamp(asked.at)
        start += f" MATCH (n)-[e:RELATES_TO]-() WHERE {_SINCE} WITH n, count(e) AS counted"
    found = _nodes(group, await link.read(group, start + _BEST, parameters))
    return found[: asked.limit], len(found) > asked.limit


async def _around(link: Link, group: str, asked: Looked, center: str) -> tuple[list[Node], bool]:
    middle, near = await asyncio.gather(
        link.read(group, _CENTER, {"uuid": center}),
        _beyond(link, group, asked, (center,), (center,)),
    )
    nodes = _nodes(group, middle)
    if not nodes:
        return [], False
    nodes += near
    if len(nodes) > asked.limit:
        return nodes[: asked.limit], True
    through, everyone = browse.passed(near)
    known = [node.entity.uuid for node in nodes]
    far = await _beyond(link, group, asked, through, known)
    room = asked.limit - len(nodes)
    return [*nodes, *far[:room]], not everyone or len(far) > room


async def _beyond(
    link: Link, group: str, asked: Looked, through: Sequence[str], known: Sequence[str]
) -> list[Node]:
    """Neighbours of `through` that are not `known`, closest first; one more than there is room for."""
    if not through or asked.words == ():
        return []
    # Those that are known come too, and are left out here: the engine would look for each in a list.
    most = asked.limit + 1 + len(known)
    parameters: dict[str, Value] = {"through": list[Any](through), "most": most}
    conditions = ["n.name <> ''"]
    if asked.at is not None:
        conditions.append(_SINCE)
        parameters["at"] = rows.stamp(asked.at)
    if asked.types:
        conditions.append("n.type IN $types")
        parameters["types"] = list[Any](asked.types)
    if asked.words is not None:
        conditions.append("all(w IN $words WHERE (' ' + n.terms + ' ') CONTAINS w)")
        parameters["words"] = containing(asked.words)
    statement = (
        # Without a label: with one, the engine begins at all entities (8 s instead of 7 ms).
        "UNWIND $through AS uuid MATCH (c:Entity {uuid: uuid})-[e:RELATES_TO]-(n)"
        f" WHERE {' AND '.join(conditions)}{_CLOSEST}"
    )
    reached = set(known)
    found = _nodes(group, await link.read(group, statement, parameters))
    return [node for node in found if node.entity.uuid not in reached]


async def _between(
    link: Link, group: str, asked: Looked, nodes: Sequence[Node]
) -> tuple[tuple[Fact, ...], bool]:
    """The facts whose ends are both among the nodes, and whether some are left out."""
    if not nodes:
        return (), False
    most = browse.most_edges(asked.limit)
    parameters: dict[str, Value] = {"keys": [node.entity.uuid for node in nodes], "most": most + 1}
    true = ""
    if asked.at is not None:
        true = f" WHERE {_SINCE}"
        parameters["at"] = rows.stamp(asked.at)
    statement = (
        "UNWIND $keys AS k MATCH (n:Entity {uuid: k}) WITH collect(n) AS them"
        f" UNWIND them AS s UNWIND them AS t MATCH (s)-[e:RELATES_TO]->(t){true}"
        " WITH s, t, e ORDER BY e.valid_at DESC, e.uuid WITH s, t, collect(e) AS these"
        f" UNWIND these[0..{browse.PARALLEL}] AS e WITH e, size(these) AS many"
        f" ORDER BY e.valid_at DESC, e.uuid LIMIT $most RETURN {rows.FACT_COLUMNS}, many"
    )
    read = await link.read(group, statement, parameters)
    facts = tuple(told(*rows.fact_of(group, row[:-1])) for row in read[:most])
    return facts, len(read) > most or any(row[-1] > browse.PARALLEL for row in read)


def _nodes(group: str, found: Sequence[Row]) -> list[Node]:
    return [Node(rows.entity_of(group, row[:-1]), int(row[-1])) for row in found]
