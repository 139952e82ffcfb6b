"""The bridge in one process: what leaves it, what stays apart, and what another process wrote."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from bridge.app import App
from bridge.settings import BridgeSettings
from memory_manager import contract
from memory_manager.errors import Corrupt, Rejected, Unavailable
from memory_manager.model import EventKind, RawEvent
from memory_manager.settings import MemorySettings
from memory_manager.spool.store import Spool
from metrics import catalog
from metrics.settings import MetricsSettings

SECRET = "AKIA" + "IOSFODNN7EXAMPLZ"


async def _until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of tests
            await asyncio.sleep(0.005)


async def test_an_error_is_told_without_its_secrets_with_its_count_and_its_fix(bridge):
    said = {"message": f"401 for key {SECRET} <private>at home</private> in pay.py", "name": "Http"}
    for number in range(3):
        await bridge.hook("error", {**said, "event_id": f"e{number}"})
    await bridge.hook("error", {**said, "event_id": "e2"})
    await _until(lambda: len(bridge.recorded.events) == 3)
    last = bridge.recorded.events[-1]

    assert (last.event, last.alert_type) == (catalog.OPENCODE_ERROR, "error")
    assert last.text.startswith("401 for key [REDACTED:")
    assert "Seen 3 times." in last.text
    assert len({event.aggregation_key for event in bridge.recorded.events}) == 1
    assert dict(last.tags) == {"error_name": "Http"}
    assert not any(
        word in event.text for event in bridge.recorded.events for word in (SECRET, "home")
    )


async def test_tokens_are_counted_once_and_redactions_by_rule(bridge):
    done = {"task": "ship", "event_id": "c", "tokens": {"input": 5, "output": 7}}
    await bridge.hook("completion", done)
    await bridge.hook("completion", done)
    await bridge.hook("error", {"message": f"bad {SECRET} <private>x</private>"})

    assert bridge.recorded.values(catalog.TOKENS_USED) == [12]
    assert bridge.recorded.total(catalog.REDACTIONS, rule="private") == 1
    assert bridge.recorded.total(catalog.REDACTIONS) == 2
    assert bridge.recorded.total(catalog.HOOK_COUNT, hook="completion", outcome="duplicate") == 1


async def test_the_same_ids_in_another_project_get_nothing_of_the_first(bridge):
    asked = {"query": "where do we keep money?", "session_id": "s1", "message_id": "m1"}
    await bridge.call("store", content="money is Decimal", wait=False, project="a")
    first = await bridge.hook("chat:start", asked, project="a")
    other = await bridge.hook("chat:start", asked, project="b")
    again = await bridge.hook("chat:start", asked, project="a")
    ids = {"session_id": "s1", "message_ids": ["m1"]}
    replays = [await bridge.hook("context:replay", ids, project=name) for name in "ab"]

    assert "Decimal" in first["context"]
    assert other == {"outcome": "empty"}
    assert again == first
    assert replays[0]["blocks"] == {"m1": first["context"]}
    assert replays[1]["blocks"] == {}


async def test_what_another_process_appended_is_found_though_the_bridge_wrote_since(
    bridge, tmp_path
):
    path = bridge.app.memory_settings.spool_path
    await bridge.call("store", content="decimal from the bridge", wait=False, project="p")
    await bridge.parts.tailing.load()
    (row,) = await bridge.rows()
    other = Spool.open(path)
    event = RawEvent(
        "x", row.event.group, "s", EventKind.NOTE, row.event.at, "decimal from outside"
    )
    other.append([event])
    other.close()
    await bridge.call("store", content="decimal from the bridge, later", wait=False, project="p")
    await bridge.parts.tailing.upkeep()
    answer = await bridge.call("query", text="decimal", project="p")

    assert len(answer["hits"]) == 3


async def test_a_store_waits_for_its_flush_and_one_session_s_name_is_flushed_in_every_project(
    bridge,
):
    stored = await bridge.call("store", content="a note", project="a")
    for project in "ab":
        await bridge.call("store", content="more notes", wait=False, project=project)
    report = await bridge.call("flush", session="manual")

    assert "note" not in stored
    assert (report["batches"], report["episodes"]) == (2, 2)
    assert (await bridge.call("status"))["spool"]["pending"] == 0


async def test_a_store_whose_flush_fails_says_so_and_is_found(bridge, monkeypatch):
    async def refuse(*args, **kwargs):
        raise Unavailable("not today")

    monkeypatch.setattr(bridge.app.sweep.worker, "flush", refuse)
    stored = await bridge.call("store", content="decimal, said late")
    status = await bridge.call("status")

    assert "not today" in stored["note"]
    assert status["spool"]["batches"] == {"error": 1}
    assert (await bridge.call("query", text="decimal"))["hits"]


async def test_the_degradation_word_is_what_answers_now(bridge):
    words = []
    for fault, reachable in ((None, True), (None, False), (Unavailable("x"), True)):
        bridge.parts.memory.fault, bridge.parts.cache.reachable = fault, reachable
        words.append((await bridge.call("status"))["degradation"])
    bridge.parts.cache.reachable = False
    words.append((await bridge.call("status"))["degradation"])

    assert words == ["live", "no-cache", "no-graph", "spool-only"]


async def test_an_export_that_fails_leaves_no_file_behind(bridge, tmp_path):
    (tmp_path / "folder").mkdir()
    _, error = await bridge.app.dispatch("export", {"cwd": "/x", "path": str(tmp_path / "folder")})

    assert "Is a directory" in error["message"]
    assert {path.name for path in tmp_path.iterdir()} == {"data", "folder", "home"}


async def test_an_export_is_its_owner_s_alone_and_holds_what_was_pending(bridge, tmp_path):
    await bridge.call("store", content="a note", wait=False)
    done = await bridge.call("export", path=str(tmp_path / "out.json"))
    dump = json.loads((tmp_path / "out.json").read_text())

    assert (tmp_path / "out.json").stat().st_mode & 0o777 == 0o600
    assert done["counts"]["episodes"] == len(dump["episodes"]) == 1


@pytest.mark.parametrize(("damaged", "fault"), [(True, Corrupt), (False, Rejected)])
async def test_a_ledger_that_can_t_be_opened_ends_the_start_and_leaves_no_thread(
    tmp_path, own_folders, damaged, fault
):
    ledger = tmp_path / "data" / "ledger.sqlite3"
    if damaged:
        ledger.parent.mkdir()
        ledger.write_bytes(b"no database" * 100)
    else:
        ledger.mkdir(parents=True)
    settings = BridgeSettings(socket=str(own_folders / "run" / "b.sock"))
    app = App(MemorySettings(data_dir=tmp_path / "data"), settings, MetricsSettings())

    with pytest.raises(fault):
        await app.open()
    await app.close()

    await _until(lambda: not [each for each in threading.enumerate() if each.name == "spool"])


async def test_switched_off_every_hook_says_so_and_keeps_nothing(bridge):
    bridge.hurry(disabled=True)
    replies = [
        await bridge.hook(name, {"query": "x", "message": "x", "path": "x"})
        for name in (*contract.HOOKS, "none")
    ]

    assert {reply["outcome"] for reply in replies} == {"disabled"}
    assert await bridge.rows() == []


async def test_without_injection_events_are_kept_and_nothing_is_given(bridge):
    bridge.hurry(inject="off")
    await bridge.call("store", content="money is Decimal", wait=False)
    reply = await bridge.hook("chat:start", {"query": "what is money?", "message_id": "m"})
    await _until(lambda: bridge.recorded.total(catalog.HOOK_COUNT) == 1)
    await _until(lambda: len(bridge.parts.tailing.tail) == 2)

    assert reply == {"outcome": "empty"}
    assert [row.event.kind for row in await bridge.rows()] == ["note", "prompt"]


async def test_a_bug_at_the_start_leaves_no_thread_that_keeps_the_process(
    tmp_path, own_folders, monkeypatch
):
    def broken(self, spool):
        raise AttributeError("a bug")

    monkeypatch.setattr(App, "_assemble", broken)
    settings = BridgeSettings(socket=str(own_folders / "run" / "b.sock"))
    app = App(MemorySettings(data_dir=tmp_path / "data"), settings, MetricsSettings())

    with pytest.raises(AttributeError):
        await app.open()
    await app.close()

    await _until(lambda: not [each for each in threading.enumerate() if each.name == "spool"])
