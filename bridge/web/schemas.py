"""What the answers look like, as JSON Schema by name. Pure.

Every property that is named is always there; more may come, so clients ignore what they don't know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.hooks import Outcome
from bridge.web.answers import MEANINGS
from memory_manager import contract
from memory_manager.model import EventKind
from memory_manager.spool.batches import BatchState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_manager.model import Json

type Schema = dict[str, Json]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
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


_EPISODE: dict[str, Schema] = {
    "uuid": TEXT,
    "event_id": TEXT,
    "session": TEXT,
    "kind": strings(EventKind),
    "name": TEXT,
    "text": TEXT,
    "at": NUMBER,
    "paths": TEXTS,
    "tags": TEXTS,
    "source": TEXT,
    "pending": FLAG,
}
_TOLD: dict[str, Schema] = {"name": TEXT, "tags": {"type": "object", "additionalProperties": TEXT}}
_WORDS = ("live", "no-cache", "no-graph", "spool-only")
_MAYBE_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
_SERIES = thing({**_TOLD, "value": NUMBER})

SCHEMAS: dict[str, Schema] = {
    "Error": thing(
        {
            "error": thing(
                {
                    "code": strings(sorted({code for code, _ in MEANINGS.values()} | {"corrupt"})),
                    "message": TEXT,
                }
            )
        }
    ),
    "Event": {
        **thing(
            {"content": TEXT},
            {
                "event_id": {"type": "string", "maxLength": 1024},
                "session_id": {"type": "string", "maxLength": 1024},
                "kind": strings(kind for kind in EventKind if kind is not EventKind.SUMMARY),
                "at": {
                    "oneOf": [NUMBER, {"type": "string", "format": "date-time"}],
                    "description": "Seconds or milliseconds since the epoch, or ISO 8601.",
                },
                "metadata": {"type": "object"},
            },
        ),
        "description": "What happened. Without an `event_id` every delivery is an event of its own.",
    },
    "Ingested": thing(
        {"inserted": COUNT, "received": COUNT, "duplicates": COUNT, "ignored": COUNT},
        {"note": TEXT},
    ),
    "Backlog": thing(
        {
            "pending": COUNT,
            "oldest_age_s": NUMBER,
            "degradation": TEXT,
            "disk": TEXT,
            "batches": STATES,
            "sessions": many("SessionBacklog"),
            "more": COUNT,
        }
    ),
    "SessionBacklog": thing(
        {
            "group": TEXT,
            "project": TEXT,
            "session": TEXT,
            "title": TEXT,
            "pending": COUNT,
            "oldest_age_s": NUMBER,
            "cursor": COUNT,
            "batches": STATES,
            "attempts": COUNT,
            "error": TEXT,
            "retry_at": MOMENT,
        }
    ),
    "Retried": thing({"retried": COUNT}),
    "Flushed": thing(
        {"batches": COUNT, "episodes": COUNT, "skipped": COUNT, "failed": COUNT, "errors": TEXTS}
    ),
    "HookReply": thing(
        {"outcome": strings(Outcome)},
        {
            "context": TEXT,
            "tokens": COUNT,
            "note": TEXT,
            "blocks": {"type": "object", "additionalProperties": TEXT},
        },
    ),
    "Hello": thing(
        {
            "version": TEXT,
            "protocol": COUNT,
            "cache": thing({"kind": strings(("socket", "tcp")), "at": TEXT, "up": FLAG}),
            "inject": strings(("message", "system", "off")),
            "disabled": FLAG,
            "chat_deadline_ms": COUNT,
            "hook_deadline_ms": COUNT,
            "tools": FLAG,
            "opted_out": FLAG,
        }
    ),
    "Streamed": thing(
        {"received": COUNT, "accepted": COUNT, "duplicates": COUNT, "failed": COUNT},
        {"note": TEXT},
    ),
    "ToolText": thing({"text": TEXT}),
    "Done": ANY,
    "Projects": thing({"projects": many("Project")}),
    "Project": thing(
        {
            "group": TEXT,
            "name": TEXT,
            "root": TEXT,
            "sessions": COUNT,
            "events": COUNT,
            "pending": COUNT,
            "last_at": MOMENT,
        }
    ),
    "Sessions": thing({"sessions": many("Session"), "next": NEXT}),
    "Session": thing(
        {
            "group": TEXT,
            "project": TEXT,
            "session": TEXT,
            "title": TEXT,
            "first_at": MOMENT,
            "last_at": MOMENT,
            "events": COUNT,
            "pending": COUNT,
            "summary": TEXT,
            "tags": TEXTS,
        }
    ),
    "Episodes": thing({"episodes": many("Episode"), "next": NEXT}),
    "Episode": thing(_EPISODE, {"metadata": ANY}),
    "WholeEpisode": thing({**_EPISODE, "metadata": ANY, "facts": many("Fact")}),
    "Fact": thing(
        {
            "uuid": TEXT,
            "source": TEXT,
            "target": TEXT,
            "relation": TEXT,
            "text": TEXT,
            "valid_at": MOMENT,
            "invalid_at": MOMENT,
        }
    ),
    "Explained": thing(
        {
            "cache": TEXT,
            "complete": FLAG,
            "ms": NUMBER,
            "tokens": COUNT,
            "budget": COUNT,
            "block": TEXT,
            "hits": many("Hit"),
        }
    ),
    "Hit": thing(
        {
            "uuid": TEXT,
            "kind": TEXT,
            "text": TEXT,
            "time": TEXT,
            "score": NUMBER,
            "scores": {"type": "object", "additionalProperties": NUMBER},
            "session": TEXT,
            "paths": TEXTS,
            "source": TEXT,
            "invalid_at": {"type": ["string", "null"]},
            "included": FLAG,
            "why": TEXT,
        }
    ),
    "Graph": thing(
        {
            "nodes": many("Node"),
            "edges": many("Fact"),
            "first_at": MOMENT,
            "last_at": MOMENT,
            "truncated": FLAG,
        }
    ),
    "Node": thing({"uuid": TEXT, "type": TEXT, "name": TEXT, "degree": COUNT, "attributes": ANY}),
    "Injections": thing({"injections": many("Injection"), "next": NEXT}),
    "Injection": thing(
        {
            "session": TEXT,
            "message": TEXT,
            "group": TEXT,
            "project": TEXT,
            "at": NUMBER,
            "outcome": TEXT,
            "tokens": COUNT,
            "block": TEXT,
        }
    ),
    "Metrics": thing(
        {
            "since": NUMBER,
            "counters": {"type": "array", "items": _SERIES},
            "gauges": {"type": "array", "items": _SERIES},
            "distributions": {
                "type": "array",
                "items": thing(
                    {
                        **_TOLD,
                        "count": COUNT,
                        "p50": NUMBER,
                        "p95": NUMBER,
                        "p99": NUMBER,
                        "max": NUMBER,
                    }
                ),
            },
        }
    ),
    "Status": thing(
        {
            "degradation": strings(_WORDS),
            "socket": TEXT,
            "pid": COUNT,
            "version": TEXT,
            "url": {"type": ["string", "null"]},
            "data": TEXT,
            "clients": COUNT,
            "engines": {
                "type": "object",
                "additionalProperties": thing(
                    {
                        "pid": _MAYBE_COUNT,
                        "state": TEXT,
                        "memory_bytes": _MAYBE_COUNT,
                    }
                ),
            },
            "worker": _MAYBE_COUNT,
            "cache": strings(("ok", "bypass")),
            "disk": TEXT,
            "spool": thing(
                {"pending": COUNT, "oldest_age_s": NUMBER, "batches": STATES, "sessions": COUNT}
            ),
            "tail": thing({"events": COUNT, "evicted": COUNT}),
        }
    ),
    "SignedIn": thing({"expires_in_s": COUNT}),
    "Health": thing({"status": strings((*_WORDS, "unwritable"))}),
    "Document": ANY,
}

#: How large a body may be, for the document.
LARGEST_BODY = contract.BODY_LIMIT
