"""What OpenCode's plugin asks for when it talks HTTP; its hooks go to `/api/hooks/{name}`. Pure."""

from __future__ import annotations

from bridge.web.route import CWD, PROJECT, Param, Route, Takes

PLUGIN_ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/api/plugin/hello",
        "hello",
        "What OpenCode's plugin has to know before its first hook.",
        "Hello",
        (
            Param("directory", "string", "The folder that OpenCode runs in.", longest=4096),
            Param("worktree", "string", "The root of its worktree.", longest=4096),
            Param("plugin", "string", "The plugin's version."),
            Param("opencode", "string", "OpenCode's version."),
            Param("pid", "integer", "OpenCode's process.", least=0),
        ),
        Takes.OBJECT,
    ),
    Route(
        "POST",
        "/api/plugin/events",
        "event",
        "OpenCode's own events, in their order; telling them twice is harmless.",
        "Streamed",
        (
            Param("events", "any", 'A list of `{"event": …, "at": …}`.'),
            Param("origin", "string", "Where they come from: `live` or `catch-up`."),
            PROJECT,
            CWD,
        ),
        Takes.OBJECT,
        rejected=507,
    ),
    Route(
        "POST",
        "/api/plugin/withheld",
        "withheld",
        "These messages went to the model without a block: they keep none.",
        "Done",
        (
            Param("session_id", "string", "The session.", required=True),
            Param("message_id", "string", "The message."),
            Param("message_ids", "any", "Several messages, as a list."),
            PROJECT,
            CWD,
        ),
        Takes.OBJECT,
        rejected=507,
    ),
    Route(
        "POST",
        "/api/tool",
        "tool",
        "One call of the agent's tool `memory`.",
        "ToolText",
        (
            Param("tool", "string", "The operation: `recall`, `remember`, …", required=True),
            Param("args", "any", "Its arguments, an object."),
            Param("session_id", "string", "The session that asks."),
            Param("event_id", "string", "The call's id, the same on every retry."),
            Param("event_id", "string", "The call's own id: with it, nothing is stored twice."),
            PROJECT,
            CWD,
        ),
        Takes.OBJECT,
    ),
)
