"""What the plugin's source says twice with the Python side, or must not say at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.forwarding import PROTOCOL
from bridge.tools.table import Tools
from bridge.web.routes import ROUTES
from memory_manager import __version__
from memory_manager.optout import OPT_OUT_FILES
from memory_manager.spool.filters import HELPERS
from memory_manager.stream import WANTED

FOLDER = Path(__file__).parents[2] / "deploy/opencode-server/plugin"
FILES = sorted([FOLDER / "graphiti-memory.ts", *(FOLDER / "graphiti-memory").glob("*.ts")])
IMPORT = re.compile(r'^import (type )?[^"]*"([^"]+)"', re.MULTILINE)


def source(name):
    return (FOLDER / "graphiti-memory" / f"{name}.ts").read_text(encoding="utf-8")


def strings(text):
    return set(re.findall(r'"([^"]*)"', text))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_at_run_time_it_imports_nothing_but_itself_and_what_bun_has(file):
    for type_only, name in IMPORT.findall(file.read_text(encoding="utf-8")):
        assert type_only or name.startswith(("node:", "./")), name


def test_beside_the_entry_opencode_finds_no_file_that_it_would_take_for_a_plugin():
    assert [file.name for file in FOLDER.iterdir() if file.suffix in {".ts", ".js"}] == [
        "graphiti-memory.ts"
    ]


def test_its_version_and_protocol_are_ours():
    assert f'VERSION = "{__version__}"' in source("settings")
    assert f"PROTOCOL = {PROTOCOL}\n" in source("bridge")


def test_it_tells_the_events_that_are_wanted():
    told = source("events").partition("export function toldOf")[2].partition("\nfunction ")[0]
    assert set(re.findall(r'case "([^"]+)"', told)) == WANTED


def test_it_knows_the_same_helpers_and_the_same_way_to_opt_out():
    helpers = re.search(r"HELPERS = new Set\(\[(.*)\]\)", source("events"))
    files = re.search(r"OPT_OUT_FILES = \[(.*)\]", source("settings"))
    assert helpers is not None
    assert files is not None
    assert strings(helpers[1]) == HELPERS
    assert strings(files[1]) == set(OPT_OUT_FILES)


def test_over_http_it_asks_routes_that_there_are():
    table = source("http").partition("PATHS")[2].partition("}")[0]
    asked = dict(re.findall(r'(\w+): "(/api/[^"]+)"', table))
    known = {route.method: route.path for route in ROUTES if route.verb == "POST"}
    assert asked == {method: known[method] for method in ("hello", "event", "withheld", "tool")}
    assert known["hook"] == "/api/hooks/{name}"


def test_the_model_is_told_of_every_operation_of_the_tool():
    told = set(re.findall(r"^(\w+) \{", source("words").partition("Operations")[2], re.MULTILINE))
    assert told == {"help", *Tools(None, None, None).operations}
