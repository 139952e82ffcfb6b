"""Graphiti's own searches on our indices, through its `SearchInterface`.

The stock queries read whole entities before they cut the list, filter by `group_id` (five times
slower in a graph that holds one group), and turn some texts into syntax errors.
"""

from __future__ import annotations

from typing import Any

from graphiti_core.driver.driver import GraphProvider
from graphiti_core.driver.search_interface.search_interface import SearchInterface
from graphiti_core.edges import get_entity_edge_from_record
from graphiti_core.models.edges.edge_db_queries import get_entity_edge_return_query
from graphiti_core.models.nodes.node_db_queries import (
    EPISODIC_NODE_RETURN,
    get_entity_node_return_query,
)
from graphiti_core.nodes import get_entity_node_from_record, get_episodic_node_from_record
from graphiti_core.search.search_filters import (
    edge_search_filter_query_constructor,
    node_search_filter_query_constructor,
)

from memory_manager.graph.cypher import asking
from memory_manager.terms import terms

_FALKORDB = GraphProvider.FALKORDB
_COSINE = "(2 - vec.cosineDistance({what}, vecf32($vector)))/2"


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


class ProjectSearch(SearchInterface):
    """Full text and cosine over one group's graph. What is not here, Graphiti does itself.

    `group_ids` is not looked at: a driver's graph holds one group.
    """

    async def edge_fulltext_search(
        self,
        driver: Any,  # noqa: ANN401 - untyped library
        query: str,
        search_filter: Any,  # noqa: ANN401
        group_ids: list[str] | None = None,  # noqa: ARG002
        limit: int = 100,
    ) -> list[Any]:
        words = asking(terms(query))
        conditions, parameters = edge_search_filter_query_constructor(search_filter, _FALKORDB)
        if not words:
            return []
        statement = (
            "CALL db.idx.fulltext.queryRelationships('RELATES_TO', $words)"
            " YIELD relationship, score"
            " WITH relationship AS e, score, startNode(relationship) AS n,"
            f" endNode(relationship) AS m{_where(conditions)}"
            " WITH e, n, m, score ORDER BY score DESC LIMIT $limit"
            f" RETURN {get_entity_edge_return_query(_FALKORDB)}"
        )
        found, _, _ = await driver.execute_query(
            statement, words=words, limit=limit, routing_="r", **parameters
        )
        return [get_entity_edge_from_record(record, _FALKORDB) for record in found]

    async def edge_similarity_search(  # noqa: PLR0913, PLR0917 - Graphiti's signature
        self,
        driver: Any,  # noqa: ANN401 - untyped library
        search_vector: list[float],
        source_node_uuid: str | None,
        target_node_uuid: str | None,
        search_filter: Any,  # noqa: ANN401
        group_ids: list[str] | None = None,  # noqa: ARG002
        limit: int = 100,
        min_score: float = 0.7,
    ) -> list[Any]:
        conditions, parameters = edge_search_filter_query_constructor(search_filter, _FALKORDB)
        for name, variable, uuid in (
            ("source_uuid", "n", source_node_uuid),
            ("target_uuid", "m", target_node_uuid),
        ):
            if uuid is not None:
                conditions.append(f"{variable}.uuid = ${name}")
                parameters[name] = uuid
        conditions.append("e.fact_embedding IS NOT NULL")
        cosine = _COSINE.format(what="e.fact_embedding")
        statement = (
            f"MATCH (n:Entity)-[e:RELATES_TO]->(m:Entity){_where(conditions)}"
            f" WITH e, n, m, {cosine} AS score WHERE score > $least"
            " WITH e, n, m, score ORDER BY score DESC LIMIT $limit"
            f" RETURN {get_entity_edge_return_query(_FALKORDB)}"
        )
        found, _, _ = await driver.execute_query(
            statement,
            vector=search_vector,
            least=min_score,
            limit=limit,
            routing_="r",
            **parameters,
        )
        return [get_entity_edge_from_record(record, _FALKORDB) for record in found]

    async def node_fulltext_search(
        self,
        driver: Any,  # noqa: ANN401 - untyped library
        query: str,
        search_filter: Any,  # noqa: ANN401
        group_ids: list[str] | None = None,  # noqa: ARG002
        limit: int = 100,
    ) -> list[Any]:
        words = asking(terms(query))
        conditions, parameters = node_search_filter_query_constructor(search_filter, _FALKORDB)
        if not words:
            return []
        statement = (
            "CALL db.idx.fulltext.queryNodes('Entity', $words) YIELD node, score"
            f" WITH node AS n, score{_where(conditions)}"
            " WITH n, score ORDER BY score DESC LIMIT $limit"
            f" RETURN {get_entity_node_return_query(_FALKORDB)}"
        )
        found, _, _ = await driver.execute_query(
            statement, words=words, limit=limit, routing_="r", **parameters
        )
        return [get_entity_node_from_record(record, _FALKORDB) for record in found]

    async def node_similarity_search(  # noqa: PLR0913, PLR0917 - Graphiti's signature
        self,
        driver: Any,  # noqa: ANN401 - untyped library
        search_vector: list[float],
        search_filter: Any,  # noqa: ANN401
        group_ids: list[str] | None = None,  # noqa: ARG002
        limit: int = 100,
        min_score: float = 0.7,
    ) -> list[Any]:
        conditions, parameters = node_search_filter_query_constructor(search_filter, _FALKORDB)
        conditions.append("n.name_embedding IS NOT NULL")
        statement = (
            f"MATCH (n:Entity){_where(conditions)}"
            f" WITH n, {_COSINE.format(what='n.name_embedding')} AS score WHERE score > $least"
            " WITH n, score ORDER BY score DESC LIMIT $limit"
            f" RETURN {get_entity_node_return_query(_FALKORDB)}"
        )
        found, _, _ = await driver.execute_query(
            statement,
            vector=search_vector,
            least=min_score,
            limit=limit,
            routing_="r",
            **parameters,
        )
        return [get_entity_node_from_record(record, _FALKORDB) for record in found]

    async def episode_fulltext_search(
        self,
        driver: Any,  # noqa: ANN401 - untyped library
        query: str,
        search_filter: Any,  # noqa: ANN401, ARG002
        group_ids: list[str] | None = None,  # noqa: ARG002
        limit: int = 100,
    ) -> list[Any]:
        words = asking(terms(query))
        if not words:
            return []
        statement = (
            "CALL db.idx.fulltext.queryNodes('Episodic', $words) YIELD node, score"
            " WITH node AS e, score ORDER BY score DESC LIMIT $limit"
            f" RETURN {EPISODIC_NODE_RETURN}"
        )
        found, _, _ = await driver.execute_query(statement, words=words, limit=limit, routing_="r")
        return [get_episodic_node_from_record(record) for record in found]
