"""The OpenAPI document and the running app say the same: whatever is sent, the answer is as documented."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from bridge.timeline import Timeline
from bridge.web.app import Behind, Web
from bridge.web.keys import Keys
from bridge.web.limits import Bucket, Limits
from bridge.web.openapi import document
from bridge.web.ports import listeners
from bridge.web.routes import ROUTES
from bridge.web.schemas import SCHEMAS
from bridge.web.serving import WebServer
from memory_manager import contract
from memory_manager.errors import InvalidRequest
from memory_manager.spool.events import ingested

TOKEN = "t" * 43
FREE = Bucket(1e9, 1e9)
#: What is held to be true of every answer: all that schemathesis knows about an API.
CONFIG = {
    "checks": {"enabled": True},
    "auth": {"openapi": {"token": {"bearer": TOKEN}}},
}


def sample(schema):
    """The least that the schema allows, every property of it included."""
    if "$ref" in schema:
        return sample(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: sample(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema["items"])]
    return {"string": "text \ud800", "integer": 1, "number": 1.5, "boolean": True}[kind]


async def dispatch(method, params):
    """Every method answers as its schema says; events are judged as the spool does."""
    try:
        for event in params.get("events", ()) if method == "ingest" else ():
            ingested(event, group="g", now=1_800_000_000.0)
    except InvalidRequest as fault:
        return None, {"code": contract.INVALID_PARAMS, "message": str(fault)}
    result = next(route.result for route in ROUTES if route.method == method)
    return sample(SCHEMAS[result]), None


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A running app, in a loop and a thread of its own."""
    ready, end = threading.Event(), None
    made = {}

    async def serve():
        nonlocal end
        end = asyncio.Event()
        made["loop"] = asyncio.get_running_loop()
        port, sockets = listeners(0)
        behind = Behind(
            dispatch=dispatch,
            timeline=Timeline(10, 1 << 20),
            health=lambda: "live",
            keys=Keys(TOKEN, lambda: "code", port),
            page=tmp_path_factory.mktemp("page"),
            version="1.2.3",
            run="r1",
            now=lambda: 1_800_000_000.0,
            ticks=lambda: 1000.0,
            touched=lambda: None,
            limits=Limits(owner=FREE, stranger=FREE, failed=FREE),
        )
        server = WebServer(Web(behind, port))
        await server.start(sockets)
        made["url"] = f"http://127.0.0.1:{port}"
        ready.set()
        await end.wait()
        await server.close(2.0)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    yield made["url"]
    made["loop"].call_soon_threadsafe(end.set)
    thread.join(30)


@pytest.fixture(scope="module")
def operations():
    """The document as schemathesis reads it."""
    import schemathesis
    from schemathesis.config import SchemathesisConfig

    @schemathesis.serializer("application/x-ndjson")
    def lines(_context, value):
        """Each item on a line; what is no list is a line that is no event."""
        items = value if isinstance(value, list) else [[value]]
        return "\n".join(map(json.dumps, items)).encode("utf-8", "surrogatepass")

    return schemathesis.openapi.from_dict(
        document("1.2.3"), config=SchemathesisConfig.from_dict(CONFIG)
    )


# The stream has no end; it has tests of its own.
ASKED = [route for route in ROUTES if route.path != "/api/stream"]


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("route", ASKED, ids=lambda route: f"{route.verb} {route.path}")
def test_whatever_is_sent_the_answer_is_as_documented(operations, url, route, mode):
    from schemathesis import GenerationMode

    operation = operations[route.path][route.verb]

    @settings(
        max_examples=6,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
    def ask(case):
        case.call_and_validate(base_url=url)

    with contextlib.suppress(Unsatisfiable):  # nothing about it can be wrong
        ask()


def test_the_document_that_is_served_is_the_one_that_was_tested(url):
    assert httpx.get(f"{url}/api/openapi.json").json() == document("1.2.3")
