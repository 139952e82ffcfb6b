"""Values of memory, spool and ledger as the JSON that operators and the page get. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING

from bridge import params as given
from memory_manager.errors import InvalidRequest
from memory_manager.extract.episodes import episode_of, worth_keeping
from memory_manager.model import EventKind, iso
from memory_manager.spool.batches import BatchState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.ledger import Injection
    from bridge.params import Params
    from memory_manager.model import Episode, Fact, Hit, Json
    from memory_manager.spool.batches import Row
    from metrics.totals import Series

#: Characters of an episode's text in a list.
_LISTED_TEXT = 2000
#: A share of a score from which a channel is worth naming.
_TELLING = 0.05


def states(batches: Mapping[BatchState, int]) -> dict[str, Json]:
    return {str(state): batches[state] for state in BatchState if batches.get(state)}


def age(since: float | None, now: float) -> float:
    return 0.0 if since is None else round(max(0.0, now - since), 3)


def episodes_of(rows: Iterable[Row]) -> list[Episode]:
    """What those of the rows that are worth keeping make. Of large ones it takes long."""
    return [episode_of(row.event) for row in rows if worth_keeping(row.event)]


def newest_first(episode: Mapping[str, Json]) -> tuple[float, str]:
    return -float(str(episode["at"])), str(episode["uuid"])


def listed(episode: Episode, *, pending: bool) -> dict[str, Json]:
    return {**whole(episode, pending=pending), "text": episode.content[:_LISTED_TEXT]}


def whole(episode: Episode, *, pending: bool) -> dict[str, Json]:
    tags = episode.metadata.get("tags")
    return {
        "uuid": episode.uuid,
        "event_id": episode.event_id,
        "session": episode.session,
        "kind": str(episode.kind),
        "name": episode.name,
        "text": episode.content,
        "at": episode.at,
        "paths": list(episode.paths),
        "tags": tags if isinstance(tags, list) else [],
        "source": episode.source,
        "pending": pending,
        "metadata": dict(episode.metadata),
    }


def fact(fact: Fact) -> dict[str, Json]:
    return {
        "uuid": fact.uuid,
        "source": fact.source,
        "target": fact.target,
        "relation": fact.relation,
        "text": fact.text,
        "valid_at": fact.valid_at,
        "invalid_at": fact.invalid_at,
    }


def explained(hit: Hit, *, included: bool) -> dict[str, Json]:
    scores = dict(zip(("text", "vector", "near"), hit.shares, strict=False))
    telling = [name for name, share in scores.items() if share >= _TELLING]
    return {
        "uuid": hit.uuid,
        "kind": hit.kind,
        "text": hit.text,
        "time": iso(hit.at),
        "score": round(hit.score, 4),
        "scores": {name: round(share, 4) for name, share in scores.items()},
        "session": hit.session,
        "paths": list(hit.paths),
        "source": hit.source,
        "invalid_at": None if hit.invalid_at is None else iso(hit.invalid_at),
        "included": included,
        "why": _WHY[included].format(", ".join(map(_CHANNELS.__getitem__, telling)) or "little"),
    }


_CHANNELS = {"text": "its words", "vector": "its meaning", "near": "what it is about"}
_WHY = {
    True: "given: matches by {}",
    False: "found, but left out: the budget was full (matches by {})",
}


def injection(row: Injection, names: Mapping[str, str]) -> dict[str, Json]:
    return {
        "session": row.session,
        "message": row.message,
        "group": row.group,
        "project": names.get(row.group, ""),
        "at": row.at,
        "outcome": row.outcome,
        "tokens": row.tokens,
        "block": row.block,
    }


def series(series: Series) -> dict[str, Json]:
    name, tags = series
    return {"name": name, "tags": dict(tags)}


def kind(name: str | None) -> EventKind | None:
    if name is None:
        return None
    try:
        return EventKind(name)
    except ValueError:
        raise InvalidRequest(f"kind: {name[:40]!r} is none of {', '.join(EventKind)}") from None


def cursor(at: float, *names: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([at, *names]).encode()).decode().rstrip("=")


def uncursor(params: Params) -> tuple[float, str, str] | None:
    text = given.text(params, "before")
    if not text:
        return None
    try:
        at, *names = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        first, second = (str(name) for name in names)
        return float(at), first, second
    except (ValueError, TypeError, binascii.Error):
        raise InvalidRequest("before: not a cursor; send what `next` gave") from None
