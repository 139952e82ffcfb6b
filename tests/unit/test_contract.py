"""The contract: addresses, ids, deadlines, the line protocol, arguments."""
# ruff: noqa: PT017, S108
# The words of an exception are looked at where there may be none; the paths are only names.

from __future__ import annotations

import json
import os
import re
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from memory_manager import arguments, cli, contract, wire
from memory_manager.errors import InvalidRequest, Rejected
from memory_manager.settings import MemorySettings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


@given(JSON)
def test_what_is_written_is_read_back_by_us_and_by_json(value):
    assert wire.loads(wire.dumps(value)) == value
    assert json.loads(wire.dumps(value)) == value
    assert json.loads(wire.readable(value)) == value
    assert "\n" not in wire.dumps(value)


@given(st.text(max_size=40) | st.text('[]{}",:0123 \\untruefalse', max_size=40))
def test_text_is_read_as_json_reads_it(text):
    def refuse(name):
        raise ValueError(name)

    try:
        expected = json.loads(text, parse_constant=refuse)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - the words are json's
            wire.loads(text)
    else:
        assert wire.loads(text) == expected


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "[" * 100_000, "9" * 5000, "[1] 2", ""])
def test_what_json_has_no_word_for_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are json's
        wire.loads(text)


def test_without_the_c_parts_it_is_json(monkeypatch):
    monkeypatch.setattr(wire, "_scan", None)

    assert wire.loads(wire.dumps({"a": [1, "é"]})) == {"a": [1, "é"]}
    assert wire.readable("é") == '"é"'


@given(st.floats(0, 2**37), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid7_of_its_time(seconds, noise):
    made = uuid.UUID(contract.uuid7(seconds, noise))

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(seconds * 1000)


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/opencode-mem"),
        ({}, "/tmp/opencode-mem-7"),
        ({"TMPDIR": "/var/tmp"}, "/var/tmp/opencode-mem-7"),
        ({"XDG_RUNTIME_DIR": "relative"}, "/tmp/opencode-mem-7"),
        ({"XDG_RUNTIME_DIR": "/" + "x" * 120}, "/tmp/opencode-mem-7"),
        ({"XDG_RUNTIME_DIR": "/" + "x" * 120, "TMPDIR": "/" + "y" * 120}, "/tmp/opencode-mem-7"),
    ],
)
def test_the_socket_has_a_folder_of_this_user_that_is_not_too_long(env, folder):
    path = contract.socket_path(env, 7)

    assert os.path.dirname(path) == folder  # noqa: PTH120
    assert len(path) <= contract.SOCKET_PATH_LIMIT


def test_two_data_folders_have_two_sockets():
    one, two = ({"OPENCODE_MEM_DATA_DIR": f"/d/{name}"} for name in "ab")

    assert contract.socket_path(one, 7) != contract.socket_path(two, 7)


@pytest.mark.parametrize(
    ("data", "socket", "variable"),
    [("d", "/s", "DATA_DIR"), ("/d", "s", "SOCKET"), ("/d", "/" + "é" * 60, "SOCKET")],
)
def test_an_address_of_no_use_names_its_variable(data, socket, variable):
    assert contract.fault_of_address(data, socket).startswith(f"OPENCODE_MEM_{variable}=")
    assert contract.fault_of_address("/d", "/s") == ""


@pytest.mark.parametrize(
    "url",
    ["sqlite:///tmp/x.sqlite3", "sqlite:///x", "sqlite:///", "sqlite:////", "sqlite:///./x",
     "/srv/x", "postgres://h/x"],
)  # fmt: skip
def test_a_spool_without_an_absolute_path_is_refused_with_the_mend(url):
    fault = contract.fault_of_address("/d", "/s", url)

    assert fault.startswith(f"SPOOL_URL={url}: ")
    assert "sqlite:////" in fault.removeprefix(f"SPOOL_URL={url}: ")
    assert "\n" not in fault
    with pytest.raises(InvalidRequest, match=re.escape(fault)):
        contract.spool_path({"SPOOL_URL": url, "HOME": "/h"})
    with pytest.raises(ValidationError, match=re.escape(fault.removeprefix(f"SPOOL_URL={url}: "))):
        MemorySettings(spool_url=url)


def test_a_spool_has_its_absolute_path_everywhere(own_folders):
    url = "sqlite:////srv/x.sqlite3"

    assert contract.fault_of_address("/d", "/s", url) == ""
    assert contract.spool_path({"SPOOL_URL": url}) == "/srv/x.sqlite3"
    assert MemorySettings(spool_url=url).spool_path == Path("/srv/x.sqlite3")
    assert contract.spool_path({"HOME": "/h"}) == "/h/.local/share/opencode-mem/spool.sqlite3"


@pytest.mark.parametrize(
    ("value", "seconds", "noted"),
    [("", 0.8, False), (" 500 ", 0.5, False), ("0", 0.8, True), ("1e3", 0.8, True),
     ("9" * 5000, 0.8, True), ("-1", 0.8, True), ("٣٠", 0.8, True)],
)  # fmt: skip
def test_a_deadline_of_no_use_is_the_default_with_a_note(value, seconds, noted):
    deadline, note = contract.hook_deadline("chat_start", {"OPENCODE_MEM_CHAT_DEADLINE_MS": value})

    assert (deadline, bool(note)) == (seconds, noted)
    assert contract.hook_deadline("error", {})[0] == 0.25


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"id":1,"result":{"a":1}}', ({"a": 1}, 0, "")),
        (b'{"id":1,"result":null}', (None, 0, "")),
        (b'{"error":{"code":-32602,"message":"limit:\\nno"}}', (None, -32602, "limit: no")),
        (b'{"error":{"code":"x"}}', (None, 1, "None")),
    ],
)
def test_a_reply_is_a_result_or_an_error_of_one_line(line, expected):
    assert contract.reply_of(line) == expected


@given(st.binary(max_size=80))
def test_any_bytes_are_a_reply_or_a_failure(line):
    _result, code, why = contract.reply_of(line)

    assert code == 0 or why


def test_a_request_is_one_line():
    line = contract.request_line("store", {"content": "a\nb\ud800"})

    assert line.count(b"\n") == 1
    assert json.loads(line)["params"]["content"] == "a\nb\ud800"


@pytest.mark.parametrize(
    ("argv", "command", "rest"),
    [
        (["query", "x"], "query", ["x"]),
        (["QUERY", "x"], "query", ["x"]),
        (["--query", "x"], "query", ["x"]),
        (["query=x y", "--json"], "query", ["x y", "--json"]),
        (["store=", "x"], "store", ["x"]),
    ],
)
def test_an_unambiguous_slip_in_a_command_is_corrected_with_a_note(argv, command, rest):
    found, words, notes = arguments.command_of(argv)

    assert (found, words) == (command, rest)
    assert bool(notes) == (argv[0] != command)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["c", "--no-wait", "--group", "g"], {"no-wait": True, "group": "g"}),
        (["--no_wait", "c", "--group=g"], {"no-wait": True, "group": "g"}),
        (["-GROUP", "g", "c"], {"group": "g"}),
    ],
)
def test_options_may_stand_anywhere_and_slips_are_corrected(words, options):
    positional, found, notes = arguments.words_of("store", words)

    assert (positional, found) == (["c"], options)
    assert len(notes) == len(words) - sum(
        word in {"c", "g", "--group", "--no-wait"} for word in words
    )


@pytest.mark.parametrize("text", ["- a list", "--- a/x\n+++ b/x", "-1 is bad", "--flag does it"])
def test_text_that_begins_with_a_dash_is_text(text):
    plain, _, notes = arguments.words_of("store", [text])
    after, _, none = arguments.words_of("store", ["--", text])

    assert plain == after == [text]
    assert (len(notes), none) == (1, [])


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], "content:"),
        (["a", "{}", "b"], "'b':"),
        (["a", "--what"], "--what:"),
        (["a", "-1"], "-1:"),
        (["a", "--group"], "--group:"),
        (["a", "--group", "--no-wait"], "--group:"),
        (["a", "--group", "x", "--group", "y"], "--group:"),
        (["a", "--no-wait=1"], "--no-wait:"),
    ],
)
def test_a_refused_word_is_named(words, names):
    with pytest.raises(InvalidRequest) as refused:
        arguments.words_of("store", words)

    assert str(refused.value).startswith(names)


@given(st.sampled_from([*arguments.COMMANDS]), st.lists(st.text(max_size=12), max_size=6))
def test_any_words_are_understood_or_refused_in_one_line(command, words):
    try:
        positional, options, _ = arguments.words_of(command, words)
        if command == "store":
            arguments.store_params(positional[0], "".join(positional[1:]), options)
        elif command == "query":
            arguments.query_params(positional, options)
    except InvalidRequest as refused:
        assert len(contract.one_line(str(refused))) <= 500


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [
        ("2026-11-20T10:15:00Z", 1795169700.0),
        ("2026-11-20T10:15:00", 1795169700.0),
        ("2026-11-20T11:15:00+01:00", 1795169700.0),
        ("1795169700", 1795169700.0),
        ("1795169700.5", 1795169700.5),
        ("2026-11-20", 1795132800.0),
        ("20261120", 1795132800.0),
    ],
)
def test_a_time_is_iso_in_utc_or_seconds(given_, seconds):
    assert arguments.query_params(["x"], {"at": given_})["at"] == seconds


@pytest.mark.parametrize("given_", ["soon", "", "9" * 400, "2026-13-01", "nan", "1e400"])
def test_what_is_no_time_is_refused(given_):
    with pytest.raises(InvalidRequest, match="--at"):
        arguments.query_params(["x"], {"at": given_})


def test_an_export_has_an_absolute_path():
    assert arguments.export_path([], "/w", "T") == "/w/graphiti_export_T.json"
    assert arguments.export_path(["out/"], "/w", "T") == "/w/out/graphiti_export_T.json"
    assert arguments.export_path(["/x.json"], "/", "T") == "/x.json"
    assert arguments.export_path(["x.json"], "/", "T") == "/x.json"


@given(st.sampled_from(["store", "query", "entities", "export", "ingest", "ensure"]), JSON)
def test_any_answer_is_printed_or_refused(method, result):
    try:
        assert isinstance(cli.rendered(method, result), str)
    except Rejected as refused:
        assert method in str(refused)
