"""A group's memory as plain JSON, and back. Pure.

The form is made for NDJSON: four lists of flat records under a header. Reading gives an
`Extraction`, so that restoring is storing, and is as idempotent.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypedDict

from memory_manager.errors import InvalidRequest
from memory_manager.model import Entity, Episode, EventKind, Extraction, Fact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_manager.model import Json

FORMAT = "opencode-graph-memory"
VERSION = 1


class Export(TypedDict):
    """`facts[n].ended_at` is the fact's own end; `invalid_at` the one its chain comes to."""

    format: str
    version: int
    group: str
    episodes: list[dict[str, Json]]
    entities: list[dict[str, Json]]
    facts: list[dict[str, Json]]
    mentions: list[dict[str, Json]]


def exported(
    group: str,
    episodes: Iterable[Episode],
    entities: Iterable[Entity],
    facts: Iterable[tuple[Fact, float | None]],
    mentions: Iterable[tuple[str, str]],
) -> Export:
    """Everything, sorted, so that equal memories give equal exports. `facts`: fact, its end."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "group": group,
        "episodes": [_plain(episode) for episode in sorted(episodes, key=lambda e: (e.at, e.uuid))],
        "entities": [
            _plain(entity) for entity in sorted(entities, key=lambda e: (e.type, e.name, e.uuid))
        ],
        "facts": [
            _plain(fact) | {"ended_at": fact.invalid_at, "invalid_at": until}
            for fact, until in sorted(facts, key=lambda pair: (pair[0].valid_at, pair[0].uuid))
        ],
        "mentions": [{"episode": one, "entity": other} for one, other in sorted(mentions)],
    }


def imported(data: Export, group: str | None = None) -> Extraction:
    """What storing an export takes. Scoped facts come back as they were.

    Args:
        data: an export, as `json.loads` gives it.
        group: the group to restore into (default: the one it came from). Identifiers are kept.

    Raises:
        InvalidRequest: it is no export, or one of another version.
    """
    try:
        if data["format"] != FORMAT or data["version"] != VERSION:
            raise InvalidRequest(f"not an export of version {VERSION} of {FORMAT}")
        own = {"group": group or data["group"]}
        return Extraction(
            group=own["group"],
            episodes=tuple(_episode(record, own) for record in data["episodes"]),
            entities=tuple(Entity(**_values(record, own)) for record in data["entities"]),
            facts=tuple(_fact(record, own) for record in data["facts"]),
            mentions=tuple((str(r["episode"]), str(r["entity"])) for r in data["mentions"]),
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise InvalidRequest(f"the export is damaged: {fault!r}") from fault


def _plain(value: Episode | Entity | Fact) -> dict[str, Json]:
    return {
        each.name: _json(getattr(value, each.name))
        for each in fields(value)
        if each.name != "group"
    }


def _json(value: Any) -> Json:  # noqa: ANN401 - a field of any of our values
    if isinstance(value, tuple):
        return list(value)
    if hasattr(value, "items"):
        return dict(value)
    return str(value) if isinstance(value, EventKind) else value


def _values(record: dict[str, Json], own: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
    }
    return found | own


def _episode(record: dict[str, Json], own: dict[str, str]) -> Episode:
    values = _values(record, own)
    return Episode(**values | {"kind": EventKind(values["kind"])})


def _fact(record: dict[str, Json], own: dict[str, str]) -> Fact:
    values = _values(record, own)
    ended = values.pop("ended_at")
    return Fact(**values | {"invalid_at": ended})
