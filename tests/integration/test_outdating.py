"""Any interleaving of questions and writes: nothing outdated is given out, nothing new is hidden.

Whole bridges, one after the other on the same data, and another process that appends beside them.
Each file is written under every spelling that it has; the oracle knows only which file it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from bridge.app import App
from bridge.cache.link import LinkDown, ValkeyLink
from bridge.cache.protocol import FakeCache, FakeServer
from bridge.cache.valkey import ValkeyCache
from bridge.settings import BridgeSettings
from memory_manager import append, contract, wire
from memory_manager.memory import FakeMemory
from memory_manager.model import Answer, Hit
from memory_manager.project import identify
from memory_manager.settings import MemorySettings
from memory_manager.spool.batches import Batch, BatchState
from metrics.settings import MetricsSettings

FILES = ("src/a.py", "src/b.py", "src/c.py", "src/d.py")
#: What each question depends on: the file that it names, and those in the facts of its answer.
DEPENDS = {"src/a.py": {"src/a.py", "src/b.py"}, "src/c.py": {"src/c.py"}, "colour": {"src/d.py"}}
GROUP = identify("/", "p").group
files = st.sampled_from(FILES)
topics = st.sampled_from(list(DEPENDS))
spellings = st.integers(0, 8)


@dataclass
class Place:
    """A repository with a worktree, and links into it from outside and inside."""

    root: Path
    worktree: Path
    link: Path

    def spelled(self, path: str, how: int) -> tuple[str, str]:
        """One way to write `path`, and the folder in which it is meant."""
        name = path.removeprefix("src/")
        here = str(self.root)
        return (
            (path, here),
            (f"{here}/{path}", here),
            (f"./{path}", here),
            (f"src/../{path}", here),
            (name if "/" in name else f"./{name}", f"{here}/src"),
            (f"{self.link}/{path}", here),
            (f"lib/{name}", here),
            (f"{self.worktree}/{path}", here),
            (path, str(self.worktree)),
        )[how]


@pytest.fixture(scope="module")
def place():
    top = Path(tempfile.mkdtemp(prefix="ogm-o-", dir="/tmp")).resolve()
    made = Place(top / "repo", top / "tree", top / "link")
    (made.root / "src").mkdir(parents=True)
    for path in FILES:
        (made.root / path).write_text("x = 1\n")
    (made.root / "lib").symlink_to("src")
    made.link.symlink_to(made.root)
    for words in (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"),
        ("worktree", "add", "-q", str(made.worktree)),
    ):
        subprocess.run(["git", *words], cwd=made.root, check=True)
    yield made
    shutil.rmtree(top)


class Told(FakeMemory):
    """A graph whose answers depend on what `DEPENDS` says; `gate` holds them back."""

    gate: asyncio.Event | None = None
    waiting: asyncio.Event | None = None

    async def query(self, query):
        topic = next((name for name in DEPENDS if name in query.paths), "colour")
        if topic not in query.text and "colour" in query.text:
            topic = "colour"
        elif topic == "colour" and "colour" not in query.text:
            return Answer()
        if self.gate is not None:
            self.waiting.set()
            await self.gate.wait()
        paths = tuple(sorted(DEPENDS[topic]))
        hit = Hit(f"u-{topic}", "fact", f"fact of {topic}", 1.0, 1.0, paths=paths)
        return Answer((hit,), paths)


class FlakyLink(ValkeyLink):
    down = False

    async def exchange(self, commands):
        if self.down:
            raise LinkDown("down")
        return await super().exchange(commands)


class Fakes:
    def __init__(self):
        self.server = FakeServer()

    def cache(self):
        return FakeCache(time.time, self.server)

    def break_(self, cache, *, broken):
        cache.reachable = not broken


class Valkeys:
    def __init__(self, socket):
        self.socket = socket
        self.patience = 0.0

    def cache(self):
        link = FlakyLink(self.socket, timeout=2.0)
        return ValkeyCache(link, 300.0, time.time, lambda: self.patience)

    def break_(self, cache, *, broken):
        cache._link.down = broken
        self.patience += 120.0


@dataclass
class Filled:
    """What the oracle knows of a cached answer: may it be given out, and must it be?"""

    depends: set[str]
    outdated: bool = False
    owed: bool = True


@dataclass
class Truth:
    filled: dict[str, Filled] = field(default_factory=dict)

    def wrote(self, *paths):
        for answer in self.filled.values():
            answer.outdated |= not answer.depends.isdisjoint(paths)

    def lost(self):
        for answer in self.filled.values():
            answer.owed = False


class Outdating(RuleBasedStateMachine):
    place: Place
    engines = Fakes

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ogm-m-", dir="/tmp"))
        (self.folder / "run").mkdir(mode=0o700)
        self.runner = asyncio.Runner()
        self.numbers = count(1)
        self.truth = Truth()
        self.engine = self.engines()
        self.begin()

    def begin(self):
        self.app = App(
            MemorySettings(data_dir=self.folder / "data"),
            BridgeSettings(
                socket=str(self.folder / "run" / "b.sock"),
                chat_deadline_ms=60_000,
                hook_deadline_ms=60_000,
            ),
            MetricsSettings(),
        )
        self.runner.run(self.app.open())
        self.app.parts.memory = Told()
        self.app.parts.graph_came.set()
        self.app.parts.cache = self.engine.cache()

    def teardown(self):
        self.runner.run(self.app.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    # Ways to ask and to write

    async def call(self, method, **params):
        result, error = await self.app.dispatch(method, {"project": "p", **params})
        assert error is None, error
        assert not isinstance(result, dict) or result.get("outcome") != "failed", result
        return result

    def question(self, topic, how):
        if topic == "colour":
            return "which colour is the money?", str(self.place.root)
        path, cwd = self.place.spelled(topic, how)
        return f"what about {path} then?", cwd

    async def asked(self, topic, how):
        text, cwd = self.question(topic, how)
        answer = await self.call("query", text=text, cwd=cwd, limit=20)
        return text, answer

    async def ask(self, topic, how):
        known = self.truth.filled.get(self.question(topic, how)[0])
        key, answer = await self.asked(topic, how)
        if answer["cache"] == "hit":
            assert known is not None
            assert not known.outdated, (key, answer)
        elif answer["cache"] != "bypass":
            assert known is None or known.outdated or not known.owed, (key, answer)
            self.truth.filled[key] = Filled(DEPENDS[topic])
        return answer

    async def write(self, way, path, how, old=None):
        """Write to a file, tell it, and see that it is told."""
        spelled, cwd = self.place.spelled(path, how)
        number = next(self.numbers)
        event = {"path": spelled, "session_id": f"s{number}", "event_id": f"e{number}"}
        if old is not None:
            event["old_path"] = self.place.spelled(old, how)[0]
        match way:
            case "hook" | "append hook":
                params = {"name": "file:write", "payload": event, "event_id": f"e{number}"}
                method = "hook"
            case _:
                event = {"event_id": f"e{number}", "session_id": f"s{number}", "kind": "file_edit",
                         "content": f"Modified: {spelled}", "metadata": event}  # fmt: skip
                params, method = {"events": [event]}, "ingest"
        await self.tell(method, {**params, "cwd": cwd}, outside="append" in way)
        self.truth.wrote(path, *([old] if old else []))
        found = await self.call("query", text=f"who wrote {path}?", cwd=str(self.place.root))
        assert f"e{number}" in [name for hit in found["hits"] for name in hit["event_ids"]]
        return method, {**params, "cwd": cwd}

    async def tell(self, method, params, *, outside):
        if outside:
            line = contract.request_line(method, {"project": "p", **params}).decode()
            os.environ["OPENCODE_MEM_DATA_DIR"] = str(self.folder / "data")
            try:
                reply = wire.loads(append.appended(line))
            finally:
                del os.environ["OPENCODE_MEM_DATA_DIR"]
            assert "result" in reply
        else:
            await self.call(method, **params)

    # What may happen

    ways = st.sampled_from(["hook", "ingest", "append hook", "append ingest"])

    @rule(topic=topics, how=spellings)
    def a_question(self, topic, how):
        self.runner.run(self.ask(topic, how))

    @rule()
    def every_question(self):
        for topic in DEPENDS:
            self.runner.run(self.ask(topic, 0))

    @rule(way=ways, path=files, how=spellings, again=st.booleans())
    def a_write(self, way, path, how, again):
        self.every_question()
        method, params = self.runner.run(self.write(way, path, how))
        self.every_question()
        if again and "append" not in way:
            self.runner.run(self.tell(method, params, outside=False))
            self.truth.wrote(path)
            self.every_question()

    @rule(way=st.sampled_from(["hook", "append hook"]), path=files, old=files, how=spellings)
    def a_move(self, way, path, old, how):
        if path != old:
            self.every_question()
            self.runner.run(self.write(way, path, how, old))
            self.every_question()

    @rule(way=ways, path=files, how=spellings, topic=topics)
    def a_write_while_an_answer_is_under_way(self, way, path, how, topic):
        async def overtaken():
            memory = self.app.parts.memory
            memory.gate, memory.waiting = asyncio.Event(), asyncio.Event()
            asking = asyncio.create_task(self.asked(topic, 0))
            waiting = asyncio.create_task(memory.waiting.wait())
            await asyncio.wait({asking, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            gate, memory.gate = memory.gate, None
            await self.write(way, path, how)
            gate.set()
            key, answer = await asking
            if answer["cache"] in {"miss", "outdated"}:
                late = Filled(DEPENDS[topic], outdated=path in DEPENDS[topic])
                self.truth.filled[key] = late

        self.runner.run(overtaken())
        self.every_question()

    @rule(way=st.sampled_from(["ingest", "append ingest"]))
    def a_note(self, way):
        number = next(self.numbers)
        note = {"event_id": f"n{number}", "content": f"zebra{number} is remembered"}
        outside = way.startswith("append")
        params = {"events": [note], "cwd": str(self.place.root)}
        self.runner.run(self.tell("ingest", params, outside=outside))
        found = self.runner.run(self.call("query", text=f"zebra{number}", cwd="/"))
        assert [hit["event_ids"] for hit in found["hits"]][:1] == [[f"n{number}"]]
        self.every_question()

    @rule(path=files)
    def a_flush_lands(self, path):
        batch = Batch(
            1, GROUP, "s1", 1, 9999, BatchState.STARTED, 1, 1, "bridge", "", 0.0, 0.0, None
        )
        self.every_question()
        self.runner.run(self.app._landed(batch, [path]))
        self.truth.wrote(path)
        self.every_question()

    @rule(way=ways, path=files, how=spellings)
    def a_write_that_the_cache_does_not_hear_of(self, way, path, how):
        self.every_question()
        cache = self.app.parts.cache
        self.engine.break_(cache, broken=True)
        self.runner.run(self.write(way, path, how))
        self.engine.break_(cache, broken=False)
        self.truth.lost()
        self.every_question()

    @rule(path=files, how=spellings, meanwhile=st.booleans())
    def a_restart(self, path, how, meanwhile):
        self.every_question()
        self.runner.run(self.app.close())
        if meanwhile:
            spelled, cwd = self.place.spelled(path, how)
            payload = {"path": spelled, "event_id": f"e{next(self.numbers)}"}
            params = {"name": "file:write", "payload": payload, "cwd": cwd}
            self.runner.run(self.tell("hook", params, outside=True))
            self.truth.wrote(path)
        self.begin()
        self.truth.lost()
        self.every_question()


@pytest.fixture
def quiet(monkeypatch):
    async def nothing(self):
        return None

    monkeypatch.setattr(App, "_bring_in", nothing)


def _run(machine, examples):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_interleaving_gives_out_what_was_written_since_or_hides_what_is_new(place, quiet):
    class Machine(Outdating):
        pass

    Machine.place = place
    _run(Machine, 40)


@pytest.mark.engine
def test_the_same_with_a_real_valkey(place, quiet, valkey_server):
    class Machine(Outdating):
        @staticmethod
        def engines():
            with contextlib.closing(_client(valkey_server)) as client:
                client.flushall()
            return Valkeys(valkey_server)

    Machine.place = place
    _run(Machine, 10)


def _client(socket):
    import valkey

    return valkey.Valkey(unix_socket_path=socket)
