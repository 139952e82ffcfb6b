"""The live stream: everything once and in order, resumed where it broke, cheap however slow one reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from contextlib import asynccontextmanager

import pytest

from bridge.timeline import Timeline
from bridge.web.stream import MOST_LISTENERS, Pace

#: No state and no heartbeat that a test has not asked for.
CALM = {"pace": Pace(heartbeat=3600.0, status=3600.0)}


@asynccontextmanager
async def listening(site, path="/api/stream", **headers):
    """An open stream; its events as (name, id, data), comments as ("", "", text)."""
    async with site.client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        yield Listener(answer)


class Listener:
    def __init__(self, answer):
        self.answer = answer
        self.lines = answer.aiter_lines()

    async def one(self):
        fields = {}
        async for line in self.lines:
            if not line:
                if "data" in fields:
                    return fields["event"], fields.get("id", ""), json.loads(fields["data"])
                if "" in fields:
                    return "", "", fields[""]
                fields = {}
                continue
            name, _, value = line.partition(": ")
            fields[name] = value
        raise EOFError

    async def named(self, *names):
        """The next event of one of these names."""
        while (event := await self.one())[0] not in names:
            pass
        return event

    async def names(self, count):
        return [(await self.named("episode"))[2]["event_id"] for _ in range(count)]


@pytest.fixture
async def calm(make_site):
    return await make_site(more=CALM)


async def test_what_happens_is_told_at_once_and_so_is_its_flush(calm):
    async with listening(calm) as listener:
        assert listener.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        calm.happen(1, "hostile <b>\n\ndata: {}\r\n\ud800")
        name, id_, episode = await listener.named("episode")
        calm.timeline.flushed("g", "s", 1, 1)
        flushed = await listener.named("flushed")

    assert (name, id_) == ("episode", f"r1-{calm.timeline.newest - 1}")
    assert episode["text"] == "hostile <b>\n\ndata: {}\r\n\ud800"
    assert (episode["group"], episode["session"], episode["pending"]) == ("g", "s", True)
    assert flushed[2] == {
        "group": "g", "session": "s", "first_at": 1.0, "last_at": 1.0, "uuids": [episode["uuid"]],
    }  # fmt: skip


async def test_what_was_before_is_only_told_to_who_asks_for_it(calm):
    for number in range(1, 6):
        calm.happen(number)

    async with listening(calm) as new, listening(calm, "/api/stream?recent=2") as asking:
        calm.happen(6)
        assert await new.names(1) == ["e6"]
        assert await asking.names(3) == ["e4", "e5", "e6"]


async def test_a_broken_stream_goes_on_where_it_was(calm):
    async with listening(calm) as listener:
        calm.happen(1)
        _, last, _ = await listener.named("episode")
    for number in range(2, 5):
        calm.happen(number)

    async with listening(calm, **{"last-event-id": last}) as listener:
        assert await listener.names(3) == ["e2", "e3", "e4"]


@pytest.mark.parametrize(
    "last", ["r0-4294967296", "r1-", "r1-x", "nonsense", "r1--5", "r1-0", "-", "r1-9" * 50]
)
async def test_who_comes_back_too_late_or_from_another_run_is_told_so_and_gets_the_newest(
    calm, last
):
    for number in range(1, 4):
        calm.happen(number)

    async with listening(calm, **{"last-event-id": last}) as listener:
        assert (await listener.one())[0] == ""
        assert (await listener.one())[0] == "reset"
        assert await listener.names(3) == ["e1", "e2", "e3"]


async def test_an_id_from_the_future_is_no_reason_to_wait_for_it(calm):
    async with listening(
        calm, **{"last-event-id": f"r1-{calm.timeline.newest + 1000}"}
    ) as listener:
        calm.happen(1)
        assert await listener.names(1) == ["e1"]


async def test_a_listener_that_was_overtaken_is_reset(make_site):
    site = await make_site(more=CALM, timeline=Timeline(50, 1 << 20))

    async with listening(site) as listener:
        await listener.one()
        for number in range(1, 201):
            site.happen(number)
        name, _, data = await listener.named("reset")
        assert await listener.names(50) == [f"e{number}" for number in range(151, 201)]

    assert (name, data) == ("reset", {"oldest": f"r1-{site.timeline.oldest}"})


@asynccontextmanager
async def unread(site):
    """A stream that nobody reads, over narrow buffers; its reader, its writer, our end of it."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)  # noqa: FBT003 - the standard library's way
    await asyncio.get_running_loop().sock_connect(slow, ("127.0.0.1", site.port))
    reader, writer = await asyncio.open_connection(sock=slow, limit=1 << 24)
    writer.transport.pause_reading()
    writer.write(
        f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        f"Authorization: Bearer {site.token}\r\n\r\n".encode()
    )
    await site.until(lambda: len(site.web.streams))
    (connection,) = site.connections
    ours = connection.transport.get_extra_info("socket")
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    try:
        yield reader, writer, connection
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def happen_until(site, condition):
    """Let things happen until it is so; how many."""
    number = 0
    while not condition():
        number += 1
        site.happen(number, f"{number} " + "x" * 1900)
        await asyncio.sleep(0.001)
    return number


async def test_a_slow_reader_costs_nothing_and_finds_its_way_back(make_site):
    site = await make_site(more=CALM, timeline=Timeline(100, 1 << 20))
    async with unread(site) as (reader, writer, connection):
        number = await happen_until(site, lambda: connection.flow.write_paused)
        stuck = connection.transport.get_write_buffer_size()

        async with listening(site) as quick:
            await quick.one()
            for extra in range(1, 301):
                site.happen(number + extra)
                if extra % 50 == 0:
                    await quick.names(50)

        assert connection.transport.get_write_buffer_size() <= stuck < 300_000
        writer.transport.resume_reading()
        await reader.readuntil(b"event: reset\n")
        await reader.readuntil(f'"event_id":"e{number + 300}"'.encode())


async def test_a_reader_that_reads_nothing_at_all_is_hung_up_on(make_site, monkeypatch):
    monkeypatch.setattr("bridge.web.serving._UNREAD_S", 0.05)
    site = await make_site(more=CALM)

    async with unread(site):
        await happen_until(site, lambda: not len(site.web.streams))
        await site.quiet()


async def test_the_state_is_told_now_and_then_to_all_and_asked_for_once(make_site):
    site = await make_site(more={"pace": Pace(heartbeat=3600.0, status=0.01)})
    site.answers["status"] = {"degradation": "live"}

    async with listening(site) as one, listening(site) as other:
        for listener in (one, other, one, other):
            assert (await listener.named("status"))[2] == {"degradation": "live"}
        site.answers["status"] = {"code": -32603, "message": "broken"}
        while (await one.named("status"))[2] != {"error": "broken"}:
            pass
    await site.until(lambda: not len(site.web.streams))
    asked = len(site.asked)
    assert {method for method, _ in site.asked} == {"status"}
    await asyncio.sleep(0.05)
    assert len(site.asked) == asked  # nobody listens, nobody asks


async def test_a_quiet_stream_shows_that_it_lives(make_site):
    site = await make_site(more={"pace": Pace(heartbeat=0.01, status=3600.0)})

    async with listening(site) as listener:
        comments = [await listener.one() for _ in range(4)]

    assert ("", "", "still here") in comments


async def test_only_so_many_may_listen(calm):
    held = [listening(calm) for _ in range(MOST_LISTENERS)]
    for each in held:
        await each.__aenter__()

    answer = await calm.client.get("/api/stream")

    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
    await held.pop().__aexit__(None, None, None)
    await calm.until(lambda: len(calm.web.streams) < MOST_LISTENERS)
    async with listening(calm) as listener:
        calm.happen(1)
        assert await listener.names(1) == ["e1"]
    for each in held:
        await each.__aexit__(None, None, None)


async def test_a_stream_takes_nothing_that_it_does_not_know(calm):
    for query in ("recent=501", "recent=-1", "recent=x", "since=1"):
        answer = await calm.client.get(f"/api/stream?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert len(calm.web.streams) == 0


async def test_open_streams_end_in_order_when_the_bridge_does(calm):
    async with listening(calm) as one, listening(calm) as other:
        await one.one()
        await other.one()

        await calm.server.close(5.0)

        for listener in (one, other):
            with pytest.raises(EOFError):
                await listener.named("episode")
    assert len(calm.web.streams) == 0


async def test_a_stream_that_nobody_reads_does_not_hold_up_the_end(calm, caplog):
    async with unread(calm) as (_, _, connection):
        await happen_until(calm, lambda: connection.flow.write_paused)

        await calm.server.close(0.5)

        assert not calm.connections
        assert len(calm.web.streams) == 0
    assert "Traceback" not in caplog.text
