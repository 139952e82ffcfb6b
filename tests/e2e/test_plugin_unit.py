"""The plugin's own tests, in the Bun that OpenCode is; its types; and that both sides find one socket."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from memory_manager import contract

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "deploy/opencode-server/plugin"
SOCKETS = (
    {"HOME": "/home/me"},
    {"HOME": "/home/me", "XDG_DATA_HOME": "/srv/dätä ☕", "XDG_RUNTIME_DIR": "/run/user/7"},
    {"HOME": "/home/me", "XDG_DATA_HOME": "relative", "TMPDIR": "/scratch"},
    {"OPENCODE_MEM_DATA_DIR": "/d/", "XDG_RUNTIME_DIR": "/r" * 60, "TMPDIR": "/short"},
    {"OPENCODE_MEM_DATA_DIR": "/d", "XDG_RUNTIME_DIR": "/r" * 60, "TMPDIR": "/t" * 60},
    {"OPENCODE_MEM_SOCKET": "/run/own.sock", "HOME": "/home/me"},
)


def bun(program, *words, seconds=110):
    """OpenCode as the Bun that it is made of."""
    return subprocess.run(
        [program, *words],
        env={**os.environ, "BUN_BE_BUN": "1"},
        cwd=PLUGIN,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def test_the_plugins_own_tests_pass(program):
    done = bun(program, "test", "--timeout", "60000", str(ROOT / "tests/plugin"))
    assert done.returncode == 0, done.stderr[-8000:]


def test_its_types_are_strictly_those_of_opencode():
    compiler = PLUGIN / "node_modules/.bin/tsc"
    if not compiler.exists():
        why = f"npm ci --prefix {PLUGIN.relative_to(ROOT)} installs what checks the plugin's types"
        if os.environ.get("CI") and shutil.which("npm"):
            pytest.fail(why)
        pytest.skip(why)
    done = subprocess.run(
        [compiler, "-p", PLUGIN / "tsconfig.json"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("env", SOCKETS)
def test_plugin_and_command_look_for_the_bridge_at_the_same_place(program, env):
    script = (
        f'import {{ socketOf }} from "{PLUGIN}/graphiti-memory/settings.ts"\n'
        f"console.log(JSON.stringify(socketOf({json.dumps(env)}, 7)))"
    )
    done = bun(program, "-e", script)
    assert json.loads(done.stdout) == contract.socket_path(env, 7), done.stderr
