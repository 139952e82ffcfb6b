"""The real OpenCode loads the plugin that was installed, and says so to whoever listens."""

from __future__ import annotations

import os
import shutil

import pytest

from bridge.bench.homes import find_opencode
from bridge.cli import main
from bridge.install import trial


@pytest.fixture(scope="session")
def program():
    """OpenCode; a skip where it can't be had, a failure where CI could have installed it."""
    found, why = find_opencode()
    if not found and os.environ.get("CI") and shutil.which("npm"):
        pytest.fail(why)
    if not found:
        pytest.skip(why)
    return found


def test_open_code_loads_the_installed_plugin_and_the_hooks_fire(program, capsys):
    assert main(["install", "--no-check"]) == 0

    found = trial.start_once(program, os.environ, patience=55)

    assert found.ok, (found, capsys.readouterr())
    assert "came and told of a session" in found.said
