"""What every cache does, the fake included. Real server for the real one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import valkey

from bridge.cache.keys import entry_key, stamps_key
from bridge.cache.link import LinkDown, ValkeyLink
from bridge.cache.protocol import (
    CacheOutcome,
    ContextCache,
    FakeCache,
    FakeServer,
    Found,
    NullCache,
    Ticket,
)
from bridge.cache.valkey import ValkeyCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HIT, MISS, OUTDATED, BYPASS = CacheOutcome
G, H = "g_1", "g_2"
K, L = entry_key(G, "k", 1500, 1), entry_key(G, "l", 1500, 1)
K_OF_H = entry_key(H, "k", 1500, 1)


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class FlakyLink(ValkeyLink):
    """A link that loses what is sent, or the replies to it, or waits for ever, when told so."""

    mode = ""

    async def exchange(self, commands):
        match self.mode:
            case "lost":
                raise LinkDown(self.mode)
            case "unanswered":
                await super().exchange(commands)
                raise LinkDown(self.mode)
            case "stuck":
                await asyncio.Event().wait()
        return await super().exchange(commands)


@dataclass
class FakeWorld:
    clock: Clock = field(default_factory=Clock)
    server: FakeServer = field(default_factory=FakeServer)

    def bridge(self) -> FakeCache:
        return FakeCache(self.clock, self.server)

    def fail(self, cache: FakeCache) -> None:
        cache.reachable = False

    def mend(self, cache: FakeCache) -> None:
        cache.reachable = True

    def evict_stamps(self, group: str) -> None:
        self.server.groups.pop(group, None)

    def evict_answer(self, key: str) -> None:
        self.server.answers.pop(key, None)

    def flush(self) -> None:
        self.server.groups.clear()
        self.server.answers.clear()

    async def close(self) -> None:
        return


@dataclass
class ValkeyWorld:
    socket: str
    clock: Clock = field(default_factory=Clock)
    patience: Clock = field(default_factory=Clock)
    bridges: list[ValkeyCache] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = valkey.Valkey(unix_socket_path=self.socket)
        self.server.flushall()

    def bridge(self) -> ValkeyCache:
        cache = ValkeyCache(FlakyLink(self.socket), clock=self.clock, monotonic=self.patience)
        self.bridges.append(cache)
        return cache

    def fail(self, cache: ValkeyCache, mode: str = "lost") -> None:
        cache._link.mode = mode

    def mend(self, cache: ValkeyCache) -> None:
        cache._link.mode = ""
        self.patience.now += 60.0

    def evict_stamps(self, group: str) -> None:
        self.server.delete(stamps_key(group))

    def evict_answer(self, key: str) -> None:
        self.server.delete(key)

    def flush(self) -> None:
        self.server.flushall()

    async def close(self) -> None:
        for cache in self.bridges:
            await cache.close()
        self.server.close()


@pytest.fixture(params=["fake", pytest.param("valkey", marks=pytest.mark.engine)])
async def world(request) -> AsyncIterator[FakeWorld | ValkeyWorld]:
    if request.param == "fake":
        made: FakeWorld | ValkeyWorld = FakeWorld()
    else:
        made = ValkeyWorld(request.getfixturevalue("valkey_server"))
    yield made
    await made.close()


@pytest.fixture
def cache(world) -> ContextCache:
    return world.bridge()


async def ticket(cache: ContextCache, group: str = G, key: str = K) -> Ticket:
    found = await cache.lookup(group, key)
    assert found.outcome in {MISS, OUTDATED}
    assert found.value is None
    assert found.ticket is not None
    return found.ticket


async def keep(cache: ContextCache, *paths: str, group: str = G, key: str = K) -> None:
    seen = await ticket(cache, group, key)
    assert await cache.fill(group, key, b"answer of " + key.encode(), paths, seen)
    assert await outcome(cache, group, key) is HIT


async def outcome(cache: ContextCache, group: str = G, key: str = K) -> CacheOutcome:
    found = await cache.lookup(group, key)
    assert (found.value is not None) == (found.outcome is HIT)
    return found.outcome


async def test_what_was_filled_is_found(cache):
    await keep(cache, "a.py")

    found = await cache.lookup(G, K)

    assert found.outcome is HIT
    assert found.value == b"answer of " + K.encode()


@pytest.mark.parametrize("value", [b"", b"\x00\r\n$-1\r\n", bytes(range(256)) * 400])
async def test_any_bytes_come_back_as_they_went(cache, value):
    assert await cache.fill(G, K, value, ["a"], await ticket(cache))

    assert (await cache.lookup(G, K)).value == value


async def test_one_question_says_nothing_about_another(cache):
    await keep(cache, "a.py")

    assert await outcome(cache, key=L) is MISS


async def test_a_write_outdates_what_depends_on_its_path(cache):
    await keep(cache, "a.py", "b.py")

    assert await cache.invalidate(G, ["b.py"])

    assert await outcome(cache) is OUTDATED


async def test_a_write_spares_other_paths_and_other_groups(cache):
    await keep(cache, "a.py")
    await keep(cache, "b.py", key=L)
    await keep(cache, "b.py", group=H, key=K_OF_H)

    assert await cache.invalidate(G, ["b.py", "c.py"])

    assert await outcome(cache) is HIT
    assert await outcome(cache, key=L) is OUTDATED
    assert await outcome(cache, H, K_OF_H) is HIT


async def test_an_answer_that_depends_on_nothing_survives_every_write(cache):
    await keep(cache)

    assert await cache.invalidate(G, ["a.py"])

    assert await outcome(cache) is HIT


async def test_a_fill_that_began_before_a_write_is_refused(cache):
    seen = await ticket(cache)
    assert await cache.invalidate(G, ["a.py"])

    assert not await cache.fill(G, K, b"old", ["a.py"], seen)

    assert await outcome(cache) is MISS


async def test_a_fill_that_began_before_a_write_elsewhere_is_kept(cache):
    seen = await ticket(cache)
    assert await cache.invalidate(G, ["b.py"])

    assert await cache.fill(G, K, b"fine", ["a.py"], seen)

    assert await outcome(cache) is HIT


async def test_an_outdated_answer_can_be_filled_anew(cache):
    await keep(cache, "a.py")
    assert await cache.invalidate(G, ["a.py"])

    await keep(cache, "a.py")


async def test_many_paths_are_like_few(cache):
    paths = [f"src/{number}.py" for number in range(1500)]
    await keep(cache, *paths)
    assert await cache.invalidate(G, [f"other/{number}.py" for number in range(1500)])
    assert await outcome(cache) is HIT

    assert await cache.invalidate(G, [*(f"more/{n}.py" for n in range(1200)), paths[-1]])

    assert await outcome(cache) is OUTDATED


async def test_writing_nothing_outdates_nothing(cache):
    await keep(cache, "a.py")

    assert await cache.invalidate(G, [])

    assert await outcome(cache) is HIT


async def test_without_a_ticket_nothing_is_kept(cache):
    assert not await cache.fill(G, K, b"x", [], None)

    assert await outcome(cache) is MISS


async def test_a_ticket_of_another_incarnation_is_refused(cache):
    seen = await ticket(cache)

    assert not await cache.fill(G, K, b"x", [], Ticket(b"?" * 16, seen.sequence, seen.at))


async def test_rotation_outdates_the_whole_group_and_no_other(cache):
    await keep(cache)
    await keep(cache, "b.py", key=L)
    await keep(cache, group=H, key=K_OF_H)
    seen = await ticket(cache, key=entry_key(G, "m", 1, 1))

    assert await cache.rotate(G)

    assert await outcome(cache) is MISS
    assert await outcome(cache, key=L) is MISS
    assert await outcome(cache, H, K_OF_H) is HIT
    assert not await cache.fill(G, K, b"old", [], seen)


async def test_lost_stamps_make_every_answer_and_ticket_of_the_group_void(world, cache):
    await keep(cache, "a.py")
    seen = await ticket(cache, key=L)

    world.evict_stamps(G)

    assert not await cache.fill(G, L, b"old", [], seen)
    assert await outcome(cache) is MISS
    assert not await cache.fill(G, L, b"old", [], seen)
    await keep(cache, "a.py")


async def test_a_write_after_the_stamps_were_lost_still_counts(world, cache):
    seen = await ticket(cache)
    world.evict_stamps(G)

    assert await cache.invalidate(G, ["a.py"])

    assert not await cache.fill(G, K, b"old", ["a.py"], seen)
    assert await outcome(cache) is MISS


async def test_a_lost_answer_is_a_miss(world, cache):
    await keep(cache, "a.py")

    world.evict_answer(K)

    assert await outcome(cache) is MISS


async def test_a_flushed_server_is_a_miss(world, cache):
    await keep(cache, "a.py")
    seen = await ticket(cache, key=L)

    world.flush()

    assert not await cache.fill(G, L, b"old", [], seen)
    assert await outcome(cache) is MISS


async def test_bridges_share_answers_and_writes(world, cache):
    other = world.bridge()
    await ticket(other)
    await keep(cache, "a.py")

    assert await outcome(other) is HIT
    assert await other.invalidate(G, ["a.py"])
    assert await outcome(cache) is OUTDATED


async def test_a_new_bridge_trusts_nothing_that_it_finds(world, cache):
    await keep(cache, "a.py")
    other = world.bridge()

    assert await outcome(other) is MISS
    await keep(other, "a.py")
    assert await outcome(cache) is HIT


async def test_an_answer_ages_from_its_ticket_and_ends_with_its_ttl(world, cache):
    seen = await ticket(cache)
    world.clock.now += 200
    assert await cache.fill(G, K, b"x", [], seen)

    world.clock.now += 99
    assert await outcome(cache) is HIT
    world.clock.now += 1
    assert await outcome(cache) is MISS


async def test_a_fill_slower_than_the_ttl_is_refused(world, cache):
    seen = await ticket(cache)
    world.clock.now += 300

    assert not await cache.fill(G, K, b"x", [], seen)


async def test_out_of_reach_everything_bypasses(world, cache):
    await keep(cache, "a.py")
    seen = await ticket(cache, key=L)
    world.fail(cache)

    assert await cache.lookup(G, K) == Found(BYPASS)
    assert not await cache.fill(G, L, b"x", [], seen)
    assert not await cache.invalidate(G, ["a.py"])
    assert not await cache.rotate(G)
    assert await cache.lookup(G, K) == Found(BYPASS)
    assert not cache.healthy

    world.mend(cache)
    assert await outcome(cache) is MISS
    assert cache.healthy


@pytest.mark.parametrize("attempts", [1, 10])
async def test_after_a_failed_invalidation_nothing_old_of_the_group_is_found(
    world, cache, attempts
):
    await keep(cache, "a.py")
    seen = await ticket(cache, key=L)
    world.fail(cache)
    for _ in range(attempts):
        assert not await cache.invalidate(G, ["a.py"])
    world.mend(cache)

    assert not await cache.fill(G, L, b"old", ["a.py"], seen)
    assert await outcome(cache) is MISS


async def test_a_failed_invalidation_reaches_other_bridges_with_any_later_call(world, cache):
    other = world.bridge()
    await ticket(other)
    await keep(cache, "a.py")
    world.fail(cache)
    assert not await cache.invalidate(G, ["a.py"])
    world.mend(cache)

    await cache.lookup(H, K_OF_H)

    assert await outcome(other) is MISS


async def test_a_closed_cache_bypasses(world, cache):
    await keep(cache, "a.py")

    await cache.close()
    await cache.close()

    assert await outcome(cache) is BYPASS
    assert not await cache.invalidate(G, ["a.py"])
    assert not cache.healthy


async def test_many_at_once_do_not_mix_their_answers(cache):
    keys = [entry_key(G, str(number), 1, 1) for number in range(40)]
    for key in keys:
        await keep(cache, "a.py", key=key)

    found = await asyncio.gather(*(cache.lookup(G, key) for key in keys))

    assert [one.value for one in found] == [b"answer of " + key.encode() for key in keys]


@pytest.mark.engine
@pytest.mark.parametrize("mode", ["unanswered", "stuck"])
async def test_an_invalidation_cut_short_is_made_up_for(valkey_server, mode):
    world = ValkeyWorld(valkey_server)
    cache = world.bridge()
    await keep(cache, "a.py")
    await keep(cache, "b.py", key=L)
    world.fail(cache, mode)
    cut = asyncio.create_task(cache.invalidate(G, ["a.py"]))
    await asyncio.sleep(0)
    if mode == "stuck":
        cut.cancel()
    await asyncio.wait([cut])
    assert cut.cancelled() or not cut.result()
    world.mend(cache)

    assert await outcome(cache, key=L) is MISS
    await world.close()


async def test_no_cache_bypasses_and_owes_nothing():
    cache: ContextCache = NullCache()

    assert await cache.lookup(G, K) == Found(BYPASS)
    assert not await cache.fill(G, K, b"x", [], Ticket(b"i" * 16, 0, 0.0))
    assert await cache.invalidate(G, ["a.py"])
    assert await cache.rotate(G)
    assert not cache.healthy
    await cache.close()


@pytest.mark.engine
async def test_a_rush_of_questions_is_no_fault_of_the_server(valkey_server):
    """Their turns take longer than one question may: the late ones pass the cache by, no more."""
    link = ValkeyLink(valkey_server, timeout=0.1)
    cache = ValkeyCache(link)
    await cache.lookup("g_rush", "k")
    async with link._lock:
        rush = [asyncio.create_task(cache.lookup("g_rush", "k")) for _ in range(20)]
        found = await asyncio.gather(*rush)

    assert {one.outcome for one in found} == {CacheOutcome.BYPASS}
    assert cache.healthy
    assert (await cache.lookup("g_rush", "k")).outcome is CacheOutcome.MISS
    await cache.close()
