"""The method `tool` while the graph is away."""

from __future__ import annotations

import pytest

from memory_manager.errors import Unavailable

PARTIAL = "(The graph does not answer now: this is from the latest events alone.)"
WHERE = {"project": "the-shop", "session_id": "s1"}


@pytest.fixture
def away(bridge):
    bridge.app.parts.memory.fault = Unavailable("no FalkorDB")
    return bridge


@pytest.mark.parametrize(
    ("tool", "args", "known"),
    [
        ("recall", {"query": "which queue?"}, "Redis for the queue"),
        ("decision", {"about": "queue"}, "Redis for the queue"),
        ("file", {"path": "src/pay.py"}, "src/pay.py changed once"),
        ("error", {"message": "KeyError: 'total'"}, "KeyError: 'total'"),
        ("changes", {"since": "1h"}, "src/pay.py: modified, once"),
    ],
)
async def test_without_the_graph_the_latest_events_answer_and_it_is_said(away, tool, args, known):
    cwd = {"project": "the-shop"}
    prompt = {
        "query": "We decided to use Redis for the queue",
        "session_id": "s0",
        "message_id": "m",
    }
    await away.call("tool", tool="remember", args={"content": prompt["query"]}, **WHERE)
    await away.hook("file:write", {"path": "src/pay.py", "session_id": "s0", "diff": "+a"}, **cwd)
    await away.hook("error", {"message": "KeyError: 'total'", "session_id": "s0"}, **cwd)

    text = (await away.call("tool", tool=tool, args=args, **WHERE))["text"]

    assert known in text
    assert text.endswith(PARTIAL)


async def test_what_is_remembered_without_the_graph_is_kept(away):
    said = await away.call(
        "tool", tool="remember", args={"content": "Redis is for queues"}, **WHERE
    )

    assert said["text"] == ("Remembered, as a note. It can be found now, and is in the graph soon.")


async def test_while_memory_is_disabled_nothing_is_stored(bridge, monkeypatch):
    monkeypatch.setattr(
        bridge.app.parts, "settings", bridge.app.settings.model_copy(update={"disabled": True})
    )

    said = await bridge.call(
        "tool", tool="remember", args={"content": "Redis is for queues"}, **WHERE
    )

    assert "Memory is disabled" in said["text"]
    assert (await bridge.call("projects"))["projects"] == []
