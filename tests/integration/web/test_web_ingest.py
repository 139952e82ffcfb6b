"""`POST /api/raw-events`: every shape of body, its limit, and what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json

import pytest

from memory_manager import contract

PATH = "/api/raw-events"
ONE, TWO = {"content": "a", "kind": "note"}, {"content": "b"}


@pytest.mark.parametrize(
    ("body", "content_type", "events"),
    [
        (json.dumps(ONE), "application/json", [ONE]),
        (json.dumps([ONE, TWO]), "application/json", [ONE, TWO]),
        (json.dumps({"events": [ONE]}), "application/json", [ONE]),
        (f"{json.dumps(ONE)}\n{json.dumps(TWO)}\n", "application/x-ndjson", [ONE, TWO]),
        (f"{json.dumps(ONE)}\n{json.dumps(TWO)}", "application/json", [ONE, TWO]),
        (json.dumps(ONE), None, [ONE]),
    ],
)
async def test_every_shape_of_body_is_taken(site, body, content_type, events):
    site.answers["ingest"] = {"inserted": 1, "received": 2, "duplicates": 1, "ignored": 0}
    headers = {"content-type": content_type} if content_type else {}

    answer = await site.client.post(PATH, content=body, headers=headers)

    assert answer.json() == {"inserted": 1, "received": 2, "duplicates": 1, "ignored": 0}
    assert site.asked == [("ingest", {"events": events})]


async def test_a_large_body_is_read_off_the_loop_and_is_the_same(site):
    events = [{"content": f"{number} ä" * 50} for number in range(3000)]
    body = json.dumps(events, ensure_ascii=False).encode()
    assert 500_000 < len(body) <= contract.BODY_LIMIT

    answer = await site.client.post(
        PATH, content=body, params={"cwd": "/w"}, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 200
    assert site.asked == [("ingest", {"cwd": "/w", "events": events})]


async def test_what_stands_beside_the_events_wins_over_the_query(site):
    await site.client.post(f"{PATH}?cwd=/a&group=g", json={"events": [], "cwd": "/b"})

    assert site.asked == [("ingest", {"cwd": "/b", "group": "g", "events": []})]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "the body is empty"),
        (b"{", "not JSON: line 1"),
        (b'[{"content": "a"}, 7]', "events[1]: not an object"),
        (b'{"content": "a"}\n{"content": "b"}\nnonsense', "line 3: not JSON"),
        (b"\xff", "not UTF-8"),
        (b'{"a": 1e5} {"b": Infinity}', "something follows"),
    ],
)
async def test_a_malformed_body_is_refused_with_its_place(site, body, fault):
    answer = await site.client.post(PATH, content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"
    assert fault in answer.json()["error"]["message"]
    assert site.asked == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_a_form_is_no_event(site, content_type):
    answer = await site.client.post(PATH, content=b"{}", headers={"content-type": content_type})

    assert answer.status_code == 415
    assert site.asked == []


async def test_a_compressed_body_is_refused_before_it_is_unpacked(site):
    packed = gzip.compress(b"[" + b" " * (100 << 20) + b"]")
    answer = await site.client.post(PATH, content=packed, headers={"content-encoding": "gzip"})

    assert answer.status_code == 415


async def test_a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(site):
    body = b'{"content": "' + b"x" * (contract.BODY_LIMIT - 15) + b'"}'
    assert len(body) == contract.BODY_LIMIT

    assert (await site.client.post(PATH, content=body)).status_code == 200
    answer = await site.client.post(PATH, content=body + b" ")

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert len(site.asked) == 1


async def test_a_body_without_a_length_is_measured_while_it_comes(site):
    sent = 0

    async def chunks():
        nonlocal sent
        for _ in range(40):
            sent += 1
            yield b"x" * 65_536

    answer = await site.client.post(PATH, content=chunks())

    assert answer.status_code == 413
    assert sent == 40  # it was let finish, to read the answer
    assert site.asked == []


async def test_who_announces_far_too_much_is_refused_before_it_sends(site):
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        f"Authorization: Bearer {site.token}\r\nContent-Length: 99999999999\r\n\r\n"
    )
    answer = await site.raw(head.encode())

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


async def test_who_waits_for_leave_to_send_too_much_is_not_given_it(site):
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        f"Authorization: Bearer {site.token}\r\nContent-Length: 2000000\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    answer = await site.raw(head.encode())

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_an_endless_body_is_hung_up_on(site):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        f"Authorization: Bearer {site.token}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with contextlib.suppress(ConnectionError):
        while not reader.at_eof():
            writer.write(chunk)
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()

    assert site.asked == []
    assert not site.connections


async def test_a_client_that_leaves_in_the_middle_of_its_body_changes_nothing(site):
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        f"Authorization: Bearer {site.token}\r\nContent-Length: 100\r\n\r\n" + '{"content": "a"'
    )
    await site.raw(head.encode(), read=False)
    await site.quiet()

    assert site.asked == []
    assert (await site.client.get("/api/status")).status_code == 200


async def test_a_spool_that_is_full_says_when_to_come_back(site):
    site.answers["ingest"] = {
        "code": contract.NOT_AVAILABLE,
        "message": "the spool's queue is full (4096 waiting); try again",
    }

    answer = await site.client.post(PATH, json=ONE)

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
