"""What can be asked over HTTP: one table, from which the routes and their document are both made. Pure."""

from __future__ import annotations

from bridge.web.plugin_routes import PLUGIN_ROUTES
from bridge.web.route import CWD, LATEST, PROJECT, Param, Route, Takes
from memory_manager.model import EventKind

__all__ = ["INGEST", "OPEN", "ROUTES", "STATIC", "Param", "Route", "Takes"]

_GROUP = Param("group", "string", "The project's group, `g_<hex>`.")
_NEEDED_GROUP = Param("group", "string", _GROUP.about, required=True)
_WHERE = (_GROUP, PROJECT, CWD)
_SESSION = Param("session", "string", "Only this session.")
_TEXT = Param("text", "string", "Only what contains this text.", longest=8192)
_BEFORE = Param("before", "string", "Go on behind this page: its `next`.", longest=8192)
_AT = Param("at", "number", "As of then, in seconds since the epoch.", least=0, most=LATEST)


def _limit(default: int, most: int) -> Param:
    return Param(
        "limit", "integer", f"Most items of the answer (default {default}).", least=1, most=most
    )


_EXPLAIN = (
    Param("text", "string", "The question.", required=True, longest=8192),
    *_WHERE,
    Param("limit", "integer", "Most hits.", least=1, most=200),
    Param("budget", "integer", "Tokens that the context may have.", least=1, most=100_000),
    _AT,
)

INGEST = Route(
    "POST",
    "/api/raw-events",
    "ingest",
    'Takes in raw events: one object, a list, `{"events": […]}` or NDJSON. One of `cwd`, `project` and `group` says whose they are. Answered when they are on disk; the same `event_id` twice is one.',
    "Ingested",
    _WHERE,
    Takes.EVENTS,
    rejected=507,
)

ROUTES: tuple[Route, ...] = (
    INGEST,
    Route(
        "GET",
        "/api/raw-events/status",
        "raw_events_status",
        "What waits to be flushed, how long, and the batches by state.",
        "Backlog",
        (_SESSION, _limit(200, 1000)),
    ),
    Route(
        "POST",
        "/api/raw-events/retry",
        "raw_events_retry",
        "Tries failed batches again.",
        "Retried",
        (
            _SESSION,
            Param("only_error", "boolean", "Leave out those that were given up."),
            Param("gave_up", "boolean", "Those that were given up, too."),
            Param("limit", "integer", "Most batches.", least=1, most=100_000),
        ),
        Takes.OBJECT,
        rejected=507,
    ),
    Route(
        "POST",
        "/api/flush",
        "flush",
        "Flushes one session, or everything, and waits for that.",
        "Flushed",
        (_SESSION,),
        Takes.OBJECT,
    ),
    Route(
        "POST",
        "/api/hooks/{name}",
        "hook",
        "One hook call; what goes wrong is in the reply's outcome.",
        "HookReply",
        (
            Param("name", "string", "The hook: `chat:start`, `file:write`, …", required=True),
            Param("payload", "any", "The hook's payload."),
            PROJECT,
            CWD,
            Param("event_id", "string", "The event's id, the same on every retry."),
            Param("at", "number", "When, in seconds since the epoch.", least=0, most=LATEST),
        ),
        Takes.OBJECT,
        rejected=507,
    ),
    *PLUGIN_ROUTES,
    Route("GET", "/api/projects", "projects", "Every project, the newest first.", "Projects"),
    Route(
        "GET",
        "/api/sessions",
        "sessions",
        "Sessions, the newest first.",
        "Sessions",
        (_GROUP, _TEXT, _BEFORE, _limit(50, 500)),
    ),
    Route(
        "GET",
        "/api/episodes",
        "episodes",
        "A project's episodes, newest first; what is not flushed yet is `pending`.",
        "Episodes",
        (
            _NEEDED_GROUP,
            _SESSION,
            Param("kind", "string", "Only this kind.", choices=tuple(map(str, EventKind))),
            Param("path", "string", "Only what is about this file.", longest=4096),
            _TEXT,
            _BEFORE,
            _limit(100, 500),
        ),
    ),
    Route(
        "GET",
        "/api/episodes/{uuid}",
        "episode",
        "One episode, whole, with the facts that were made of it.",
        "WholeEpisode",
        (Param("uuid", "string", "The episode.", required=True), _NEEDED_GROUP),
    ),
    Route(
        "GET",
        "/api/query",
        "explain",
        "What memory answers to a question, what would be given to the agent, and why.",
        "Explained",
        _EXPLAIN,
    ),
    Route(
        "POST",
        "/api/query",
        "explain",
        "The same for a question that is too long for an address.",
        "Explained",
        _EXPLAIN,
        Takes.OBJECT,
    ),
    Route(
        "GET",
        "/api/graph",
        "graph",
        "A part of a project's graph: its best-connected entities, or what surrounds one.",
        "Graph",
        (
            _NEEDED_GROUP,
            Param("center", "string", "The entity in its middle."),
            _TEXT,
            Param("types", "strings", "Only entities of these types."),
            _AT,
            _limit(150, 1000),
        ),
    ),
    Route(
        "GET",
        "/api/injections",
        "injections",
        "What was given to the agent, newest first.",
        "Injections",
        (_GROUP, _SESSION, _BEFORE, _limit(50, 500)),
    ),
    Route("GET", "/api/metrics", "metrics", "What was counted since the start.", "Metrics"),
    Route("GET", "/api/status", "status", "How the bridge and its parts are.", "Status"),
    Route(
        "GET",
        "/api/stream",
        "",
        "Server-sent events: `episode`, `flushed`, `status` (every 2 s) and `reset` (something was missed: read the lists again). `Last-Event-ID` resumes.",
        "",
        (Param("recent", "integer", "Begin with so many of the newest.", least=0, most=500),),
    ),
    Route(
        "POST",
        "/api/session",
        "",
        "Exchanges a one-time code (60 s valid) for the page's cookie.",
        "SignedIn",
        (Param("code", "string", "The code.", required=True, longest=200),),
        Takes.OBJECT,
        open=True,
    ),
    Route("GET", "/healthz", "", "Whether the bridge lives, and its word.", "Health", open=True),
    Route(
        "GET",
        "/readyz",
        "",
        "Whether it can be asked: 503 until the graph is there.",
        "Health",
        open=True,
    ),
    Route("GET", "/api/openapi.json", "", "This document.", "Document", open=True),
)

#: Paths that nobody needs a token for; besides them, everything under `STATIC`.
OPEN = frozenset({route.path for route in ROUTES if route.open} | {"/", "/favicon.ico"})
STATIC = "/static/"
