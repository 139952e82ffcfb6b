"""Our values as properties of Graphiti's nodes and edges, and back. Pure.

Graphiti's own properties keep its names and meanings (`uuid`, `name`, `group_id`, `content`,
`valid_at`, `fact`…), so that its classes read the graph. Ours beside them:

* Episodic: `event_id`, `session`, `kind`, `paths`, `metadata` (JSON), `terms` (what full text
  searches), `content_embedding`, `digest` (of all of it: an unchanged episode is not written again)
* Entity: `type` (also a label), `attributes` (JSON), `terms`
* RELATES_TO: `session`, `scope`, `closes` (with digests `scope_key`, `chain_key`, which are
  indexed), `event_ids`, `paths`, `branch`, `commit`, `ended_at` (the fact's own end; `invalid_at`
  is the one that counts), and `terms`, which a superseded fact has as `past_terms`: a search for
  what holds now neither finds nor pays for what once held

Times are ISO 8601 strings in UTC as Graphiti writes them, to the microsecond; they sort as text.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from memory_manager.errors import InvalidRequest
from memory_manager.graph.cypher import indexed
from memory_manager.hits import searchable
from memory_manager.merge import Link
from memory_manager.model import Entity, Episode, EventKind, Fact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_manager.graph.cypher import Value

type Properties = dict[str, Value]

_NOT_LABEL = re.compile(r"[^0-9A-Za-z]+")
#: Labels that mean something to Graphiti.
_TAKEN = {"Entity", "Episodic", "Community", "Saga"}
_SPOKEN = {EventKind.PROMPT, EventKind.MESSAGE}

#: Columns of a fact `e` from `s` to `t`, in the order that `fact_of` reads.
FACT_COLUMNS = (
    "e.uuid, startNode(e).uuid, endNode(e).uuid, e.name, e.fact, e.valid_at, e.ended_at, e.session,"
    " e.scope, e.closes, e.episodes, e.event_ids, e.paths, e.branch, e.commit, e.invalid_at"
)
#: Columns of an entity `n`, in the order that `entity_of` reads.
ENTITY_COLUMNS = "n.uuid, n.type, n.name, n.attributes"
#: Columns of an episode `n`, in the order that `episode_of` reads.
EPISODE_COLUMNS = (
    "n.uuid, n.session, n.event_id, n.kind, n.name, n.content, n.source_description, n.valid_at,"
    " n.paths, n.metadata"
)


def stamp(at: float) -> str:
    """Seconds since the epoch as Graphiti's text.

    Raises:
        InvalidRequest: no calendar has that time.
    """
    try:
        return datetime.fromtimestamp(at, UTC).isoformat()
    except (OverflowError, ValueError, OSError) as fault:
        raise InvalidRequest(f"not a time: {at}") from fault


def moment(text: str) -> float:
    """The inverse of `stamp`."""
    return datetime.fromisoformat(text).timestamp()


def key(text: str) -> str:
    """A digest that stands for a text of any kind in an index."""
    return blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()


def key_or_none(text: str | None) -> str | None:
    """The same; nothing is indexed of a fact without a scope or a chain."""
    return key(text) if text else None


def label(type_: str) -> str:
    """The label of an entity type: `error_type` becomes `ErrorType`; "" when it can have none."""
    words = [word for word in _NOT_LABEL.split(type_) if word]
    name = "".join(word[:1].upper() + word[1:] for word in words)[:64]
    return name if name[:1].isalpha() and name not in _TAKEN else ""


def fact_words(text: str, paths: Iterable[str]) -> str:
    """What full text searches of a fact."""
    return indexed(" ".join([text, *(path for path in paths if path not in text)]))


def episode_properties(episode: Episode, edges: list[str], embedder: str) -> Properties:
    """Properties of its node. `edges`: uuids of the facts that it is a source of."""
    at = stamp(episode.at)
    properties: Properties = {
        "uuid": episode.uuid,
        "name": episode.name,
        "group_id": episode.group,
        "source": "message" if episode.kind in _SPOKEN else "text",
        "source_description": episode.source,
        "content": episode.content,
        "entity_edges": list[Any](edges),
        "created_at": at,
        "valid_at": at,
        "event_id": episode.event_id,
        "session": episode.session,
        "kind": str(episode.kind),
        "paths": list[Any](episode.paths),
        "metadata": _json(dict(episode.metadata)),
    }
    properties["digest"] = key(_json([properties, embedder]))
    properties["terms"] = indexed(searchable(episode))
    return properties


def entity_properties(entity: Entity, since: float) -> Properties:
    """Properties of its node. `since` is only told to Graphiti, as `created_at`."""
    return {
        "uuid": entity.uuid,
        "name": entity.name,
        "group_id": entity.group,
        "summary": "",
        "created_at": stamp(since),
        "type": entity.type,
        "attributes": _json(dict(entity.attributes)),
        "terms": indexed(entity.name),
    }


def fact_properties(fact: Fact, until: float | None) -> Properties:
    """Properties of its edge. `until` is the end that counts."""
    at = stamp(fact.valid_at)
    end = stamp(until) if until is not None else None
    words = fact_words(fact.text, fact.paths)
    return {
        "uuid": fact.uuid,
        "name": fact.relation,
        "fact": fact.text,
        "group_id": fact.group,
        "episodes": list[Any](fact.episodes),
        "created_at": at,
        "valid_at": at,
        "invalid_at": end,
        "expired_at": end,
        "ended_at": stamp(fact.invalid_at) if fact.invalid_at is not None else None,
        "session": fact.session,
        "scope": fact.scope,
        "closes": fact.closes,
        "scope_key": key_or_none(fact.scope),
        "chain_key": key_or_none(fact.closes),
        "event_ids": list[Any](fact.event_ids),
        "paths": list[Any](fact.paths),
        "branch": fact.branch,
        "commit": fact.commit,
        "terms": words if until is None else None,
        "past_terms": words if until is not None else None,
    }


def episode_of(group: str, row: tuple[Any, ...]) -> Episode:
    uuid, session, event_id, kind, name, content, source, at, paths, metadata = row
    return Episode(
        uuid=uuid,
        group=group,
        session=session or "",
        event_id=event_id or "",
        kind=EventKind(kind) if kind else EventKind.NOTE,
        name=name,
        content=content,
        source=source or "",
        at=moment(at),
        paths=tuple(paths or ()),
        metadata=json.loads(metadata or "{}"),
    )


def entity_of(group: str, row: tuple[Any, ...]) -> Entity:
    uuid, type_, name, attributes = row
    return Entity(uuid, group, type_ or "entity", name, json.loads(attributes or "{}"))


def fact_of(group: str, row: tuple[Any, ...]) -> tuple[Fact, float | None]:
    """The fact, and the end that counts."""
    fact = Fact(
        uuid=row[0],
        group=group,
        source=row[1],
        target=row[2],
        relation=row[3],
        text=row[4],
        valid_at=moment(row[5]) if row[5] else 0.0,
        invalid_at=moment(row[6]) if row[6] else None,
        session=row[7] or "",
        scope=row[8] or "",
        closes=row[9] or "",
        episodes=tuple(row[10] or ()),
        event_ids=tuple(row[11] or ()),
        paths=tuple(row[12] or ()),
        branch=row[13] or "",
        commit=row[14] or "",
    )
    return fact, moment(row[15]) if row[15] else None


def link_of(row: tuple[Any, ...]) -> Link:
    """A chain's link from (uuid, valid_at, ended_at, invalid_at)."""
    uuid, since, ended, until = row
    return Link(
        uuid,
        moment(since),
        moment(ended) if ended else None,
        moment(until) if until else None,
    )


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
