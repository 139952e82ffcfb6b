"""The method `event`: what OpenCode's events tell is on disk before the reply, once, or is told again."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

import pytest

from memory_manager.errors import InvalidRequest, Rejected
from metrics import catalog


def lines(turns, *, hooks=False):
    """The recording as a client sends it: events, and the hooks that the plugin calls itself."""
    for row in turns:
        if row["hook"] == "event":
            yield {"event": row["input"], "at": row["ts"]}
        elif hooks:
            payload = {"input": row["input"], "output": row["output"]}
            yield {"hook": row["hook"], "payload": payload, "at": row["ts"]}


async def stored(bridge):
    return {row.event.event_id: row.event for row in await bridge.rows()}


async def send(bridge, entries, size=50, **params):
    total: Counter[str] = Counter()
    entries = list(entries)
    for start in range(0, len(entries), size):
        answer = await bridge.call("event", events=entries[start : start + size], **params)
        total.update({name: value for name, value in answer.items() if isinstance(value, int)})
    return total


async def test_the_recording_is_stored_whole_and_counted_once(bridge, turns):
    told = await send(bridge, lines(turns))
    events = await stored(bridge)

    assert (told["received"], told["failed"]) == (len(list(lines(turns))), 0)
    assert told["accepted"] == len(events) - 3  # one call can tell several files: of both patches
    assert sum(event.kind == "success" for event in events.values()) == 17
    tokens = sum(bridge.recorded.values(catalog.TOKENS_USED))
    assert tokens == sum(event.metadata.get("tokens", 0) for event in events.values())


async def test_sent_again_it_is_known_and_counts_nothing(bridge, turns):
    await send(bridge, lines(turns))
    before, tokens = await stored(bridge), len(bridge.recorded.values(catalog.TOKENS_USED))

    again = await send(bridge, lines(turns), origin="catch-up")

    assert (again["accepted"], again["failed"]) == (0, 0)
    assert await stored(bridge) == before
    assert len(bridge.recorded.values(catalog.TOKENS_USED)) == tokens


async def test_hooks_and_events_together_store_what_events_alone_do(bridge, turns):
    for row in turns:
        payload = {"input": row["input"], "output": row.get("output")}
        if row["hook"] == "event":
            await bridge.call("event", events=[{"event": row["input"], "at": row["ts"]}])
        elif row["hook"] == "tool.execute.after":
            await bridge.hook(row["hook"], payload, at=row["ts"])
    together = {name: event.content for name, event in (await stored(bridge)).items()}
    calls = bridge.recorded.values(catalog.HOOK_COUNT)

    await send(bridge, lines(turns), origin="catch-up")

    assert {name: each.content for name, each in (await stored(bridge)).items()} == together
    # A tool whose hook was called is no call a second time.
    hooked = sum(row["hook"] == "tool.execute.after" for row in turns)
    assert len(calls) == hooked + 17 + 7 + 2  # turns, errors, the shell's command, the patch


async def test_events_have_the_time_when_they_happened(bridge, turns):
    await send(bridge, lines(turns))

    times = [event.at for event in (await stored(bridge)).values()]
    assert min(times) >= turns[0]["ts"] - 1
    assert max(times) <= turns[-1]["ts"] + 1


async def test_a_question_that_was_handed_over_late_is_recorded_and_not_answered(bridge, turns):
    entries = [each for each in lines(turns, hooks=True) if each.get("hook") == "chat.message"]

    answer = await bridge.call("event", events=entries)

    assert answer["accepted"] == len(entries)
    session = entries[0]["payload"]["input"]["sessionID"]
    message = entries[0]["payload"]["output"]["message"]["id"]
    assert bridge.parts.ledger.get(session, message) is None


async def test_what_could_not_be_stored_is_told_again_when_it_is_sent_again(
    bridge, turns, monkeypatch
):
    entries, append = list(lines(turns)), bridge.parts.tailing.append
    chance = random.Random(7)  # noqa: S311 - a disk's whims

    async def sometimes(make, size, *rest):
        if chance.random() < 0.3:
            raise Rejected("no space left")
        return await append(make, size, *rest)

    monkeypatch.setattr(bridge.parts.tailing, "append", sometimes)
    tries = 0
    while tries < 40 and (answer := await bridge.call("event", events=entries))["failed"]:
        assert answer["note"] == "no space left"
        tries += 1

    monkeypatch.undo()
    events = await stored(bridge)
    assert tries > 0
    assert sum(event.kind == "success" for event in events.values()) == 17
    prompts = Counter(event.content for event in events.values() if event.kind == "prompt")
    assert prompts.total() == 20 + 1  # and the one that nobody was to answer, at a later idle
    assert prompts["overflow please"] == 1


async def test_all_that_failed_is_counted_by_what_was_sent(bridge, turns, monkeypatch):
    async def never(*_):
        raise Rejected("no space left")

    monkeypatch.setattr(bridge.parts.tailing, "append", never)
    answer = await bridge.call("event", events=list(lines(turns)))

    assert answer["accepted"] == answer["duplicates"] == 0
    assert 50 < answer["failed"] <= answer["received"]


@pytest.mark.parametrize(
    "events", [None, {}, "x", [None] * 5001], ids=["none", "object", "text", "too many"]
)
async def test_what_is_no_list_of_events_is_refused(bridge, events):
    _, error = await bridge.app.dispatch("event", {"events": events})

    assert error["code"] == -32602
    assert error["message"].startswith("events: ")


async def test_a_way_that_nobody_knows_is_refused(bridge):
    with pytest.raises(InvalidRequest, match="origin"):
        await bridge.app.streaming.event({"events": [], "origin": "elsewhere"})


async def test_nonsense_among_events_costs_nothing(bridge, turns):
    nonsense = [None, 7, "x", [], {}, {"event": {}}, {"event": {"type": "session.idle"}},
                {"hook": "error", "payload": {}}, {"hook": "nope"}]  # fmt: skip

    answer = await bridge.call("event", events=[*nonsense, *list(lines(turns))[:20]])

    assert answer["failed"] == 0
    assert answer["accepted"] > 0


async def test_a_project_that_opted_out_is_left_alone(bridge, turns, tmp_path):
    (tmp_path / ".opencode-mem-off").touch()

    answer = await bridge.call("event", events=list(lines(turns)), cwd=str(tmp_path))

    assert (answer["accepted"], answer["failed"]) == (0, 0)
    assert "opted out" in answer["note"]
    assert await bridge.rows() == []


async def test_a_disabled_memory_takes_nothing(bridge, turns):
    bridge.hurry(disabled=True)

    answer = await bridge.call("event", events=list(lines(turns)))

    assert (answer["accepted"], answer["failed"]) == (0, 0)
    assert await bridge.rows() == []


async def test_requests_at_once_are_told_in_their_order(bridge, turns):
    entries = list(lines(turns))
    pieces = [entries[start : start + 7] for start in range(0, len(entries), 7)]

    answers = await asyncio.gather(*(bridge.call("event", events=piece) for piece in pieces))

    assert sum(answer["failed"] for answer in answers) == 0
    kinds = Counter(event.kind for event in (await stored(bridge)).values())
    assert (kinds["success"], kinds["prompt"], kinds["compaction"]) == (17, 20, 3)


async def test_many_events_leave_room_for_a_hook(bridge, turns):
    """Between any two looks of the loop only a little is done: others get their turn often."""
    looks = 0
    done = asyncio.Event()

    async def others():
        nonlocal looks
        while not done.is_set():
            looks += 1
            await asyncio.sleep(0)

    watching = asyncio.create_task(others())
    entries = list(lines(turns)) * 5
    began = time.perf_counter()
    await bridge.call("event", events=entries)
    spent = time.perf_counter() - began
    done.set()
    await watching

    assert looks > 100, spent
