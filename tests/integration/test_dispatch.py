"""`dispatch` is where failures end: any request gets a documented answer and is counted once."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_manager import contract
from memory_manager.errors import Corrupt, InvalidRequest, Rejected, Unavailable
from memory_manager.spool.store import Spool
from metrics import catalog

SOME = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = (
    "query", "session_id", "sessionID", "message_id", "message_ids", "directory", "path", "tool",
    "files", "patchText", "command", "exit", "output", "message", "error", "data", "name", "task",
    "duration", "tokens", "cache", "total", "input", "properties", "event", "event_id", "id",
    "parts", "type", "text", "metadata", "args", "old_path", "diff", "content", "model", "agent",
    "callID", "events", "kind", "at", "limit", "budget", "group", "project", "session", "cwd",
)  # fmt: skip
TEXT = st.text(st.characters(codec=None, categories=None), max_size=40) | st.sampled_from(
    ["text", "bash", "apply_patch", "src/app.py", "/../..", "\ud800", "\0", "note", "compaction"]
)
SCALAR = (
    st.none() | st.booleans() | st.integers() | st.integers(10**300, 10**301) | st.floats() | TEXT
)
JSON = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | TEXT, inner, max_size=6)
    ),
    max_leaves=20,
)
#: Each example waits for the disk, which the rest of the suite keeps busy.
pytestmark = pytest.mark.timeout(300)
PARAMS = st.dictionaries(st.sampled_from(NAMES) | TEXT, JSON, max_size=6)


@SOME
@given(name=st.sampled_from([*contract.HOOKS]) | JSON, payload=JSON, rest=PARAMS)
async def test_any_json_is_a_reply_with_a_documented_outcome_and_counted_once(
    bridge, name, payload, rest
):
    before = len(bridge.recorded.values(catalog.HOOK_COUNT))

    reply, error = await bridge.app.dispatch("hook", {**rest, "name": name, "payload": payload})

    assert error is None
    assert reply["outcome"] in contract.OUTCOMES
    assert reply["outcome"] != "failed", reply
    counted = [sample for sample in bridge.recorded.samples if sample.metric is catalog.HOOK_COUNT]
    assert len(counted) == before + 1
    assert counted[-1].value == 1
    assert counted[-1].tags["outcome"] == reply["outcome"]


@pytest.mark.parametrize(
    "place",
    [{"project": "\ud800"}, {"cwd": "/a\udcff"}, {"cwd": "/a\ud800\0"}, {"cwd": "/" + 9999 * "x"}],
)
async def test_a_folder_or_project_that_is_no_text_is_a_project_like_any_other(bridge, place):
    written = await bridge.hook("error", {"message": "boom in decimal"}, **place)
    await bridge.call("store", content="decimal for money", wait=False, **place)
    answer = await bridge.call("query", text="boom", **place)

    assert written == {"outcome": "accepted"}
    assert [hit["text"] for hit in answer["hits"]] == ["Error: boom in decimal"]


@SOME
@given(
    method=st.sampled_from(["store", "query", "entities", "ingest", "flush", "status", "ping"]),
    params=PARAMS,
)
async def test_any_params_of_any_method_are_answered_or_refused_with_a_reason(
    bridge, method, params
):
    result, error = await bridge.app.dispatch(method, params)

    if error is None:
        assert isinstance(result, dict)
    else:
        assert error["code"] == contract.INVALID_PARAMS, error
        assert error["message"]


async def test_an_unknown_method_is_an_error(bridge):
    assert (await bridge.app.dispatch("drop", {}))[1]["code"] == -32601


OURS = [Unavailable("away"), Rejected("full"), Corrupt("damaged")]
UNEXPECTED = [RuntimeError("a bug"), OSError("disk"), KeyError("x"), RecursionError()]
CHAT = ("chat:start", {"query": "why decimal?", "session_id": "s", "message_id": "m"})
WRITES = [
    ("file:write", {"path": "src/money.py", "session_id": "s", "event_id": "w"}),
    ("error", {"message": "boom in decimal", "session_id": "s", "event_id": "e"}),
    ("completion", {"task": "decimal", "session_id": "s", "event_id": "c", "tokens": 5}),
]


async def _known(bridge):
    """Something that the spool's tail answers `CHAT` with."""
    await bridge.call("store", content="decimal for money", event_id="n", wait=False)


@pytest.mark.parametrize("fault", [*OURS, *UNEXPECTED], ids=repr)
@pytest.mark.parametrize("name_payload", WRITES, ids=lambda item: item[0])
async def test_a_spool_that_fails_is_an_outcome_and_the_next_call_is_as_before(
    bridge, monkeypatch, caplog, fault, name_payload
):
    def refuse(self, lists):
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "append_many", refuse)
        failed = await bridge.hook(*name_payload)
    again = await bridge.hook(*name_payload)

    assert failed["outcome"] == "failed"
    assert "Memory plugin error:" in caplog.text
    assert again == {"outcome": "accepted"}


async def test_a_spool_that_calls_it_malformed_is_invalid(bridge, monkeypatch):
    def refuse(self, lists):
        raise InvalidRequest("content: too long")

    monkeypatch.setattr(Spool, "append_many", refuse)

    reply = await bridge.hook(*WRITES[1])

    assert reply == {"outcome": "invalid", "note": "content: too long"}


@pytest.mark.parametrize("fault", [*OURS, *UNEXPECTED], ids=repr)
async def test_a_question_is_answered_when_its_own_prompt_can_t_be_written(
    bridge, monkeypatch, caplog, fault
):
    await _known(bridge)

    def refuse(self, lists):
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "append_many", refuse)
        reply = await bridge.hook(*CHAT)
        await _until(lambda: "prompt" in caplog.text)

    assert reply["outcome"] == "injected"
    assert "decimal for money" in reply["context"]
    assert "Memory plugin error:" in caplog.text


@pytest.mark.parametrize(("known", "outcome"), [(True, "injected"), (False, "failed")])
@pytest.mark.parametrize("fault", OURS[:2], ids=repr)
async def test_a_graph_that_fails_leaves_the_tail(bridge, fault, known, outcome):
    if known:
        await _known(bridge)
    bridge.parts.memory.fault = fault
    first = await bridge.hook(*CHAT)
    writes = [await bridge.hook(*item) for item in WRITES]
    bridge.parts.memory.fault = None
    again = await bridge.hook(*CHAT)

    assert first["outcome"] == outcome
    assert [reply["outcome"] for reply in writes] == ["accepted"] * 3
    # What was given stays; what failed gave nothing, so the message may still get something.
    assert again == first if known else again["outcome"] in {"injected", "empty"}


@pytest.mark.parametrize("part", ["memory", "cache", "ledger"])
@pytest.mark.parametrize("fault", UNEXPECTED, ids=repr)
async def test_a_bug_in_a_part_is_a_failed_reply_with_its_traceback_in_the_log(
    bridge, monkeypatch, caplog, part, fault
):
    def broken(*args, **kwargs):
        raise fault

    method = {"memory": "query", "cache": "lookup", "ledger": "get"}[part]
    with monkeypatch.context() as patch:
        patch.setattr(getattr(bridge.parts, part), method, broken)
        failed = await bridge.hook(*CHAT)

    assert failed["outcome"] == "failed"
    assert "context" not in failed
    assert any(record.exc_info for record in caplog.records if record.levelno >= logging.ERROR)
    assert (await bridge.hook(*CHAT))["outcome"] == "empty"


@pytest.mark.parametrize("fault", OURS, ids=repr)
@pytest.mark.parametrize("method", ["get", "put"])
async def test_a_ledger_that_fails_gives_nothing_that_could_not_be_given_again(
    bridge, monkeypatch, method, fault
):
    await _known(bridge)

    def broken(*args):
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(bridge.parts.ledger, method, broken)
        failed = await bridge.hook(*CHAT)

    assert failed["outcome"] == "failed"
    assert "context" not in failed
    assert (await bridge.hook(*CHAT))["outcome"] == "injected"


async def _hang(*args, **kwargs):
    await asyncio.Event().wait()


@pytest.mark.parametrize(("known", "outcome"), [(True, "injected"), (False, "failed")])
async def test_a_graph_that_hangs_leaves_the_tail(bridge, monkeypatch, known, outcome):
    if known:
        await _known(bridge)
    else:
        await bridge.hook("completion", {})
    monkeypatch.setattr(bridge.parts.memory, "query", _hang)
    bridge.hurry(chat_deadline_ms=1500)

    assert (await bridge.hook(*CHAT))["outcome"] == outcome


async def test_a_cache_that_hangs_is_a_failed_reply_and_its_late_end_does_no_harm(
    bridge, monkeypatch
):
    await _known(bridge)
    with monkeypatch.context() as patch:
        patch.setattr(bridge.parts.cache, "lookup", _hang)
        bridge.hurry(chat_deadline_ms=300)
        failed = await bridge.hook(*CHAT)
    bridge.hurry(chat_deadline_ms=60_000)

    assert failed["outcome"] == "failed"
    assert "0.3 s" in failed["note"]
    assert (await bridge.hook(*CHAT))["outcome"] == "injected"


async def _until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of tests
            await asyncio.sleep(0.005)


async def test_a_write_that_the_reply_could_not_wait_for_is_finished_whole(bridge):
    await bridge.hook("completion", {"event_id": "known-place"})
    released, kept = asyncio.Event(), len(bridge.parts.tailing.tail)
    loop = asyncio.get_running_loop()
    outdated: list[tuple[str, ...]] = []
    invalidate = bridge.parts.cache.invalidate

    async def noted(group, paths):
        outdated.append(tuple(paths))
        return await invalidate(group, paths)

    bridge.parts.cache.invalidate = noted
    blocked = asyncio.ensure_future(
        bridge.parts.spool.call(
            lambda _: asyncio.run_coroutine_threadsafe(released.wait(), loop).result(30)
        )
    )
    await asyncio.sleep(0)  # the blocker is queued first
    bridge.hurry(hook_deadline_ms=50)
    late = await bridge.hook("file:write", {"path": "src/tax.py", "event_id": "w"})
    assert late["outcome"] == "failed"
    released.set()
    await blocked
    bridge.hurry(hook_deadline_ms=60_000)
    await _until(lambda: len(bridge.parts.tailing.tail) > kept)
    answer = await bridge.call("query", text="src/tax.py")

    assert outdated[0] == ("src/tax.py",)
    assert answer["hits"][0]["event_ids"] == ["w"]
    again = await bridge.hook("file:write", {"path": "src/tax.py", "event_id": "w"})
    assert again == {"outcome": "duplicate"}
    assert len(outdated) == 2
