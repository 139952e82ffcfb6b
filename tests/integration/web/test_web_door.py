"""HTTP's life: off, bound, answering, closed; its port, its token, and the method that opens it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat

import httpx
import pytest

from bridge.timeline import Timeline
from bridge.web.door import Door
from bridge.web.history import fill
from bridge.web.ports import listeners
from bridge.web.token_file import NAME, token_in
from memory_manager.errors import Unavailable
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.store import Spool


@pytest.fixture
async def make_door(tmp_path):
    made = []

    def make(port=0):
        async def dispatch(method, params):
            return {"method": method}, None

        door = Door(
            tmp_path, port, dispatch, Timeline(10, 1 << 20), lambda: "live",
            now=lambda: 1_800_000_000.0, touched=lambda: None,
        )  # fmt: skip
        made.append(door)
        return door

    yield make
    for door in made:
        await door.close(1.0)


async def asked(url, token=""):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        return await client.get("/api/status" if token else "/healthz")


async def test_it_is_off_until_somebody_asks_and_then_stays_where_it_is(make_door, tmp_path):
    door = make_door(port=None)
    assert (door.wanted, door.url, door.clients) == (False, None, 0)
    assert not (tmp_path / NAME).exists()

    first, second = await asyncio.gather(door.invite({}), door.invite({}))

    assert first["url"] == second["url"] == door.url
    assert first["code"] != second["code"]
    assert first["token_file"] == str(tmp_path / NAME)
    token = (tmp_path / NAME).read_text().strip()
    assert (await asked(door.url, token)).json() == {"method": "status"}
    assert token not in str(first)


async def test_its_address_is_known_before_it_answers_and_who_comes_early_waits(make_door):
    door = make_door()
    door.bind()
    door.bind()
    early = asyncio.create_task(asked(door.url))
    await asyncio.sleep(0)

    await door.start()

    assert (await early).json() == {"status": "live"}


async def test_both_addresses_of_this_machine_are_taken_so_that_localhost_is_ours(make_door):
    door = make_door()
    await door.start()
    port = int(door.url.rpartition(":")[2])

    for host in ("localhost", "127.0.0.1", "[::1]"):
        if host == "[::1]" and not has_ipv6():
            continue
        assert (await asked(f"http://{host}:{port}")).status_code == 200
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        assert other.getsockname()[1] != port


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_nobody_but_this_machine_can_reach_it():
    port, sockets = listeners(0)
    names = {item.getsockname()[0] for item in sockets}
    for item in sockets:
        item.close()

    assert names <= {"127.0.0.1", "::1"}
    assert port > 0


async def test_a_port_that_is_taken_is_said_with_its_mend_and_tried_again(make_door):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        door = make_door(port)
        for attempt in (door.start(), door.invite({})):
            with pytest.raises(Unavailable, match=rf"port {port} .*OPENCODE_MEM_PORT"):
                await attempt
        assert door.url is None

    await door.start()

    assert door.url == f"http://127.0.0.1:{port}"
    assert (await asked(door.url)).status_code == 200


async def test_once_closed_it_stays_closed(make_door):
    door = make_door()
    await door.start()
    url = door.url

    await door.close(5.0)
    await door.close(5.0)

    assert door.url is None
    with pytest.raises(httpx.ConnectError):
        await asked(url)
    with pytest.raises(Unavailable, match="ending"):
        await door.invite({})


async def test_a_door_that_was_only_bound_lets_go_of_its_port(make_door):
    door = make_door()
    door.bind()
    port = int(door.url.rpartition(":")[2])

    await door.close(1.0)

    with socket.socket() as other:
        other.bind(("127.0.0.1", port))


async def test_a_token_that_others_can_read_opens_nothing(make_door, tmp_path):
    token_in(tmp_path)
    (tmp_path / NAME).chmod(0o644)
    door = make_door()

    with pytest.raises(Unavailable, match=r"mode 644.*delete it"):
        await door.start()

    assert door.url is None
    (tmp_path / NAME).unlink()
    await door.start()
    assert (await asked(door.url)).status_code == 200


def test_the_token_is_made_once_for_its_owner_alone(tmp_path):
    previous = os.umask(0)
    try:
        token = token_in(tmp_path)
    finally:
        os.umask(previous)

    assert token_in(tmp_path) == token
    assert len(token) >= 43
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {NAME, "home"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"x" * 600,
        "ü".encode() * 40,
        b"a" * 40 + b"\x01",
        b"two words " * 5 + b"\n\n",
    ],
)
def test_a_file_that_holds_no_token_is_not_taken_for_one(tmp_path, content):
    path = tmp_path / NAME
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(Unavailable, match="http-token"):
        token_in(tmp_path)


def test_a_link_or_a_folder_is_no_token_file(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("t" * 43)
    elsewhere.chmod(0o600)
    (tmp_path / NAME).symlink_to(elsewhere)
    with pytest.raises(Unavailable):
        token_in(tmp_path)
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    with pytest.raises(Unavailable):
        token_in(tmp_path)
    with pytest.raises(Unavailable):
        token_in(tmp_path / "nowhere")


async def test_the_timeline_begins_with_the_spools_newest_rows(tmp_path):
    def event(number):
        kind = EventKind.SESSION if number % 10 == 0 else EventKind.NOTE
        return RawEvent(
            f"e{number}", "g", "s", kind, float(number), f"note {number}", {"type": "note"}
        )

    path = tmp_path / "spool.sqlite3"
    spool = Spool.open(path)
    for number in range(1, 451):
        spool.append([event(number)])
    timeline = Timeline(1000, 1 << 22)
    timeline.add(451, event(451))
    timeline.add(450, event(450))
    timeline.add(449, event(449))

    await fill(timeline, lambda: Spool.open(path, readonly=True), most=300)

    told = [entry.told()["event_id"] for entry in timeline.since(0, 1000)]
    wanted = [f"e{number}" for number in range(151, 449) if number % 10]
    assert told == [*wanted, "e451", "e449"]
    small = Timeline(20, 1 << 22)
    await fill(small, lambda: Spool.open(path, readonly=True))
    assert len(small) == 20
    assert small.evicted == 0
    spool.close()


async def test_an_empty_spool_fills_nothing(tmp_path):
    path = tmp_path / "spool.sqlite3"
    Spool.open(path).close()
    timeline = Timeline(10, 1 << 20)

    await fill(timeline, lambda: Spool.open(path, readonly=True))

    assert len(timeline) == 0
