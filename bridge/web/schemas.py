"""What the answers look like, as JSON Schema by name. Pure.

Every property that is named is always there; more may come, so clients ignore what they don't know.
"""

from __future__ import annotations

from bridge.hooks import Outcome
from bridge.web.answers import MEANINGS
from bridge.web.shapes import (
    ANY,
    COUNT,
    FLAG,
    MAYBE_COUNT,
    MAYBE_TEXT,
    MOMENT,
    NEXT,
    NUMBER,
    STATES,
    TEXT,
    TEXTS,
    Schema,
    many,
    strings,
    thing,
)
from memory_manager import contract
from memory_manager.model import EventKind

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
            "invalid_at": MAYBE_TEXT,
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
            "url": MAYBE_TEXT,
            "data": TEXT,
            "clients": COUNT,
            "engines": {
                "type": "object",
                "additionalProperties": thing(
                    {"pid": MAYBE_COUNT, "state": TEXT, "memory_bytes": MAYBE_COUNT}
                ),
            },
            "worker": MAYBE_COUNT,
            "cache": strings(("ok", "bypass")),
            "disk": TEXT,
            "spool": thing(
                {"pending": COUNT, "oldest_age_s": NUMBER, "batches": STATES, "sessions": COUNT}
            ),
            "memory": {
                "type": "object",
                "additionalProperties": COUNT,
                "description": "Bytes of our processes by name, where the platform tells.",
            },
            "tail": thing({"events": COUNT, "evicted": COUNT}),
        }
    ),
    "SignedIn": thing({"expires_in_s": COUNT}),
    "Health": thing({"status": strings((*_WORDS, "unwritable"))}),
    "Document": ANY,
}

#: How large a body may be, for the document.
LARGEST_BODY = contract.BODY_LIMIT
