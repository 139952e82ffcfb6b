"""The line protocol of a real bridge under clients that behave badly, and under many of them."""

from __future__ import annotations

import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memory_manager import contract

LIMIT = contract.LINE_LIMIT


@pytest.fixture
def raw(box):
    """A plain connection to the bridge."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(box.socket)
        yield connection


def ping(id_):
    return contract.request_line("ping", {}, id_)


def answers(connection, count):
    """The next `count` answers."""
    with connection.makefile("rb") as stream:
        return [json.loads(stream.readline()) for _ in range(count)]


def test_the_socket_is_its_owner_s_alone(box):
    path = Path(box.socket)

    assert path.stat().st_mode & 0o777 == 0o600
    for folder in (path.parent, path.with_suffix(""), box.folder / "data"):
        assert folder.stat().st_mode & 0o777 == 0o700
    for file in (box.folder / "data").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_requests_in_one_go_are_all_answered_by_their_ids(raw):
    raw.sendall(b"".join(ping(number) for number in range(2000)))

    assert {answer["id"] for answer in answers(raw, 2000)} == set(range(2000))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"\xff\xfe\x00", -32700),
        (b"not json", -32700),
        (b"{" * 100_000, -32700),
        (b"[" * 5_000 + b"]" * 5_000, -32700),
        (b'{"method": "ping", "id": ' + b"9" * 10_000 + b"}", -32700),
        (b"[]", -32600),
        (b"null", -32600),
        (b'"ping"', -32600),
        (b"{}", -32600),
        (b'{"method": 1, "id": 1}', -32600),
        (b'{"method": "ping", "params": [], "id": 1}', -32600),
        (b'{"method": "ping", "params": null, "id": 1}', -32600),
        (b'{"method": "drop", "id": 1}', -32601),
        (b'{"method": "store", "id": 1}', -32602),
        (b'{"method": "query", "params": {"text": 1}, "id": 1}', -32602),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_line_that_is_no_request_is_told_so_and_the_next_one_is_answered(raw, line, code):
    raw.sendall(line + b"\n\n \r\n" + ping(7))
    # Answers leave in the order in which they are ready.
    refused, answered = sorted(answers(raw, 2), key=lambda answer: answer["id"] == 7)

    assert refused["error"]["code"] == code
    assert refused["error"]["message"]
    assert answered["id"] == 7
    assert "result" in answered


def test_a_request_of_nearly_eight_megabytes_is_answered(raw):
    line = contract.request_line("ping", {"more": "x" * (LIMIT - 100)})
    assert len(line) < LIMIT

    raw.sendall(line)

    assert "result" in answers(raw, 1)[0]


def test_a_longer_line_is_refused_and_ends_its_connection_alone(raw, place):
    sent = 0
    try:
        while sent < 2 * LIMIT:
            sent += raw.send(b"x" * 65536)
    except OSError:
        pass
    said = b""
    try:
        while chunk := raw.recv(65536):
            said += chunk
    except ConnectionResetError:
        pass

    assert sent < 2 * LIMIT
    assert not said or json.loads(said)["error"]["code"] == -32600
    assert "pid" in place.call("ping")


def test_a_request_without_an_id_is_carried_out_and_not_answered(raw, place, processes):
    params = {"content": "an unanswered caracal", "wait": False, "project": place.project}
    message = {"jsonrpc": "2.0", "method": "store", "params": params}
    raw.sendall(json.dumps(message).encode() + b"\n" + ping(3))

    assert answers(raw, 1)[0]["id"] == 3
    processes.until(lambda: place.texts("caracal") == ["an unanswered caracal"])


@pytest.mark.parametrize("wait", [True, False], ids=["store", "no-wait"])
def test_a_write_is_carried_out_though_its_client_is_gone(raw, place, processes, wait):
    params = {"content": "an abandoned serval", "wait": wait, "project": place.project,
              "metadata": {"session_id": place.session}}  # fmt: skip
    raw.sendall(contract.request_line("store", params))
    raw.close()

    processes.until(lambda: place.texts("serval") == ["an abandoned serval"])
    if wait:
        processes.until(lambda: place.call("entities")["entities"] is not None)


def test_half_a_request_is_none(raw, place):
    params = {"content": "half a margay", "wait": False, "project": place.project}
    raw.sendall(contract.request_line("store", params)[:-1])
    raw.close()

    assert place.texts("margay") == []


def test_a_client_that_asks_and_never_reads_holds_nobody_up(raw, place):
    raw.settimeout(0)
    line = contract.request_line("query", {"text": "ocelot", "project": place.project})
    place.store("the ocelot " + "is wide " * 500)
    sent = 0
    try:
        while sent < 200:
            raw.sendall(line)
            sent += 1
    except BlockingIOError:
        pass

    assert place.texts("ocelot")


def test_fifty_clients_at_once_lose_nothing(box, place, processes):
    mark = f"mk{uuid.uuid4().hex}"

    def client(number):
        with box.line() as line:
            where = {"cwd": place.cwd, "project": place.project}
            replies = [
                line.call("hook", name="error", event_id=f"{mark}-{number}-{turn}", **where,
                          payload={"message": f"{mark}x{number} broke {turn}", "session_id": f"{mark}-{number}"})
                for turn in range(8)
            ]  # fmt: skip
            asked = {
                "query": f"what of {mark}x{number}?",
                "session_id": "s",
                "message_id": f"{mark}-{number}",
            }
            return replies, line.call("hook", name="chat:start", payload=asked, **where)

    before = place.call("status")["spool"]["pending"]
    with ThreadPoolExecutor(50) as pool:
        done = list(pool.map(client, range(50)))
    after = place.call("status")

    assert [reply for replies, _ in done for reply in replies] == [{"outcome": "accepted"}] * 400
    assert {chat["outcome"] for _, chat in done} == {"injected"}
    assert after["spool"]["pending"] - before >= 400
    processes.until(lambda: place.call("status")["degradation"] == "live")


def test_many_short_connections_leave_no_descriptor_open(place, processes):
    descriptors = Path(f"/proc/{place.call('ping')['pid']}/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(100):
        with place.box.line() as line:
            line.call("ping")

    # A few more belong to connections to the engines, which are opened when they are needed.
    processes.until(lambda: len(list(descriptors.iterdir())) < before + 20)
