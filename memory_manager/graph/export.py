"""Reading a whole group, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memory_manager.graph import rows
from memory_manager.graph.link import NoGraphError
from memory_manager.memory import Size
from memory_manager.portable import Export, exported

if TYPE_CHECKING:
    from memory_manager.graph.link import Link, Row
    from memory_manager.model import Entity

#: Rows of one answer; an episode can be long.
_PAGE = 500

_EPISODES = (
    "MATCH (n:Episodic) WHERE n.uuid > $after"
    f" WITH n ORDER BY n.uuid LIMIT {_PAGE} RETURN {rows.EPISODE_COLUMNS}"
)
_ENTITIES = (
    "MATCH (n:Entity) WHERE n.uuid > $after AND n.name <> ''"
    f" WITH n ORDER BY n.uuid LIMIT {_PAGE} RETURN {rows.ENTITY_COLUMNS}"
)
_FACTS = (
    "MATCH ()-[e:RELATES_TO]->() WHERE e.uuid > $after"
    f" WITH e ORDER BY e.uuid LIMIT {_PAGE} RETURN {rows.FACT_COLUMNS}"
)
_MENTIONS = (
    "MATCH (n:Episodic) WHERE n.uuid > $after"
    f" WITH n ORDER BY n.uuid LIMIT {_PAGE} OPTIONAL MATCH (n)-[:MENTIONS]->(m:Entity)"
    " RETURN n.uuid, m.uuid"
)
_COUNTS = (
    "MATCH (n:Episodic) RETURN count(n) AS many"
    " UNION ALL MATCH (n:Entity) WHERE n.name <> '' RETURN count(n) AS many"
    " UNION ALL MATCH ()-[e:RELATES_TO]->() RETURN count(e) AS many"
    " UNION ALL MATCH ()-[e:MENTIONS]->() RETURN count(e) AS many"
)
_NAMED = (
    "MATCH (n:Entity) WHERE n.name <> ''{only}"
    f" WITH n ORDER BY n.type, n.name, n.uuid LIMIT $limit RETURN {rows.ENTITY_COLUMNS}"
)


async def export(link: Link, group: str) -> Export:
    """Everything of the group; empty lists when it has no graph."""
    try:
        episodes = await _pages(link, group, _EPISODES)
        entities = await _pages(link, group, _ENTITIES)
        facts = await _pages(link, group, _FACTS)
        mentions = await _pages(link, group, _MENTIONS)
    except NoGraphError:
        return exported(group, (), (), (), ())
    return exported(
        group,
        (rows.episode_of(group, row) for row in episodes),
        (rows.entity_of(group, row) for row in entities),
        (rows.fact_of(group, row) for row in facts),
        ((row[0], row[1]) for row in mentions if row[1]),
    )


async def _pages(link: Link, group: str, statement: str) -> list[Row]:
    found: list[Row] = []
    after = ""
    while page := await link.read(group, statement, {"after": after}):
        found += page
        after = max(str(row[0]) for row in page)
    return found


async def size(link: Link, group: str) -> Size:
    """Counts; all 0 when the group has no graph."""
    try:
        return Size(*(int(row[0]) for row in await link.read(group, _COUNTS)))
    except NoGraphError:
        return Size()


async def entities(link: Link, group: str, type_: str | None, limit: int) -> tuple[Entity, ...]:
    """Ordered by type and name; none when the group has no graph."""
    only = "" if type_ is None else " AND n.type = $type"
    parameters: dict[str, Any] = {"limit": max(0, limit)}
    if type_ is not None:
        parameters["type"] = type_
    try:
        found = await link.read(group, _NAMED.format(only=only), parameters)
    except NoGraphError:
        return ()
    return tuple(rows.entity_of(group, row) for row in found)
