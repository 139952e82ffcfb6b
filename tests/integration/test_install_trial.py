"""The one start of OpenCode after an installation: what is made of what it does."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import pytest

from bridge.install import trial
from bridge.install.entry import Entry

#: Answers whatever it is asked, as OpenCode's server does; SPEAK is what its plugin does.
_SERVER = """\
    #!{python}
    import json, os, socket, sys
    from http.server import BaseHTTPRequestHandler, HTTPServer
    print("level=WARN message=noise about a plugin", flush=True)
    def tell(*methods):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(os.environ["OPENCODE_MEM_SOCKET"])
            for method in methods:
                params = {{"plugin": "9.9"}}
                request = {{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}}
                line.sendall(json.dumps(request).encode() + b"\\n")
                assert b"result" in line.recv(65536)
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.headers["Authorization"].startswith("Basic ")
            self.send_response(200); self.end_headers()
            if self.path.startswith("/config"):
                {speak}
        do_POST = do_GET
    HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def program(tmp_path):
    """Write a program that stands for OpenCode."""

    def make(text):
        path = tmp_path / "opencode"
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    return make


def served(speak):
    return textwrap.dedent(_SERVER).format(python=sys.executable, speak=speak)


def test_a_plugin_that_speaks_is_heard(program):
    found = trial.start_once(program(served('tell("hello", "event")')), os.environ)

    assert found.ok
    assert "the plugin 9.9 came and told of a session" in found.said


@pytest.mark.parametrize(
    ("speak", "said"), [("pass", "did not come"), ('tell("hello")', "came, and told nothing")]
)
def test_a_plugin_that_is_silent_is_a_failure_with_what_open_code_said(program, speak, said):
    found = trial.start_once(program(served(speak)), os.environ, patience=3)

    assert found.ok is False
    assert said in found.said
    assert found.log == ("level=WARN message=noise about a plugin",)


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 3\n", "#!/nowhere/at/all\n"])
def test_an_open_code_that_does_not_start_is_no_verdict_on_the_plugin(program, text):
    found = trial.start_once(program(text), os.environ)

    assert found.ok is None
    assert found.said.startswith("not tried: ")


def test_what_was_started_is_ended_with_all_that_it_started(program, tmp_path):
    text = f"#!/bin/sh\nsleep 300 & echo $! >{tmp_path}/child\necho $$ >{tmp_path}/self\nwait\n"

    trial.start_once(program(text), os.environ, patience=1)

    for name in ("child", "self"):
        assert _ended(int((tmp_path / name).read_text()))


def _ended(pid):
    """Gone; one that nobody has fetched yet is a zombie, and as good as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_an_interpreter_that_is_not_there_is_told():
    found = trial.ensure(Entry("/p/graphiti-memory.ts", "/nowhere/python", "/s.py"), os.environ)

    assert found.ok is False
    assert "/nowhere/python" in found.said


def test_a_script_that_fails_is_told_by_its_last_line(tmp_path):
    script = tmp_path / "memory_manager.py"
    script.write_text("import sys\nprint('one\\ntwo', file=sys.stderr)\nsys.exit(3)\n")

    found = trial.ensure(Entry("/p", sys.executable, str(script)), os.environ)

    assert (found.ok, found.said) == (False, "no bridge could be started: two")
