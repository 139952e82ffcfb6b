"""Finding candidates: every channel in one round trip, `LIMIT` before anything is fetched.

One statement is a `UNION ALL` of channels with the same columns; which channels are in it depends
on the question (no words: no full text; no vector: no neighbours in meaning), so there are few
different statements and the engine has their plans cached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memory_manager import rank
from memory_manager.graph import rows
from memory_manager.graph.cypher import asking, vector
from memory_manager.hits import NAMED_FROM, TEXT_LIMIT, names_in
from memory_manager.model import Hit
from memory_manager.rank import Candidate, Channel

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    from memory_manager.graph.cypher import Value
    from memory_manager.graph.link import Link, Row
    from memory_manager.model import Query

#: Candidates of each channel. Ranking needs a few times what is asked for (5, as a rule).
_EPISODES, _FACTS, _VECTORS = 24, 16, 24
#: With a time or a session given, the nearest vectors may all be newer or its own: look further.
_VECTORS_AT = 200
#: Entities that a question's words may name, and what is taken of their neighbourhood, newest first.
_ENTITIES, _NEIGHBOURS = 6, 24

_EPISODE = (
    f" RETURN '{{channel}}' AS channel, score, anchor, n.uuid AS uuid, n.kind AS kind,"
    f" left(n.content, {TEXT_LIMIT}) AS text, n.valid_at AS at, n.session AS session,"
    " [n.event_id] AS events, n.paths AS paths, n.source_description AS source, null AS until"
)
_FACT = (
    f" RETURN '{{channel}}' AS channel, score, anchor, e.uuid AS uuid, 'fact' AS kind,"
    f" left(e.fact, {TEXT_LIMIT}) AS text, e.valid_at AS at, e.session AS session,"
    " e.event_ids AS events, e.paths AS paths, e.name AS source, e.invalid_at AS until"
)


def _where(*conditions: str) -> str:
    held = [condition for condition in conditions if condition]
    return f" WHERE {' AND '.join(held)}" if held else ""


def _statement(*, words: bool, names: bool, vectors: bool, at: bool, without: bool) -> str:
    then = _where(
        "n.valid_at <= $at" if at else "",
        "NOT (n.session = $without AND n.valid_at > $since)" if without else "",
    )
    known = "e.valid_at <= $at AND (e.invalid_at IS NULL OR e.invalid_at > $at)" if at else ""
    others = "NOT (e.session = $without AND e.valid_at > $since)" if without else ""
    # What a full text of the present finds, holds at present.
    true, found = _where(known or "e.invalid_at IS NULL", others), _where(known, others)
    parts: list[str] = []
    if words:
        parts += [
            "CALL db.idx.fulltext.queryNodes('Episodic', $words) YIELD node, score"
            f" WITH node AS n, score, '' AS anchor{then}"
            f" WITH n, score, anchor ORDER BY score DESC LIMIT {_EPISODES}"
            + _EPISODE.format(channel="text"),
            "CALL db.idx.fulltext.queryRelationships('RELATES_TO', $fact_words)"
            " YIELD relationship, score WITH relationship AS e, score, '' AS anchor"
            f"{found} WITH e, score, anchor ORDER BY score DESC LIMIT {_FACTS}"
            + _FACT.format(channel="text"),
        ]
        named = (
            "CALL db.idx.fulltext.queryNodes('Entity', $words) YIELD node, score"
            f" WITH node AS a, score ORDER BY score DESC LIMIT {_ENTITIES}"
        )
        parts += _around(named, "near", true, then)
    if names:
        named = (
            "UNWIND $names AS name MATCH (a:Entity {name: name})"
            f" WITH a, 1.0 AS score LIMIT {_ENTITIES}"
        )
        parts += _around(named, "named", true, then)
    if vectors:
        count = _VECTORS_AT if at or without else _VECTORS
        parts.append(
            f"CALL db.idx.vector.queryNodes('Episodic', 'content_embedding', {count},"
            f" vecf32($vector)) YIELD node, score WITH node AS n, 1.0 - score AS score,"
            f" '' AS anchor{then}" + _EPISODE.format(channel="vector")
        )
    return " UNION ALL ".join(parts)


def _around(named: str, channel: str, true: str, then: str) -> list[str]:
    """One hop from the entities `a`: their facts, and the episodes that mention them."""
    return [
        f"{named} MATCH (a)-[e:RELATES_TO]-() WITH e, score, a.name AS anchor{true}"
        f" WITH e, score, anchor ORDER BY e.valid_at DESC LIMIT {_NEIGHBOURS}"
        + _FACT.format(channel=channel),
        f"{named} MATCH (a)<-[:MENTIONS]-(n:Episodic) WITH n, score, a.name AS anchor{then}"
        f" WITH n, score, anchor ORDER BY n.valid_at DESC LIMIT {_NEIGHBOURS}"
        + _EPISODE.format(channel=channel),
    ]


_STATEMENTS = {
    (words, names, vectors, at, without): _statement(
        words=words, names=names, vectors=vectors, at=at, without=without
    )
    for words in (False, True)
    for names in (False, True)
    for vectors in (False, True)
    for at in (False, True)
    for without in (False, True)
    if words or names or vectors
}


async def candidates(
    link: Link, query: Query, asked: rank.Question, placed: npt.NDArray[np.float32] | None
) -> list[Candidate]:
    """What may answer. `placed` is the question's vector (None: search without).

    Raises:
        NoGraphError: the group has no graph.
    """
    names = names_in(query)
    words = asking(asked.words)
    which = (
        bool(words), bool(names), placed is not None, query.at is not None, bool(query.without),
    )  # fmt: skip
    statement = _STATEMENTS.get(which)
    if statement is None:
        return []
    parameters: dict[str, Value] = {}
    if words:
        parameters["words"] = words
        # What holds now is in `terms` alone; what held once is in `past_terms`.
        parameters["fact_words"] = words if query.at is not None else f"@terms:({words})"
    if names:
        parameters["names"] = list[Any](names)
    if placed is not None:
        parameters["vector"] = vector(placed)
    if query.at is not None:
        parameters["at"] = rows.stamp(query.at)
    if query.without:
        parameters["without"] = query.without
        parameters["since"] = rows.stamp(query.since)
    found = await link.read(query.group, statement, parameters)
    return list(_weighed(asked, found))


def _weighed(asked: rank.Question, found: list[Row]) -> Iterator[Candidate]:
    sure: dict[str, float] = {}
    for channel, score, anchor, *rest in found:
        match channel:
            case "text":
                evidence = {Channel.TEXT: float(score)}
            case "vector":
                evidence = {Channel.VECTOR: float(score)}
            case "named":
                evidence = {Channel.NEAR: 1.0}
            case _:
                if anchor not in sure:
                    sure[anchor] = rank.naming(asked.words, anchor)
                if sure[anchor] < NAMED_FROM:
                    continue
                evidence = {Channel.NEAR: sure[anchor]}
        yield Candidate(_hit(tuple(rest)), evidence)


def _hit(row: Row) -> Hit:
    uuid, kind, text, at, session, events, paths, source, until = row
    return Hit(
        uuid=uuid,
        kind=kind or "note",
        text=text or "",
        at=rows.moment(at) if at else 0.0,
        score=0.0,
        session=session or "",
        event_ids=tuple(event for event in events or () if event),
        paths=tuple(paths or ()),
        source=source or "",
        invalid_at=rows.moment(until) if until else None,
    )
