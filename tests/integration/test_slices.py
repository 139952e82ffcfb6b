"""What is large is worked off in slices, or on another thread: others get their turn in between."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from types import SimpleNamespace

import pytest

from bridge import bulky, others, server, showing
from bridge import episodes as showing_one
from bridge.passages import Passages
from bridge.server import SocketServer
from bridge.slices import SLICE
from memory_manager import reporting
from memory_manager.model import EventKind, RawEvent
from memory_manager.project import Project
from memory_manager.spool.private import START
from memory_manager.spool.store import Spool

PROJECT = Project("g", "p", "/project")


class Turns:
    """Counts what is done between two turns of the loop, for as long as it is open."""

    def __init__(self):
        self.counts = Counter()
        self.most = Counter()
        self.turns = 0

    def did(self, name):
        self.counts[name] += 1
        self.most[name] = max(self.most[name], self.counts[name])

    def noted(self, name, function):
        def wrapped(*args, **kwargs):
            self.did(name)
            return function(*args, **kwargs)

        return wrapped

    def _turn(self):
        self.turns += 1
        self.counts.clear()
        self._next = asyncio.get_running_loop().call_soon(self._turn)

    def __enter__(self):
        self._turn()
        return self

    def __exit__(self, *_):
        self._next.cancel()


def notes(count, **metadata):
    return [
        {"id": f"e{number}", "session": "s", "kind": "note", "content": f"note {number}",
         "metadata": metadata}
        for number in range(count)
    ]  # fmt: skip


@pytest.fixture
def elsewhere(monkeypatch):
    """Notes on which threads a function of a module ran."""

    def watch(module, name):
        ran, function = [], getattr(module, name)

        def noted(*args, **kwargs):
            ran.append(threading.current_thread() is not threading.main_thread())
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, noted)
        return ran

    return watch


async def group_of(bridge):
    return (await bridge.call("projects"))["projects"][0]["group"]


async def test_a_long_ingest_gives_others_their_turn_and_is_findable_when_it_is_answered(
    bridge, monkeypatch
):
    tailing = bridge.parts.tailing
    added = []
    with Turns() as turns:
        add = tailing.tail.add
        monkeypatch.setattr(
            tailing.tail, "add", lambda seq, event: (turns.did("tail"), added.append(seq), add(seq, event))
        )  # fmt: skip
        monkeypatch.setattr(
            reporting, "part_of_item", turns.noted("standings", reporting.part_of_item)
        )
        answer = await bridge.call("ingest", events=notes(7 * SLICE + 3), project="p")
        found = len(tailing.tail)

    assert answer["inserted"] == found == 7 * SLICE + 3
    assert added == sorted(added)
    assert turns.most["tail"] <= SLICE
    assert turns.most["standings"] <= SLICE
    looks = tailing.others.look_soon()
    assert not tailing.others.behind(looks)


async def test_few_events_are_taken_in_at_once(bridge):
    tailing = bridge.parts.tailing
    event = RawEvent("e", "g", "s", EventKind.NOTE, 1.0, "a note", {})

    with pytest.raises(StopIteration):
        tailing._take([(seq, event, None) for seq in range(SLICE)]).send(None)

    assert len(tailing.tail) == SLICE


async def test_what_others_wrote_is_taken_in_in_slices(bridge, monkeypatch):
    spool = Spool.open(bridge.app.memory_settings.spool_path)
    spool.append(
        [RawEvent(f"x{n}", "g", "s", EventKind.NOTE, 1.0, f"note {n}", {}) for n in range(400)]
    )
    spool.close()
    tail = bridge.parts.tailing.tail
    with Turns() as turns:
        monkeypatch.setattr(tail, "add", turns.noted("tail", tail.add))
        await bridge.parts.tailing.load()

    assert len(tail) == 400
    assert others._ROWS > SLICE >= turns.most["tail"]


async def test_what_is_flushed_while_it_is_taken_in_waits_for_no_other_flush(bridge):
    tailing, timeline = bridge.parts.tailing, bridge.app.timeline
    rows = [
        (seq, RawEvent(f"e{seq}", "g", "s", EventKind.NOTE, 1.0, f"note {seq}", {}), None)
        for seq in range(1, 4 * SLICE)
    ]
    taking = asyncio.create_task(tailing._take(rows))
    await asyncio.sleep(0)
    tailing.flushed(SimpleNamespace(group="g", session="s", first_seq=1, last_seq=4 * SLICE))
    assert 0 < len(tailing.tail) < len(rows)
    await taking

    assert not any(entry.pending for entry in timeline.since(0, 10**6) if entry.name == "episode")
    while tailing.tail.overdue(1e12):
        tailing.tail.expire(1e12)
    assert len(tailing.tail) == 0


async def test_who_no_longer_waits_leaves_nothing_half_taken_in(bridge):
    tailing = bridge.parts.tailing
    event = RawEvent("e", "g", "s", EventKind.NOTE, 1.0, "a note", {})
    taking = asyncio.create_task(tailing._take([(seq, event, None) for seq in range(4 * SLICE)]))
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait({taking})
    await tailing.close()

    assert len(tailing.tail) == 4 * SLICE


async def test_old_events_leave_in_slices(bridge, monkeypatch):
    tail = bridge.parts.tailing.tail
    for seq in range(2000):
        tail.add(seq, RawEvent(f"e{seq}", "g", "s", EventKind.NOTE, 1.0, "a note", {}))
    tail.flushed(range(2000), 1.0)
    with Turns() as turns:
        monkeypatch.setattr(tail, "_remove", turns.noted("left", tail._remove))
        await bridge.parts.tailing.upkeep()

    assert len(tail) == 0
    assert turns.most["left"] <= 500


async def test_a_report_stands_behind_a_long_one_that_came_before_it():
    passages = Passages()
    long = [*notes(4 * SLICE), *notes(1, message_id="m")]
    long[-1] |= {"id": "first", "content": "before <private> hidden"}
    (after,) = notes(1, message_id="m")
    first = asyncio.create_task(passages.of_ingest(long, PROJECT))
    await asyncio.sleep(0)
    assert not first.done()
    (standing,) = await passages.of_ingest([{**after, "id": "second"}], PROJECT)

    assert first.done()
    assert standing != START


async def test_short_reports_wait_for_nothing_when_no_long_one_is_under_way():
    with pytest.raises(StopIteration):
        Passages().of_ingest(notes(SLICE), PROJECT).send(None)


async def test_episodes_of_what_waits_are_made_elsewhere(bridge, elsewhere):
    await bridge.call("ingest", events=notes(5), project="p")
    ran = elsewhere(showing, "episode_of")
    group = await group_of(bridge)
    shown = (await bridge.call("episodes", group=group))["episodes"]

    assert len(shown) == 5
    assert ran == [True] * 5


async def test_of_what_waits_only_the_episode_that_is_asked_for_is_made(bridge, monkeypatch):
    await bridge.call("ingest", events=notes(5), project="p")
    group = await group_of(bridge)
    asked = (await bridge.call("episodes", group=group))["episodes"][2]
    made, episode_of = [], showing_one.episode_of

    def noted(event):
        made.append(threading.current_thread() is threading.main_thread())
        return episode_of(event)

    monkeypatch.setattr(showing_one, "episode_of", noted)
    shown = await bridge.call("episode", group=group, uuid=asked["uuid"])

    assert shown["text"] == asked["text"]
    assert made == [False]


async def test_what_is_flushed_during_the_look_is_shown(bridge, monkeypatch):
    await bridge.call("ingest", events=notes(1), project="p")
    group, memory = await group_of(bridge), bridge.parts.memory
    episodes, episode = memory.episodes, memory.episode

    async def listed(*args, **kwargs):
        page = await episodes(*args, **kwargs)
        await bridge.call("flush")
        return page

    monkeypatch.setattr(memory, "episodes", listed)
    (shown,) = (await bridge.call("episodes", group=group))["episodes"]
    assert shown["text"] == "note 0"

    await bridge.call("ingest", events=[{**notes(1)[0], "id": "later"}], project="p")
    (row,) = [row for row in await bridge.rows() if row.event.event_id == "later"]
    uuid = reporting.episode_uuid(group, row.event.event_id)

    async def one(*args, **kwargs):
        found = await episode(*args, **kwargs)
        await bridge.call("flush")
        return found

    monkeypatch.setattr(memory, "episode", one)
    assert (await bridge.call("episode", group=group, uuid=uuid))["uuid"] == uuid


async def test_injections_are_read_elsewhere(bridge, elsewhere):
    ran = elsewhere(type(bridge.parts.ledger), "newest")
    await bridge.call("injections", group="g")

    assert ran == [True]


async def test_a_large_answer_is_encoded_elsewhere_over_the_socket(own_folders, elsewhere):
    ran = elsewhere(server, "_in_pieces")
    large = {"projects": [{"name": "x"}] * 500}

    async def dispatch(method, _params):
        return ({} if method == "small" else large), None

    path = own_folders / "run" / "t.sock"
    listening = SocketServer(path, dispatch, lambda: None)
    await listening.listen()
    reader, writer = await asyncio.open_unix_connection(str(path))
    for number, method in enumerate(("small", "large")):
        request = {"jsonrpc": "2.0", "id": number, "method": method}
        writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await reader.readline())
        assert answer == {"jsonrpc": "2.0", "id": number, "result": (await dispatch(method, {}))[0]}
    writer.close()
    await writer.wait_closed()
    await listening.close(5.0)

    assert ran == [True]
    assert bulky.bulky(large)
