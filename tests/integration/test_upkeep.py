"""What the bridge does by itself: retention, gauges, and noticing a disk that takes nothing."""

from __future__ import annotations

import pytest

from bridge.ledger import Injection
from bridge.upkeep import Upkeep
from memory_manager.errors import Rejected
from memory_manager.spool.store import Spool
from metrics import catalog


def keep(bridge, **settings):
    parts = bridge.app.parts
    parts.settings = parts.settings.model_copy(update=settings)


async def full(bridge, *, yes=True):
    """The spool's file may not grow any more, or may again."""

    def limit(spool):
        pages = spool._db.execute("PRAGMA page_count").fetchone()[0]
        spool._db.execute(f"PRAGMA max_page_count = {pages if yes else 2**30:d}").fetchall()

    await bridge.app.parts.spool.call(limit)


async def test_flushed_events_leave_after_their_time_and_are_counted(bridge):
    for number in range(3):
        said = {"message": f"it broke {number}", "session_id": "old", "event_id": f"e{number}"}
        await bridge.hook("error", said)
    await bridge.call("flush")
    await bridge.hook("error", {"message": "again", "session_id": "s", "event_id": "waits"})
    keep(bridge, retention_ms=1)
    await bridge.app.parts.spool.call(lambda spool: setattr(spool, "_now", lambda: 4e9))
    bridge.app.parts.now = lambda: 4e9

    await bridge.app.upkeep.settle()

    assert [row.event.event_id for row in await bridge.rows()] == ["waits"]
    assert bridge.recorded.total(catalog.PURGED) == 3


async def test_the_ledger_forgets_what_is_older_than_retention(bridge):
    ledger = bridge.app.parts.ledger
    for name, at in (("old", 1.0), ("new", bridge.app.now())):
        ledger.put(Injection("s", name, "g", at, "injected", 3, "block"))
    await bridge.app.upkeep.settle()
    assert [row.message for row in ledger.newest()] == ["new"]


async def test_a_full_disk_is_said_and_recovery_needs_no_restart(bridge, monkeypatch):
    async def no_sample(_self):
        return

    # A sample is small: it may still find room where an event finds none.
    monkeypatch.setattr(Upkeep, "_sampled", no_sample)
    await full(bridge)
    large = "x" * 60_000
    reply = await bridge.hook("error", {"message": large, "event_id": "lost"})
    assert reply["outcome"] == "failed"
    assert "spool" in reply["note"]
    assert (await bridge.call("status"))["disk"] != "ok"
    assert (await bridge.call("raw_events_status"))["disk"] != "ok"

    await full(bridge, yes=False)
    reply = await bridge.hook("error", {"message": large, "event_id": "lost"})
    assert reply["outcome"] == "accepted"
    assert (await bridge.call("status"))["disk"] == "ok"


async def test_a_round_finds_by_itself_that_the_disk_takes_again(bridge):
    bridge.app.parts.tailing.refused(Rejected("no space"))
    bridge.app.parts.tailing.refused(Rejected("no space"))
    assert bridge.recorded.total(catalog.ERRORS, where="disk") == 1
    await bridge.app.upkeep.round()
    assert bridge.app.parts.tailing.fault == ""


async def test_a_round_tells_the_spool_and_the_degradation(bridge):
    await bridge.hook("error", {"message": "it broke", "event_id": "e"})
    await bridge.app.upkeep.round()
    assert bridge.recorded.values(catalog.SPOOL_PENDING)[-1] == 1
    assert bridge.recorded.values(catalog.DEGRADATION)
    samples = await bridge.app.parts.spool.call(lambda spool: spool.report(0, 4e9, 1))
    assert samples.buckets[0].pending == 1


@pytest.mark.parametrize("clients", [0, 1])
async def test_the_bridge_ends_when_nobody_needs_it_and_nothing_waits(bridge, clients):
    keep(bridge, idle_exit_s=1)
    upkeep = bridge.app.upkeep
    upkeep._clients = lambda: clients
    upkeep._active -= 3600
    await bridge.app.parts.spool.call(Spool.backlog)
    await upkeep.round()
    assert bridge.app.ended.is_set() == (clients == 0)


async def test_a_round_tells_how_large_everything_is(bridge):
    await bridge.hook("chat:start", {"query": "why does it fail?", "session_id": "s"})
    await bridge.hook("error", {"message": "it broke", "session_id": "s", "event_id": "e"})
    await bridge.call("flush")
    await bridge.app.upkeep.round()
    recorded = bridge.recorded
    assert recorded.values(catalog.GRAPH_SIZE, part="episodes")[-1] >= 1
    assert recorded.values(catalog.MEMORY, process="bridge")[-1] > 1024 * 1024
    assert 0 < recorded.values(catalog.BOUND_USE, bound="prompts")[-1] < 1
    assert recorded.values(catalog.SPOOL_WRITABLE)[-1] == 1


async def test_the_share_of_cached_input_is_told_with_a_turn(bridge):
    used = {"input": 100, "output": 9, "cache": {"read": 300, "write": 0}}
    await bridge.hook("completion", {"task": "ship", "event_id": "c", "tokens": used})
    await bridge.hook("completion", {"task": "ship", "event_id": "d", "tokens": 7})
    assert bridge.recorded.values(catalog.PROMPT_CACHE_RATIO) == [0.75]


async def test_a_session_that_is_over_is_forgotten(bridge):
    app = bridge.app
    await bridge.hook("chat:start", {"query": "fix the tests", "session_id": "s"})
    await bridge.hook("chat:start", {"query": "and the docs", "session_id": "t"})
    over = {"event_id": "s:deleted", "session_id": "s", "kind": "session", "content": ""}
    await bridge.call("ingest", events=[{**over, "metadata": {"change": "deleted"}}])
    assert "s" not in app.handlers.prompts
    assert "t" in app.handlers.prompts
