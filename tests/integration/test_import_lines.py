"""`memory_manager.py ingest --opencode`: lines of events and hook calls, to the bridge or without one."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from memory_manager import append, calling, cli, contract
from memory_manager.errors import InvalidRequest
from memory_manager.spool.store import Spool

SECRET = "ghp_" + "a1B2" * 9


@pytest.fixture
def stdin(monkeypatch):
    def given(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return given


@pytest.fixture
def asked(monkeypatch):
    """What the command sends; each request is answered as if it all were new."""
    sent = []

    def call(method, params, began, deadline):
        sent.append((method, params))
        count = len(params["events"])
        return {"received": count, "accepted": count, "duplicates": 0, "failed": 0}, ""

    monkeypatch.setattr(calling, "call", call)
    return sent


def line(row):
    if row["hook"] == "event":
        return json.dumps({"event": row["input"], "at": row["ts"]})
    payload = {"input": row["input"], "output": row["output"]}
    return json.dumps({"hook": row["hook"], "payload": payload, "at": row["ts"]})


def test_the_lines_are_sent_and_summed_up(stdin, asked, capfd):
    stdin('{"event": {"type": "session.idle"}, "at": 5}\n\n{"hook": "error", "payload": {}}\n')

    assert cli.run(["ingest", "--opencode"]) == 0
    ((method, params),) = asked
    assert (method, params["origin"], len(params["events"])) == ("event", "live", 2)
    assert json.loads(capfd.readouterr().out) == {
        "inserted": 2, "received": 2, "duplicates": 0, "failed": 0,
    }  # fmt: skip


def test_they_are_sent_in_pieces_that_a_request_can_hold(stdin, asked):
    entry = json.dumps({"event": {"type": "x", "text": "\x01" * 30_000}})
    stdin(f"{entry}\n" * 60)

    assert cli.run(["ingest", "--opencode"]) == 0
    sizes = [len(contract.request_line("event", params)) for _, params in asked]
    assert len(sizes) > 1
    assert max(sizes) < contract.LINE_LIMIT
    assert sum(len(params["events"]) for _, params in asked) == 60


def test_a_line_that_is_none_costs_no_other(stdin, asked, capfd):
    stdin('nonsense\n[1]\n{"event": {}}\n{"half": \n')

    assert cli.run(["ingest", "--opencode"]) == 0
    assert asked[0][1]["events"] == [{"event": {}}]
    assert "3 lines are not JSON objects" in capfd.readouterr().err


def test_nothing_is_nothing(stdin, asked, capfd):
    stdin("")

    assert cli.run(["ingest", "--opencode"]) == 0
    assert asked == []
    assert json.loads(capfd.readouterr().out)["received"] == 0


def test_what_failed_is_to_be_tried_again(stdin, monkeypatch, capfd):
    answer = {"received": 2, "accepted": 0, "duplicates": 0, "failed": 2, "note": "no space left"}
    monkeypatch.setattr(calling, "call", lambda *_: (answer, ""))
    stdin('{"event": {}}\n{"event": {}}\n')

    assert cli.run(["ingest", "--opencode"]) == contract.UNAVAILABLE
    told = capfd.readouterr()
    assert json.loads(told.out)["failed"] == 2
    assert "no space left" in told.err


def appended(entries, cwd="/project"):
    request = contract.request_line("event", {"events": entries, "cwd": cwd, "origin": "live"})
    return json.loads(append.appended(request.decode()))["result"]


def stored():
    spool = Spool.open(Path(contract.spool_path(os.environ)), readonly=True)
    try:
        return [row.event for row in spool.tail(flushed_since=0.0, limit=9999)]
    finally:
        spool.close()


def test_without_a_bridge_the_same_is_in_the_spool(turns):
    entries = [json.loads(line(row)) for row in turns]
    answer = appended(entries)
    again = appended(entries)

    assert (answer["received"], answer["accepted"], answer["failed"]) == (len(turns), 86, 0)
    # Each prompt is told by its hook and by its event.
    assert (again["accepted"], again["duplicates"]) == (0, 86 + 20)
    events = stored()
    assert sum(event.kind == "success" for event in events) == 17
    assert max(event.at for event in events) <= turns[-1]["ts"]


def test_without_a_bridge_it_is_redacted_too(turns):
    entries = [json.loads(line(row).replace("All done.", f"All done with {SECRET}"))
               for row in turns]  # fmt: skip
    answer = appended(entries)

    assert "taken out" in answer["note"]
    spool = Path(contract.spool_path(os.environ))
    for file in spool.parent.iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_without_a_bridge_an_opt_out_counts_too(turns, tmp_path):
    (tmp_path / ".opencode-mem-off").touch()
    answer = appended([json.loads(line(row)) for row in turns], str(tmp_path))

    assert (answer["received"], answer["accepted"]) == (len(turns), 0)
    assert stored() == []


def test_without_a_bridge_a_request_without_events_is_refused():
    with pytest.raises(InvalidRequest, match="events"):
        appended(None)


def test_the_command_is_the_way_into_the_spool_when_no_bridge_can_be_had(
    stdin, turns, monkeypatch, capfd
):
    def none(*_):
        raise calling.Unavailable("no bridge today")

    monkeypatch.setattr("memory_manager.client.ask", none)
    stdin("\n".join(line(row) for row in turns))

    assert cli.run(["ingest", "--opencode"]) == 0
    told = capfd.readouterr()
    assert json.loads(told.out)["inserted"] == 86
    assert "the event waits in the spool" in told.err
