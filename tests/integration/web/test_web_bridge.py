"""The document against a whole bridge: what its methods really answer is what the schemas say."""

from __future__ import annotations

import asyncio
import shlex
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from bridge.web.openapi import document
from bridge.web.routes import ROUTES
from bridge.web.schemas import SCHEMAS

PROJECT = "the-shop"
EVENTS = [
    {"event_id": "p1", "session_id": "s1", "kind": "prompt", "content": "why does the login fail?"},
    {"event_id": "e1", "session_id": "s1", "kind": "error", "content": "Error: TypeError in src/login.py"},
    {
        "event_id": "f1", "session_id": "s1", "kind": "file_edit", "content": "Modified: src/login.py",
        "metadata": {"path": "src/login.py", "change": "modified"},
    },
    {"event_id": "c1", "session_id": "s1", "kind": "success", "content": "Completed: fix the login"},
    {"event_id": "n1", "session_id": "s2", "kind": "note", "content": "the login is rate limited"},
]  # fmt: skip
ASKED = [route for route in ROUTES if route.path != "/api/stream"]


@pytest.fixture
async def told(bridge):
    """The address, the token and the project's group; some of it flushed, some not, some asked."""
    place = {"project": PROJECT}
    await bridge.call("ingest", events=EVENTS, **place)
    await bridge.call("flush", session="s1")
    payload = {"query": "why does the login fail?", "session_id": "s3", "message_id": "m1"}
    await bridge.hook("chat:start", payload, **place)
    invited = await bridge.call("web")
    token = await asyncio.to_thread(Path(invited["token_file"]).read_text)
    listed = await bridge.call("projects")
    group = next(each["group"] for each in listed["projects"] if each["name"] == PROJECT)
    return invited["url"], token.strip(), group


def operations(token):
    import schemathesis
    from schemathesis.config import SchemathesisConfig

    config = {"checks": {"enabled": True}, "auth": {"openapi": {"token": {"bearer": token}}}}
    return schemathesis.openapi.from_dict(
        document("1"), config=SchemathesisConfig.from_dict(config)
    )


def test_every_route_has_its_method(bridge):
    known = {*bridge.app.dispatch._commands, "hook"}

    assert {route.method for route in ROUTES if route.method} <= known


async def test_what_there_is_looks_as_documented(told):
    from schemathesis.specs.openapi.checks import ignored_auth

    url, token, group = told
    of = operations(token)

    def asked(verb, path, **parts):
        bearer = {"Authorization": f"Bearer {token}"}
        case = of[path][verb].Case(headers=bearer, **parts)
        # Its wrong tokens, one after the other, would be slowed here; they have their own test.
        answer = case.call_and_validate(base_url=url, excluded_checks=[ignored_auth])
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask():
        here = {"group": group}
        assert asked("GET", "/api/projects")["projects"]
        assert len(asked("GET", "/api/sessions", query=here)["sessions"]) == 3
        episodes = asked("GET", "/api/episodes", query=here)["episodes"]
        assert {each["pending"] for each in episodes} == {True, False}
        for each in episodes:
            path = {"uuid": each["uuid"]}
            asked("GET", "/api/episodes/{uuid}", path_parameters=path, query=here)
        assert asked("GET", "/api/query", query={"text": "login", **here})["hits"]
        assert asked("POST", "/api/query", body={"text": "login", **here})["hits"]
        assert asked("GET", "/api/graph", query=here)["nodes"]
        assert asked("GET", "/api/injections", query=here)["injections"]
        assert asked("GET", "/api/raw-events/status")["sessions"]
        assert asked("GET", "/api/metrics")["counters"]
        assert asked("GET", "/api/status").keys() <= SCHEMAS["Status"]["properties"].keys()

    await asyncio.to_thread(ask)


async def test_the_readme_s_raw_event_can_be_pasted(told):
    url, token, _ = told
    text = (Path(__file__).parents[3] / "README.md").read_text().replace("\\\n", " ")
    line = next(
        line for line in text.splitlines() if line.startswith("curl") and "/api/raw-events" in line
    )
    for name, value in {"$TOKEN": token, "$URL": url, "$PWD": "/work/shop"}.items():
        line = line.replace(name, value)
    words = shlex.split(line)
    headers = dict(value.split(": ") for option, value in pairwise(words) if option == "-H")

    async with httpx.AsyncClient() as client:
        answer = await client.post(words[-1], content=words[words.index("-d") + 1], headers=headers)

    assert answer.json() == {"inserted": 1, "received": 1, "duplicates": 0, "ignored": 0}


async def test_whatever_is_sent_nothing_breaks(bridge, told):
    url, token, _ = told
    of = operations(token)

    def ask(route, mode):
        @settings(
            max_examples=3,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=of[route.path][route.verb].as_strategy(generation_mode=mode))
        def one(case):
            answer = case.call(base_url=url)
            assert answer.status_code < 500 or answer.status_code == 503, answer.text
            assert answer.json() is not None

        one()

    def ask_all():
        from schemathesis import GenerationMode

        for route in ASKED:
            if not route.method or route.method in {*bridge.app.dispatch._commands, "hook"}:
                ask(route, GenerationMode.POSITIVE)

    await asyncio.to_thread(ask_all)
