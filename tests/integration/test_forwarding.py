"""What the plugin learns at its start, and that a block which did not arrive is never replayed."""

from __future__ import annotations

import uuid

import pytest

from bridge.cache.protocol import NullCache
from bridge.forwarding import PROTOCOL
from memory_manager import __version__

HELLO = {"directory": "/elsewhere", "worktree": "/", "plugin": "1", "opencode": "1.18", "pid": 7}


async def refusal(bridge, method, **params):
    result, error = await bridge.app.dispatch(method, params)
    assert result is None
    return error["message"]


async def asked(bridge, message, text="what did we decide about money?", session="s1"):
    part = {"type": "text", "text": text}
    payload = {
        "input": {"sessionID": session},
        "output": {"message": {"id": message, "agent": "build"}, "parts": [part]},
    }
    return await bridge.hook("chat.message", payload)


async def replayed(bridge, *messages, session="s1", **params):
    payload = {"session_id": session, "message_ids": list(messages)}
    reply = await bridge.hook("context:replay", payload, **params)
    return reply["blocks"]


@pytest.fixture
async def known(bridge):
    """Something to be told about."""
    await bridge.call(
        "store", content="We decided: money is Decimal.", event_id=uuid.uuid4().hex, wait=False
    )
    return bridge


async def test_hello_says_all_that_the_plugin_needs(bridge):
    bridge.hurry(chat_deadline_ms=700, hook_deadline_ms=200)

    told = await bridge.call("hello", **HELLO)

    assert told == {
        "version": __version__,
        "protocol": PROTOCOL,
        "cache": {
            "kind": "socket",
            "at": str(bridge.app._sockets / "valkey.sock"),
            "up": True,
        },
        "inject": "message",
        "disabled": False,
        "chat_deadline_ms": 700,
        "hook_deadline_ms": 200,
        "tools": told["tools"],
        "opted_out": False,
    }


async def test_hello_needs_no_parameters(bridge):
    assert (await bridge.call("hello"))["protocol"] == PROTOCOL


async def test_a_cache_that_is_not_there_is_not_called_connected(bridge):
    bridge.parts.cache = NullCache()

    assert (await bridge.call("hello", **HELLO))["cache"]["up"] is False


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"valkey_host": "cache.local", "valkey_port": 6390}, ("tcp", "cache.local:6390")),
        ({"valkey_host": "fe80::1"}, ("tcp", "[fe80::1]:6380")),
        ({"valkey_url": "rediss://me:secret@cache.local:7000/1"}, ("tcp", "cache.local:7000")),
        ({"valkey_url": "redis://cache.local"}, ("tcp", "cache.local:6379")),
        ({"valkey_url": "unix:///run/valkey.sock?db=2"}, ("socket", "/run/valkey.sock")),
    ],
)
async def test_the_caches_address_carries_no_secret(bridge, settings, address):
    bridge.hurry(**settings)

    cache = (await bridge.call("hello", **HELLO))["cache"]

    assert (cache["kind"], cache["at"]) == address


@pytest.mark.parametrize("name", [".opencode-mem-off", ".opencode/memory-off"])
@pytest.mark.parametrize("place", ["directory", "worktree"])
async def test_a_file_in_the_project_opts_out(bridge, tmp_path, name, place):
    folder = tmp_path / "shop"
    file = folder / name
    file.parent.mkdir(parents=True)
    file.touch()

    told = await bridge.call("hello", **{**HELLO, place: f"{folder}/"})

    assert told["opted_out"] is True


async def test_a_message_that_was_not_given_its_block_keeps_none(known):
    given = await asked(known, "m1")
    await asked(known, "m2")
    assert given["context"]

    assert await known.call("withheld", session_id="s1", message_id="m1") == {}

    assert "context" not in await asked(known, "m1")
    assert list(await replayed(known, "m1", "m2")) == ["m2"]


async def test_word_that_comes_before_the_block_is_made_stands_too(known):
    await known.call("withheld", session_id="s1", message_id="m1")

    assert "context" not in await asked(known, "m1")
    assert await replayed(known, "m1") == {}


async def test_many_messages_can_be_told_at_once(known):
    await asked(known, "m1")

    await known.call("withheld", session_id="s1", message_ids=["m1", "m2"])

    assert await replayed(known, "m1", "m2") == {}


async def test_another_projects_message_of_the_same_name_is_left_alone(known):
    await asked(known, "m1")

    await known.call("withheld", session_id="s1", message_id="m1", project="another")

    assert list(await replayed(known, "m1")) == ["m1"]


async def test_what_is_withheld_has_to_be_named(bridge):
    assert "session_id" in await refusal(bridge, "withheld", message_id="m1")
    assert "message_id" in await refusal(bridge, "withheld", session_id="s1")
    assert "message_ids" in await refusal(bridge, "withheld", session_id="s1", message_ids=[1])
