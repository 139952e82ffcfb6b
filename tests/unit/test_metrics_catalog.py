"""The catalogue: kept names, closed tags, and the page for people."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from decimal import Decimal
from enum import Enum
from pathlib import Path

import pytest

from memory_manager import contract
from metrics import catalog
from metrics.settings import MetricsSettings

ROOT = Path(__file__).parents[2]


def test_names_that_users_rely_on_are_kept_to_the_letter():
    kept = {
        "opencode.memory.cache_hit": "counter",
        "opencode.memory.cache_miss": "counter",
        "opencode.tokens.used": "counter",
        "opencode.memory.query_duration": "distribution",
        "OpenCode Error": "event",
    }

    assert kept == {name: catalog.CATALOGUE[name].kind for name in kept}
    assert catalog.CATALOGUE["opencode.memory.query_duration"].unit == "ms"


@pytest.mark.parametrize("entry", catalog.CATALOGUE.values(), ids=lambda entry: entry.name)
def test_every_entry_is_complete_and_well_named(entry):
    assert entry.description.endswith(".")
    assert "|" not in entry.description
    assert len({tag.key for tag in entry.tags}) == len(entry.tags)
    assert all(re.fullmatch(r"[a-z][a-z_]*", tag.key) for tag in entry.tags)
    assert not {tag.key for tag in entry.tags} & {"path", "session", "query", "message", "file"}
    if not isinstance(entry, catalog.Event):
        assert re.fullmatch(r"opencode\.(memory|tokens)\.[a-z][a-z_]*", entry.name)
        assert entry.unit


def test_every_constant_is_in_the_catalogue_under_its_own_name():
    constants = [value for value in vars(catalog).values() if isinstance(value, catalog.Declared)]

    assert constants == list(catalog.CATALOGUE.values())


def test_hooks_and_outcomes_are_those_of_the_command_contract():
    assert set(catalog.HOOK.values) == {*contract.HOOKS.values(), "unknown"}
    assert set(catalog.HOOK_OUTCOME.values) == set(contract.OUTCOMES)


GOOD = {"hook": "chat:start", "outcome": "cached"}


class Outcome(str, Enum):  # noqa: UP042 - what a caller may have, and formats differently
    CACHED = "cached"


@pytest.mark.parametrize("tags", [GOOD, {"outcome": Outcome.CACHED, "hook": "chat:start"}])
def test_declared_tags_are_valid(tags):
    assert catalog.validate(catalog.HOOK_COUNT, tags) is None


@pytest.mark.parametrize(
    ("metric", "tags", "fault"),
    [
        ("opencode.memory.cache_hit", {}, "not declared"),
        (None, {}, "not declared"),
        (catalog.Counter("opencode.memory.cache_hit", "lookup", "A copy."), {}, "not declared"),
        (catalog.HOOK_COUNT, None, "'hook' is missing"),
        (catalog.HOOK_COUNT, {"hook": "error"}, "'outcome' is missing"),
        (catalog.HOOK_COUNT, GOOD | {"outcome": "great"}, "outcome='great' is not allowed"),
        (catalog.HOOK_COUNT, GOOD | {"session": "s1"}, "undeclared tags session"),
        (catalog.CACHE_HIT, {"query": "why"}, "undeclared tags query"),
        (catalog.ERRORS, {"where": "src/app.py"}, "not allowed"),
        (catalog.ERRORS, {"where": "two words"}, "not allowed"),
        (catalog.ERRORS, {"where": ""}, "not allowed"),
        (catalog.ERRORS, {"where": "x" * 65}, "not allowed"),
        (catalog.ERRORS, {"where": "sweep\n"}, "not allowed"),
        (catalog.ERRORS, {"where": 7}, "not allowed"),
    ],
)
def test_what_is_not_declared_is_named(metric, tags, fault):
    assert fault in (catalog.validate(metric, tags) or "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), (True, 1), (0, 0), (0.25, 0.25), (2**53, 2**53)],
)
def test_numbers_come_out_plain(value, expected):
    assert catalog.number(value) == expected
    assert type(catalog.number(value)) in (int, float)


@pytest.mark.parametrize(
    "value",
    [
        *(math.nan, math.inf, -math.inf, -1, -0.5, 2**53 + 1, 1e300, "1", None, Decimal(1)),
        pytest.param(10**5000, id="more digits than Python writes"),
    ],
)
def test_what_cannot_be_sent_is_no_number(value):
    assert catalog.number(value) is None


def test_the_page_shows_the_catalogue_as_it_is():
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    shown = page.partition("<!-- metrics:begin -->\n")[2].partition("<!-- metrics:end -->")[0]

    assert shown == catalog.table()


def test_docs_prints_the_same_table(capsys):
    from metrics.__main__ import main

    assert main(["docs"]) == 0
    assert capsys.readouterr().out == catalog.table()


def test_importing_the_catalogue_does_not_import_the_client_or_pydantic():
    code = (
        "import sys, metrics, metrics.catalog, metrics.recorder, metrics.__main__; "
        "print({'datadog', 'pydantic'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)

    assert found.stdout.strip() == b"set()"


ADDRESSES = [
    ({}, ("", "localhost", 8125)),
    ({"DD_AGENT_HOST": "agent", "DD_DOGSTATSD_PORT": "18125"}, ("", "agent", 18125)),
    ({"DD_AGENT_HOST": "", "DD_DOGSTATSD_PORT": "", "DD_DOGSTATSD_URL": ""}, ("", "localhost", 8125)),
    ({"DD_AGENT_HOST": "a", "DD_DOGSTATSD_URL": "udp://b:1"}, ("", "b", 1)),
    ({"DD_DOGSTATSD_PORT": "9", "DD_DOGSTATSD_URL": "udp://b"}, ("", "b", 8125)),
    ({"DD_DOGSTATSD_URL": "udp://[::1]:9"}, ("", "::1", 9)),
]  # fmt: skip


@pytest.mark.parametrize(("env", "address"), ADDRESSES)
def test_settings_give_one_address(env, address, monkeypatch):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    settings = MetricsSettings()

    assert (settings.socket_path, settings.host, settings.port) == address


def test_a_unix_address_wins_over_host_and_port(monkeypatch):
    monkeypatch.setenv("DD_AGENT_HOST", "agent")
    monkeypatch.setenv("DD_DOGSTATSD_URL", "unix:///run/dsd.sock")

    assert MetricsSettings().socket_path == "unix:///run/dsd.sock"


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("OPENCODE_MEM_METRICS", "maybe", "boolean"),
        ("DD_AGENT_HOST", "udp://agent", "DD_DOGSTATSD_URL"),
        ("DD_DOGSTATSD_PORT", "0", "greater than or equal to 1"),
        ("DD_DOGSTATSD_PORT", "many", "integer"),
        ("DD_DOGSTATSD_URL", "tcp://agent:8125", "unknown scheme; use unix:///"),
        ("DD_DOGSTATSD_URL", "udp://agent:99999", "no valid port"),
        ("DD_DOGSTATSD_URL", "udp://:8125", "is not udp://host:port"),
        ("DD_DOGSTATSD_URL", "unix://run/dsd.sock", "absolute path"),
        ("DD_DOGSTATSD_URL", "unix:///" + "x" * 107, "over 107 bytes"),
    ],
)
def test_a_bad_setting_names_its_variable_its_fault_and_the_mend(name, value, fault, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=re.escape(fault)) as refused:
        MetricsSettings()

    assert name in str(refused.value)
