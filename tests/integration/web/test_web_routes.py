"""Every route over real HTTP: what it asks of its method, and what its answers and errors are."""

from __future__ import annotations

import asyncio
import json

import pytest

from bridge.web.guard import HEADERS
from bridge.web.routes import ROUTES, Takes
from memory_manager import contract

ASKED = [route for route in ROUTES if route.method]
VALUES = {"string": "a b&c", "integer": 5, "number": 2.5, "boolean": True, "strings": ["x", "y"], "any": {"q": [1]}}  # fmt: skip
NAMED = {"kind": "note"}


def value_of(param):
    return NAMED.get(param.name, VALUES[param.kind])


def in_query(value):
    return json.dumps(value) if isinstance(value, bool | int | float) else value


@pytest.mark.parametrize("route", ASKED, ids=lambda route: f"{route.verb} {route.path}")
async def test_a_route_asks_its_method_with_all_its_parameters(site, route):
    site.answers[route.method] = {"told": "yes \ud800"}
    expected = {param.name: value_of(param) for param in route.params}
    path, query, body = route.path, {}, None
    if route.resource:
        path = path.replace("{" + route.resource + "}", "chat:start")
        expected[route.resource] = "chat:start"
    rest = {name: value for name, value in expected.items() if name != route.resource}
    if route.takes is Takes.OBJECT:
        body = rest
    else:
        query = {name: in_query(value) for name, value in rest.items()}
    if route.takes is Takes.EVENTS:
        body = [{"content": "a"}]
        expected["events"] = body

    answer = await site.client.request(route.verb, path, params=query, json=body)

    assert answer.status_code == 200, answer.text
    assert answer.json() == {"told": "yes \ud800"}
    assert answer.headers["content-type"] == "application/json"
    assert site.asked == [(route.method, expected)]
    assert site.touched == 1


@pytest.mark.parametrize("route", ASKED, ids=lambda route: f"{route.verb} {route.path}")
async def test_a_route_without_a_token_asks_nothing(site, route):
    answer = await site.stranger.request(route.verb, route.path.replace("{", "").replace("}", ""))

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert site.asked == []
    assert site.touched == 0


@pytest.mark.parametrize(
    ("code", "path", "status", "named"),
    [
        (contract.INVALID_PARAMS, "/api/status", 400, "invalid_request"),
        (contract.NOT_AVAILABLE, "/api/status", 503, "unavailable"),
        (contract.REJECTED, "/api/status", 502, "rejected"),
        (-32003, "/api/status", 500, "corrupt"),
        (-32601, "/api/status", 501, "not_implemented"),
        (-32603, "/api/status", 500, "internal"),
        (-1, "/api/status", 500, "internal"),
    ],
)
async def test_a_methods_error_has_its_status(site, code, path, status, named):
    site.answers["status"] = {"code": code, "message": "why"}

    answer = await site.client.get(path)

    assert answer.status_code == status
    assert answer.json() == {"error": {"code": named, "message": "why"}}
    assert ("retry-after" in answer.headers) is (status == 503)


async def test_a_full_disk_is_said_as_such_where_events_are_taken_in(site):
    site.answers["ingest"] = {"code": contract.REJECTED, "message": "the disk is full"}

    answer = await site.client.post("/api/raw-events", json={"content": "a"})

    assert answer.status_code == 507
    assert answer.json()["error"] == {"code": "rejected", "message": "the disk is full"}


async def test_an_episode_that_is_not_there_is_not_found(site):
    site.answers["episode"] = {"code": contract.INVALID_PARAMS, "message": "uuid: no episode 'x'"}

    answer = await site.client.get("/api/episodes/x", params={"group": "g"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_a_bug_is_an_answer_too_and_is_logged(site, caplog):
    async def broken(_params):
        raise LookupError("a bug")

    site.answers["status"] = broken

    answer = await site.client.get("/api/status")

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "a bug" not in answer.text
    assert "Memory plugin error" in caplog.text
    assert (await site.client.get("/healthz")).status_code == 200


async def test_what_json_cannot_say_is_a_bug_and_not_a_lie(site, caplog):
    site.answers["status"] = {"value": float("nan")}

    answer = await site.client.get("/api/status")

    assert answer.status_code == 500
    assert "Memory plugin error" in caplog.text


@pytest.mark.parametrize(
    ("verb", "path", "allow"),
    [
        ("DELETE", "/api/raw-events", "POST"),
        ("GET", "/api/raw-events", "POST"),
        ("PUT", "/api/query", "GET, HEAD, POST"),
        ("POST", "/api/status", "GET, HEAD"),
        ("OPTIONS", "/api/status", "GET, HEAD"),
        ("TRACE", "/api/status", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("GET", "/api/session", "POST"),
    ],
)
async def test_a_wrong_verb_is_told_the_right_ones(site, verb, path, allow):
    answer = await site.client.request(verb, path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/status/", "//", "/x/y"])
async def test_an_unknown_path_is_not_found(site, path):
    answer = await site.client.get(site.url + path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_head_is_get_without_the_body(site):
    site.answers["status"] = {"a": 1}

    answer = await site.client.head("/api/status")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "7"


async def test_an_unknown_parameter_is_refused_wherever_it_stands(site):
    for answer in (
        await site.client.get("/api/status?_=1"),
        await site.client.post("/api/flush?session=s"),
        await site.client.post("/api/flush", json={"sessions": []}),
        await site.client.post("/api/raw-events?x=1", json={"content": "a"}),
    ):
        assert answer.status_code == 400, answer.text
        assert "no such parameter" in answer.json()["error"]["message"]
    assert site.asked == []


async def test_health_is_one_word_and_ready_is_whether_it_can_be_asked(site):
    for word, ready in (("live", 200), ("no-cache", 200), ("no-graph", 503), ("spool-only", 503)):
        site.word = word
        alive = await site.stranger.get("/healthz")
        answer = await site.stranger.get("/readyz")
        assert (alive.status_code, alive.json()) == (200, {"status": word})
        assert (answer.status_code, answer.json()) == (ready, {"status": word})


async def test_every_answer_carries_the_strict_headers(site):
    site.answers["episodes"] = {"code": contract.INVALID_PARAMS, "message": "no"}
    client, stranger = site.client, site.stranger
    answers = [
        await client.get("/api/status"),
        await stranger.get("/api/status"),
        await stranger.get("/"),
        await stranger.get("/static/js/main.js"),
        await stranger.get("/static/none.js"),
        await stranger.get("/healthz"),
        await stranger.get("/api/openapi.json"),
        await client.get("/nothing"),
        await client.put("/api/status"),
        await client.get("/api/episodes", params={"group": "g"}),
        await client.get("/api/status", headers={"host": "evil.example"}),
        await client.post("/api/raw-events", content=b"x" * (contract.BODY_LIMIT + 1)),
        await stranger.get(
            "/", headers={"if-none-match": (await stranger.get("/")).headers["etag"]}
        ),
    ]

    assert {answer.status_code for answer in answers} == {200, 304, 400, 401, 403, 404, 405, 413}
    for answer in answers:
        for name, value in HEADERS:
            assert answer.headers[name.decode()] == value.decode(), answer.url
        assert answer.headers["cache-control"] in {"no-store", "no-cache"}
        assert "server" not in answer.headers
        assert "date" in answer.headers
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_requests_under_way_are_finished_when_the_server_ends(site):
    going, go = asyncio.Event(), asyncio.Event()

    async def slow(_params):
        going.set()
        await go.wait()
        return {"done": True}

    site.answers["flush"] = slow
    asking = asyncio.create_task(site.client.post("/api/flush"))
    await going.wait()
    closing = asyncio.create_task(site.server.close(30.0))
    await asyncio.sleep(0)
    go.set()

    assert (await asking).json() == {"done": True}
    await closing


async def test_what_does_not_finish_is_hung_up_on_within_the_deadline(site):
    going = asyncio.Event()

    async def never(_params):
        going.set()
        await asyncio.Event().wait()

    site.answers["flush"] = never
    asking = asyncio.create_task(site.client.post("/api/flush"))
    await going.wait()

    await site.server.close(0.5)

    assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], Exception)
    assert not site.connections
