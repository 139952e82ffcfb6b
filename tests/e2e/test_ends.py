"""Beginnings and ends: no bridge, a foreign one, switched off, one-shot runs, sudden deaths, the TUI."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from bridge.bench.scripted import Reply

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]
ASKED = "What does app.py print, and which code?"


def write_app(desk, tools):
    return desk.turn(
        "Make app.py print its code",
        Reply(calls=tools.writing(desk.project / "app.py", "print('ZEBRA-7')\n")),
        "app.py prints ZEBRA-7 now.",
    )


def test_without_any_bridge_a_turn_is_a_turn_and_a_later_bridge_learns_of_it(own, tools):
    home = own(live=False)
    home.configure(python="/nowhere/python")
    home.start()
    desk = tools.Desk(home, home.opencode.project)
    first = write_app(desk, tools)
    assert not desk.ask(ASKED).block
    assert [each.blocks for each in desk.model.chats(first)] == [[""], [""]]
    assert home.opencode.log.count("Memory plugin error: no bridge could be started") == 1
    home.box.start()
    home.box.until_live()
    tools.until(lambda: desk.texts("file_edit"))
    assert len(desk.texts("file_edit")) == 1
    assert "ZEBRA-7" in desk.ask(ASKED + " Now?").block


def test_a_bridge_of_another_version_is_left_alone_and_said_once(own, tools):
    home = own(live=False)
    with old_bridge(home.box.socket) as asked:
        home.start()
        desk = tools.Desk(home, home.opencode.project)
        write_app(desk, tools)
        assert not desk.ask(ASKED).block
        assert not desk.ask("And now?").block
    assert set(asked) == {"hello"}
    assert home.opencode.log.count("the bridge is of another version") == 1


def test_switched_off_the_plugin_does_nothing_at_all(own, tools):
    home = own(live=False, OPENCODE_MEM_DISABLED="1").start()
    desk = tools.Desk(home)
    session = write_app(desk, tools)
    assert "memory" not in desk.model.chats(session)[0].tools
    assert "Graphiti Memory" not in home.opencode.log
    assert not os.path.exists(home.box.socket)  # noqa: PTH110 - a socket, and not ours to open


def test_a_one_shot_run_leaves_its_completion_behind(own, tools):
    home = own()
    desk = tools.Desk(home, home.opencode.project)
    home.model.will(
        Reply(calls=tools.writing(desk.project / "app.py", "print('ZEBRA-7')\n")),
        "app.py prints ZEBRA-7 now.",
    )
    ran = home.opencode.run("run", "Make app.py print its code")
    assert ran.returncode == 0, ran.stderr
    home.model.will("I see.")
    assert home.opencode.run("run", ASKED).returncode == 0
    assert "ZEBRA-7" in home.model.chats()[-1].block
    done = desk.texts("success")
    assert sum("Make app.py" in text for text in done) == 1
    assert len(desk.texts("file_edit")) == 1


def test_opencode_killed_within_a_turn_loses_nothing_and_doubles_nothing(own, tools):
    home = own().start()
    desk = tools.Desk(home)
    session = desk.session()
    home.model.will(
        Reply("I write it.", tools.writing(desk.project / "app.py", "print('ZEBRA-7')\n")),
        Reply("never said", held=True),
    )
    home.opencode.send(session, "Make app.py print its code", directory=desk.project)
    home.model.until(lambda model: len(model.chats(session)) == 2)
    home.opencode.stop(signal.SIGKILL)
    home.model.release()
    home.opencode.start()
    assert "Modified: app.py" in desk.ask(ASKED).block
    assert len(desk.texts("file_edit")) == 1
    assert desk.texts("prompt").count("Make app.py print its code") == 1


@pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux to run the TUI in")
def test_the_tui_remembers_too(own, tools):
    home = own()
    desk = tools.Desk(home, home.opencode.project)
    desk.store("app.py prints ZEBRA-7 since Monday")
    terminal = ["tmux", "-S", str(home.folder / "tmux"), "-f", os.devnull]
    environment = {**home.opencode.environment, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR")

    def tmux(*words):
        return subprocess.run(
            [*terminal, *words], env=environment, cwd=desk.project, capture_output=True, text=True,
            check=False,
        ).stdout  # fmt: skip

    def screen():
        return tmux("capture-pane", "-p", "-t", "tui")

    home.model.will("It prints the code, says the TUI.")
    tmux("new-session", "-d", "-x", "140", "-y", "45", "-s", "tui", home.opencode.program)
    try:
        tools.until(lambda: "Ask anything" in screen())
        tmux("send-keys", "-t", "tui", "-l", ASKED)
        tools.until(lambda: "which code?" in screen())
        tmux("send-keys", "-t", "tui", "Enter")
        tools.until(lambda: "says the TUI" in screen())
        assert "says the TUI" in screen()
        assert "ZEBRA-7" in home.model.chats()[-1].block
        assert "Memory" not in screen()
        done = tools.until(lambda: [each for each in desk.texts("success") if ASKED in each])
        assert len(done) == 1
    finally:
        tmux("kill-server")


@contextlib.contextmanager
def old_bridge(path):
    """A bridge that knows none of the methods it is asked for; gives their names."""
    asked = []
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen()

    def answer(connection):
        with connection, connection.makefile("rwb") as lines, contextlib.suppress(OSError):
            for line in lines:
                request = json.loads(line)
                asked.append(request["method"])
                error = {"code": -32601, "message": f"no such method: {request['method']}"}
                reply = {"jsonrpc": "2.0", "id": request["id"], "error": error}
                lines.write(json.dumps(reply).encode() + b"\n")
                lines.flush()

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)
