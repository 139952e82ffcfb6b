"""The crash suite: a replay, a kill, a restart, a comparison; again and again, from one seed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.crash import alone, spool_file, victims
from bridge.crash.check import (
    Model,
    check_drained,
    check_graph,
    check_spool,
    check_summaries,
    expected,
)
from bridge.crash.clients import Clients
from bridge.crash.copies import Copies
from bridge.crash.moments import Moment, Watch
from bridge.crash.record import Kill, Record
from bridge.crash.victims import Target
from bridge.crash.workload import CWD, Workload
from bridge.sandbox import Sandbox, sandbox
from bridge.server import sockets_folder
from memory_manager.errors import MemoryFault, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memory_manager.model import Json

#: A bridge in a hurry: it flushes at every pause. Nothing is given up, however often it is hit.
SETTINGS = {
    "OPENCODE_MEM_RAW_EVENTS_DEBOUNCE_MS": "60",
    "OPENCODE_MEM_RAW_EVENTS_SWEEPER_IDLE_MS": "150",
    "OPENCODE_MEM_RAW_EVENTS_SWEEPER_INTERVAL_MS": "100",
    "OPENCODE_MEM_RAW_EVENTS_MAX_FLUSH_ATTEMPTS": "1000",
    "OPENCODE_MEM_CHAT_DEADLINE_MS": "5000",
    "OPENCODE_MEM_HOOK_DEADLINE_MS": "30000",
}
#: Who is killed when no bridge is concerned.
_ALONE = "a process alone"
#: Kills from one comparison of the graph to the next.
_BETWEEN = 5
#: Longest waits, in seconds: for all answers after a restart, for everything to be flushed.
_ANSWERS_S, _DRAIN_S = 60.0, 120.0

#: What is struck when: every process in every moment that it has a part in, and processes that
#: work on a spool by themselves.
STRIKES: tuple[tuple[Target, Moment] | str, ...] = (
    *((Target.BRIDGE, moment) for moment in Moment),
    *((Target.ALL, moment) for moment in Moment),
    *((Target.WORKER, moment) for moment in Moment if moment is not Moment.APPEND),
    *((Target.FALKORDB, moment) for moment in Moment if moment is not Moment.APPEND),
    (Target.VALKEY, Moment.APPEND),
    (Target.VALKEY, Moment.RANDOM),
    *alone.WORKS,
    *alone.WORKS,
)


def run(kills: int, seed: int, told: Callable[[Record], None]) -> Record:
    """Strike `kills` times, compare, and stop at the first fault.

    Args:
        kills: how many.
        seed: of the replay, the targets, the moments and the delays.
        told: called after every kill and comparison.
    """
    record = Record(seed)
    began = time.monotonic()
    with sandbox(SETTINGS) as box:
        box.start()
        box.until_live()
        with Clients(box.socket) as clients:
            replay = Replay(box, clients, record, random.Random(seed))  # noqa: S311 - to be repeatable
            copies = Copies(box.folder / "alone", box.environment, random.Random(seed))  # noqa: S311 - as above
            for strike in islice(_strikes(random.Random(seed)), kills):  # noqa: S311 - as above
                try:
                    if isinstance(strike, str):
                        replay.kill_alone(copies, strike)
                    else:
                        replay.kill(*strike)
                    if len(record.kills) % _BETWEEN == 0 or len(record.kills) == kills:
                        replay.compare()
                except (MemoryFault, OSError, AssertionError) as fault:
                    replay.stopped(strike, fault)
                record.seconds = time.monotonic() - began
                told(record)
                if not record.sound:
                    break
    return record


def _strikes(chance: random.Random) -> Iterator[tuple[Target, Moment] | str]:
    """All of them in random order, then all again in another."""
    while True:
        yield from chance.sample(STRIKES, len(STRIKES))


@dataclass(slots=True)
class Replay:
    """One bridge, its clients, and what is known of both."""

    box: Sandbox
    clients: Clients
    record: Record
    chance: random.Random
    model: Model = field(default_factory=Model)
    _rounds: Iterator[list[Any]] = field(init=False)
    _seen: int = 0

    def __post_init__(self) -> None:
        self._rounds = Workload(self.chance).rounds()

    @property
    def spool(self) -> Path:
        """The spool's file."""
        return self.box.folder / "data" / "spool.sqlite3"

    def kill(self, target: Target, moment: Moment) -> None:
        """A round of requests, with a kill in it; on return the bridge is whole again."""
        pids = self._whole()
        deliveries = next(self._rounds)
        self.model.give(deliveries)
        graph = sockets_folder(Path(self.box.socket)) / "falkordb.sock"
        watch = Watch(self.spool, graph, self.clients, self.chance)
        self.clients.give(deliveries, self.chance.choice((0.0, 0.0, 0.01, 0.03)))
        met = watch.until(moment)
        if target in (Target.WORKER, Target.ALL):
            pids = self._with_worker(pids)
        struck = time.monotonic()
        victims.kill(victims.chosen(target, pids))
        if target in (Target.BRIDGE, Target.ALL):
            victims.gone(list(pids.values()))  # nobody outlives the bridge
            self.box.start()
        victims.pids_of(self.box)
        answers = time.monotonic() - struck
        self._live()
        live = time.monotonic() - struck
        self._answered()
        number = len(self.record.kills) + 1
        self.record.kills.append(Kill(number, target, moment, met, answers, live))
        self.record.resent = self.clients.resent
        check_spool(self.model, spool_file.view(self.spool), self.record.found)
        self._check_given()
        self._explain(f"kill {number}: {target} at {moment}")

    def kill_alone(self, copies: Copies, work: str) -> None:
        """A process that works on a spool without a bridge, and the next one that does."""
        struck = copies.strike(work, self.record.found)
        number = len(self.record.kills) + 1
        kill = Kill(number, _ALONE, work, struck.met, struck.mended_s, struck.mended_s)
        self.record.kills.append(kill)
        self._explain(f"kill {number}: {_ALONE} at {work}")

    def compare(self) -> None:
        """Have everything flushed, and hold the graph against the model."""
        found = self.record.found
        try:
            self._drain()
        except Unavailable as fault:
            found.faults.append(str(fault))
        view = spool_file.view(self.spool)
        check_spool(self.model, view, found)
        check_drained(view, found)
        self.record.events = len(view.events)
        self.record.episodes = self.record.facts = 0
        for wanted in asyncio.run(expected(view)).values():
            export = self._export(wanted["group"])
            self.record.episodes += len(export["episodes"])
            self.record.facts += len(export["facts"])
            check_graph(view, wanted, export, found)
            check_summaries(spool_file.summaries(self.spool), export, found)
        self.record.compared += 1
        self._explain(f"the comparison after kill {len(self.record.kills)}")

    def stopped(self, strike: tuple[Target, Moment] | str, fault: Exception) -> None:
        """It did not come back: that is a fault too."""
        what = strike if isinstance(strike, str) else " at ".join(strike)
        self.record.found.faults.append(f"{type(fault).__name__}: {fault}")
        self._explain(f"kill {len(self.record.kills) + 1} or its comparison ({what})")

    def _explain(self, where: str) -> None:
        """Faults are told with what it takes to see them again."""
        faults = self.record.found.faults
        for place in range(self._seen, len(faults)):
            faults[place] = f"seed {self.record.seed}, {where}: {faults[place]}"
        self._seen = len(faults)

    def _whole(self) -> dict[str, int]:
        self._live()
        return victims.pids_of(self.box)

    def _with_worker(self, pids: dict[str, int]) -> dict[str, int]:
        """With the worker that there is now: it is started when it is needed."""
        until = time.monotonic() + _ANSWERS_S
        while "worker" not in pids or not victims.runs(pids["worker"]):
            pids = victims.pids_of(self.box)
            if time.monotonic() > until:
                raise Unavailable("no flush worker comes")
            time.sleep(0.005)
        return pids

    def _live(self) -> None:
        until = time.monotonic() + _ANSWERS_S
        while True:
            with contextlib.suppress(OSError, Unavailable), self.box.line() as line:
                status = line.call("status")
                if isinstance(status, dict) and status["degradation"] == "live":
                    return
            if time.monotonic() > until:
                raise Unavailable(f"the bridge is not whole after {_ANSWERS_S:.0f} s")
            time.sleep(0.01)

    def _answered(self) -> None:
        """All requests are acknowledged, by the bridge that came after the kill if need be."""
        until = time.monotonic() + _ANSWERS_S
        while self.clients.waiting:
            if time.monotonic() > until:
                raise Unavailable(f"{self.clients.waiting} requests are not answered")
            time.sleep(0.005)
        self.record.found.add("answers that nobody should get", self.clients.refused)
        self.record.requests = len(self.clients.acknowledged)
        self.model.answered(self.clients.acknowledged)

    def _check_given(self) -> None:
        """What a message was given before the kill, it is given after it."""
        asked: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for project, session, message in list(self.clients.given):
            asked[project, session].append(message)
        changed: list[str] = []
        with self.box.line() as line:
            for (project, session), messages in asked.items():
                payload: Json = {"session_id": session, "message_ids": [*messages]}
                where: dict[str, Json] = {"cwd": CWD, "project": project}
                reply: Any = line.call("hook", name="context:replay", payload=payload, **where)
                for message in messages:
                    given = self.clients.given[project, session, message]
                    if reply["blocks"].get(message) != given:
                        changed.append(message)
        self.record.given = len(self.clients.given)
        self.record.found.add("messages that are given something else now", changed)

    def _drain(self) -> None:
        until = time.monotonic() + _DRAIN_S
        while True:
            with contextlib.suppress(OSError, MemoryFault), self.box.line() as line:
                line.call("flush")
                status: Any = line.call("status")
                if not status["spool"]["pending"]:
                    return
            if time.monotonic() > until:
                raise Unavailable("what waits can't be flushed")
            time.sleep(0.01)

    def _export(self, group: str) -> Any:  # noqa: ANN401 - JSON
        path = self.box.folder / "export.json"
        with self.box.line() as line:
            line.call("export", path=str(path), group=group, cwd=CWD)
        return json.loads(path.read_text(encoding="utf-8"))
