"""A real bridge over HTTP: events in, everything out, the stream, the page's way in, the end."""

from __future__ import annotations

import json
import stat
import uuid
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bridge.sandbox import sandbox

#: Nothing is flushed but by hand.
CALM = {
    "OPENCODE_MEM_HOOK_DEADLINE_MS": "30000",
    "OPENCODE_MEM_RAW_EVENTS_AUTO_FLUSH": "0",
}


@pytest.fixture(scope="module")
def box():
    with sandbox({**CALM, "OPENCODE_MEM_PORT": "0"}) as made:
        made.start()
        made.until_live()
        yield made


def token_of(box):
    return Path(box.environment["OPENCODE_MEM_DATA_DIR"], "http-token").read_text().strip()


@pytest.fixture
def web(box):
    """A client with the token, at the address that the bridge tells."""
    with box.line() as line:
        url = line.call("ping")["url"]
    headers = {"authorization": f"Bearer {token_of(box)}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        yield client


def events(count, session):
    return [
        {
            "event_id": f"{session}-{number}",
            "session_id": session,
            "kind": "note",
            "content": f"the walrus {session} number {number} sings",
        }
        for number in range(count)
    ]


@contextmanager
def listening(client, **headers):
    with client.stream("GET", "/api/stream", headers=headers) as answer:
        assert answer.status_code == 200
        yield told(answer)


def told(answer):
    """The stream's events as (name, id, data)."""
    fields = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def named(stream, name):
    return next(event for event in stream if event[0] == name)


def test_events_are_taken_in_once_seen_at_once_and_flushed(web, place):
    sent = events(3, place.session)
    where = {"project": place.project}

    with listening(web) as stream:
        first = web.post("/api/raw-events", json=sent, params=where)
        again = web.post(
            "/api/raw-events",
            content="\n".join(map(json.dumps, [*sent, {**sent[0], "event_id": "new"}])),
            params=where,
            headers={"content-type": "application/x-ndjson"},
        )
        seen = [named(stream, "episode") for _ in range(4)]
        assert web.post("/api/flush", json={"session": place.session}).json()["failed"] == 0
        _, last, flushed = named(stream, "flushed")

    assert first.json() == {"inserted": 3, "received": 3, "duplicates": 0, "ignored": 0}
    assert again.json() == {"inserted": 1, "received": 4, "duplicates": 3, "ignored": 0}
    assert [data["event_id"] for _, _, data in seen] == [*(e["event_id"] for e in sent), "new"]
    assert all(data["pending"] for _, _, data in seen)
    assert flushed["uuids"] == [data["uuid"] for _, _, data in seen]
    group = flushed["group"]
    listed = web.get("/api/episodes", params={"group": group, "kind": "note"}).json()["episodes"]
    assert {each["uuid"] for each in listed} == set(flushed["uuids"])
    assert not any(each["pending"] for each in listed)
    whole = web.get(f"/api/episodes/{flushed['uuids'][0]}", params={"group": group}).json()
    assert whole["text"] == sent[0]["content"]
    missing = web.get(f"/api/episodes/{uuid.uuid4()}", params={"group": group})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")

    # Who lost the line meanwhile goes on behind what it has seen.
    web.post("/api/raw-events", json={**sent[0], "event_id": "later"}, params=where)
    with listening(web, **{"last-event-id": last}) as stream:
        assert named(stream, "episode")[2]["event_id"] == "later"


def test_the_same_event_by_http_and_by_socket_is_one(web, place):
    sent = events(1, place.session)
    assert place.call("ingest", events=sent)["inserted"] == 1

    answer = web.post("/api/raw-events", json=sent, params={"project": place.project})

    assert answer.json() == {"inserted": 0, "received": 1, "duplicates": 1, "ignored": 0}


def test_what_was_sent_is_found_by_asking(web, place):
    web.post("/api/raw-events", json=events(1, place.session), params={"project": place.project})
    asked = {"text": f"what sings the walrus {place.session}?", "project": place.project}

    for answer in (web.get("/api/query", params=asked), web.post("/api/query", json=asked)):
        assert answer.status_code == 200, answer.text
        (hit,) = answer.json()["hits"]
        assert place.session in hit["text"]
        assert hit["included"]
        assert "[Memory Context]" in answer.json()["block"]


def test_a_hook_is_called_and_always_replies(web, place):
    body = {"payload": {"message": "boom", "session_id": place.session}, "project": place.project}

    assert web.post("/api/hooks/error", json=body).json()["outcome"] == "accepted"
    assert web.post("/api/hooks/nonsense", json=body).json()["outcome"] == "invalid"


@pytest.mark.parametrize(
    "path",
    [
        "projects",
        "sessions",
        "injections",
        "metrics",
        "status",
        "raw-events/status",
        "openapi.json",
    ],
)
def test_everything_can_be_looked_at(web, path):
    answer = web.get(f"/api/{path}")

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"


def test_a_bad_event_is_refused_with_its_fault_and_nothing_of_its_list_is_stored(web, place):
    sent = [*events(2, place.session), {"content": 7}]

    answer = web.post("/api/raw-events", json=sent, params={"project": place.project})

    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("content: ")
    shown = web.get("/api/raw-events/status", params={"session": place.session}).json()
    assert shown["sessions"] == []


def test_the_page_is_entered_with_a_code_that_is_good_once(box, web):
    with box.line() as line:
        invited = line.call("web")
    with httpx.Client(base_url=invited["url"], timeout=60) as browser:
        assert browser.get("/").headers["content-type"].startswith("text/html")
        assert browser.get("/api/status").status_code == 401
        signed_in = browser.post("/api/session", json={"code": invited["code"]})
        assert "HttpOnly" in signed_in.headers["set-cookie"]
        assert browser.get("/api/status").json()["url"] == invited["url"]
        again = browser.post("/api/session", json={"code": invited["code"]})
        assert again.status_code == 401
    assert web.get("/healthz").json() == {"status": "live"}
    assert web.get("/readyz").status_code == 200


def test_the_token_is_the_owners_and_in_no_log(box):
    path = Path(box.environment["OPENCODE_MEM_DATA_DIR"], "http-token")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for log in (path.parent / "log").iterdir():
        assert path.read_text().strip() not in log.read_text(errors="replace")


def test_http_opens_when_it_is_asked_for_and_ends_in_order_with_the_bridge(processes):
    with sandbox(CALM) as box:
        pid = box.start()["pid"]
        with box.line() as line:
            assert line.call("ping")["url"] is None
            url = line.call("web")["url"]
        headers = {"authorization": f"Bearer {token_of(box)}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as web:
            with listening(web) as stream:
                named(stream, "status")
                with box.line() as line:
                    line.call("stop")
                assert all(name == "status" for name, _, _ in stream)  # and it ends
            processes.until(lambda: not processes.running(pid))
            with pytest.raises(httpx.ConnectError):
                web.get("/healthz")


def test_a_port_that_is_taken_costs_http_and_nothing_else(box, web):
    port = str(httpx.URL(web.base_url).port)
    with sandbox({**CALM, "OPENCODE_MEM_PORT": port}) as other:
        assert other.start()["url"] is None
        with other.line() as line:
            assert line.call("ingest", events=events(1, "s"), project="p")["inserted"] == 1
            answer = json.loads(line.send(b'{"jsonrpc":"2.0","id":1,"method":"web"}\n'))
        assert "OPENCODE_MEM_PORT" in answer["error"]["message"]
        log = Path(other.environment["OPENCODE_MEM_DATA_DIR"], "log", "bridge.log").read_text()
        assert "OPENCODE_MEM_PORT" in log
