"""The pieces that schemas are made of: texts, numbers, objects, lists. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_manager.spool.batches import BatchState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_manager.model import Json

type Schema = dict[str, Json]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
FLAG: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object"}
TEXTS: Schema = {"type": "array", "items": TEXT}
NEXT: Schema = {"type": ["string", "null"], "description": "The next page's `before`."}
MOMENT: Schema = {"type": ["number", "null"], "description": "Seconds since the epoch."}
STATES: Schema = {
    "type": "object",
    "propertyNames": {"enum": [str(state) for state in BatchState]},
    "additionalProperties": COUNT,
    "description": "Batches by state; a state that none is in may be left out.",
}


def strings(names: Iterable[str]) -> Schema:
    """One of these texts."""
    return {"type": "string", "enum": list(names)}


def thing(properties: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with all of `properties`, and perhaps some of `optional`."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": {**properties, **(optional or {})},
    }


def many(name: str) -> Schema:
    """A list of what stands under `name`."""
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
