"""The real OpenCode, a scripted model, a real bridge with its real engines; a home for each test."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from bridge.bench import homes
from bridge.bench.driving import OpenCode
from bridge.bench.homes import find_opencode, make_repository
from bridge.bench.scripted import Model
from bridge.sandbox import SCRIPT, sandbox
from memory_manager.errors import Unavailable

PLUGIN = Path(__file__).parents[2] / "deploy/opencode-server/plugin/graphiti-memory.ts"
DATABASE = ".local/share/opencode/opencode.db"
#: What everything that a test starts carries in its environment.
MARK = "OGM_E2E"
#: Long enough for any machine, and nothing is flushed but by hand.
CALM = {
    "OPENCODE_MEM_CHAT_DEADLINE_MS": "20000",
    "OPENCODE_MEM_HOOK_DEADLINE_MS": "20000",
    "OPENCODE_MEM_RAW_EVENTS_AUTO_FLUSH": "0",
}


@pytest.fixture(scope="session")
def program():
    """OpenCode; a skip where it can't be had, a failure where CI could have installed it."""
    found, why = find_opencode()
    if not found and os.environ.get("CI") and shutil.which("npm"):
        pytest.fail(why)
    if not found:
        pytest.skip(why)
    return found


@pytest.fixture(scope="module")
def shared(program):
    """One bridge and one OpenCode for the tests of a module; each has a project of its own."""
    with Home(program, sandbox(CALM)) as home:
        yield home.start()


@pytest.fixture
def desk(shared):
    """A project that nobody else has; whatever an earlier test ended is up again."""
    shared.recover()
    return Desk(shared)


@pytest.fixture
def own(program):
    """Makes a home of this test alone, with settings for OpenCode's side and the bridge's."""
    with contextlib.ExitStack() as stack:

        def made(bridge=None, *, live=True, **settings):
            home = Home(program, sandbox({**CALM, **(bridge or {})}), settings, live=live)
            return stack.enter_context(home)

        yield made


class Home:
    """A model, a bridge, and a person's OpenCode with the plugin; nothing is left of them."""

    def __init__(self, program, box, settings=None, *, live=True):
        self._program, self._made, self._settings, self._live = program, box, settings or {}, live
        self.mark = uuid.uuid4().hex
        self.folder = Path(tempfile.mkdtemp(prefix="ogm-e-", dir="/tmp"))

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.callback(self._leave_nothing)
            self.model = stack.enter_context(Model())
            self.box = stack.enter_context(self._made)
            stack.callback(self._end_bridges)
            self.box.environment[MARK] = self.mark
            home = self.folder / "home"
            home.mkdir()
            self.box.environment.setdefault("OPENCODE_DB", str(home / DATABASE))
            ours = {
                name: value
                for name, value in self.box.environment.items()
                if name.startswith(("OPENCODE_MEM_", "PYTHONPATH"))
            }
            if self._live:
                self.box.start()
                self.box.until_live()
            settings = {**ours, MARK: self.mark, **self._settings}
            first = self.folder / "first"
            make_repository(first, self.mark)
            self.opencode = OpenCode(self._program, home, first, settings)
            self.configure()
            stack.callback(self.opencode.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def configure(self, **options):
        options = {"python": sys.executable, "script": str(SCRIPT), **options}
        homes.configure(self.folder / "home", self.model.url, [str(PLUGIN), options])

    def start(self):
        self.opencode.start()
        return self

    def recover(self):
        """A bridge with all its parts, and OpenCode."""
        with contextlib.suppress(OSError, Unavailable):
            self.box.until_live()
            return
        self.box.start()
        self.box.until_live()

    def pids(self):
        """Of the bridge and its engines, by name."""
        with self.box.line() as line:
            status = line.call("status")
        engines = {name: about["pid"] for name, about in status["engines"].items()}
        return {"bridge": status["pid"], **engines}

    def _end_bridges(self):
        """Ends what the plugin has started too; it may still be coming up."""

        def ended():
            self.box.stop()
            return not marked(self.mark)

        until(ended, seconds=20)

    def _leave_nothing(self):
        left = until(lambda: marked(self.mark), lambda found: not found, 20)
        said = [f"{pid} {command(pid)}" for pid in left]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert not left, f"left behind: {said}"


class Desk:
    """One project in a home, and what the memory holds of it."""

    def __init__(self, home, folder=None):
        self.home, self.model, self.box, self.opencode = home, home.model, home.box, home.opencode
        self.project = folder or home.folder / uuid.uuid4().hex[:8] / "shop"
        if folder is None:
            make_repository(self.project, uuid.uuid4().hex)
        self._said = len(self.opencode.log)

    @property
    def log(self):
        """What OpenCode and the plugin have logged since."""
        return self.opencode.log[self._said :]

    def session(self):
        return self.opencode.session(directory=self.project)

    def turn(self, text, *replies, session="", **more):
        """A message that the model answers with `replies`; the session."""
        session = session or self.session()
        self.model.will(*replies)
        self.opencode.turn(session, text, directory=self.project, **more)
        assert self.model.unsaid == 0, "the model was not asked for all its answers"
        return session

    def ask(self, text, *, session=""):
        """A question, in a new chat unless one is named; the request that the model got."""
        session = self.turn(text, "I see.", session=session)
        return self.model.chats(session)[-1]

    def outcome(self, session):
        """How the bridge answered the newest message of a session."""
        return self.call("injections", session=session)["injections"][0]["outcome"]

    def call(self, method, **params):
        with self.box.line() as line:
            return line.call(method, **{"cwd": str(self.project), **params})

    def store(self, text):
        """Something that an earlier session has left."""
        self.call("store", content=text, event_id=uuid.uuid4().hex, wait=False)

    def flush(self):
        report = self.call("flush")
        assert report["failed"] == 0, report

    def kept(self, kind=None):
        """The project's episodes, once all of them are in the graph."""
        found = until(self._episodes, lambda seen: not any(each["pending"] for each in seen))
        assert not any(each["pending"] for each in found)
        return [each for each in found if kind is None or each["kind"] == kind]

    def _episodes(self):
        self.flush()
        known = {each["root"]: each["group"] for each in self.call("projects")["projects"]}
        group = known.get(str(self.project))
        return self.call("episodes", group=group, limit=200)["episodes"] if group else []

    def texts(self, kind=None):
        return [each["text"] for each in self.kept(kind)]


def writing(path, content):
    """The calls with which a model writes a file."""
    return [("write", {"filePath": str(path), "content": content})]


def running(command):
    """Those with which it runs a command."""
    return [("bash", {"command": command, "description": "runs it"})]


def until(look, enough=bool, seconds=60.0):
    """Look until it is enough, or for that long; what was seen last."""
    end = time.monotonic() + seconds
    while not enough(seen := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return seen


def marked(mark):
    """The living processes that carry the mark."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return [pid for pid in found if command(pid)]


def command(pid):
    """A process's command line; nothing for one that waits to be reaped."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:300]
    return ""


@pytest.fixture(scope="session")
def tools():
    """The functions above, for tests."""
    return _Tools


class _Tools:
    writing = staticmethod(writing)
    running = staticmethod(running)
    until = staticmethod(until)
    Desk = Desk
