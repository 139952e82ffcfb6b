"""The Starlette side: routes of the table to methods of the line protocol, and what HTTP adds.

Pure ASGI throughout: an acknowledged event is worth a few hundred microseconds, not a stack of
middleware.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.routing import Route as Place
from starlette.routing import Router

from bridge.bulky import bulky
from bridge.web.answers import (
    Refusal,
    answer,
    encoded,
    encoded_in_pieces,
    refusal_of,
    refuse,
)
from bridge.web.bodies import acceptable, events
from bridge.web.files import Files
from bridge.web.given import checked, from_query, object_of
from bridge.web.guard import Guard
from bridge.web.keys import COOKIE_S
from bridge.web.limits import Limits
from bridge.web.openapi import document
from bridge.web.reading import PATIENCE_S, Gone, body_of, header
from bridge.web.routes import ROUTES, Takes
from bridge.web.stream import Pace, Streams
from memory_manager.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bridge.timeline import Timeline
    from bridge.web.keys import Keys
    from bridge.web.routes import Route
    from memory_manager.model import Json

    type Dispatch = Callable[[str, dict[str, Json]], Awaitable[tuple[Json, dict[str, Json] | None]]]

#: Bytes of a body that are parsed here and now, in half a millisecond; more go to a thread.
_SMALL = 64 * 1024
#: Words of a bridge that can be asked.
_READY = frozenset({"live", "no-cache"})


@dataclass(frozen=True, slots=True)
class Behind:
    """What the web stands in front of.

    `health` gives the degradation word; `run` names this run of the bridge; `now` is the time,
    `ticks` a monotonic clock, `touched` hears that somebody is here.
    """

    dispatch: Dispatch
    timeline: Timeline
    health: Callable[[], str]
    keys: Keys
    page: Path
    version: str
    run: str
    now: Callable[[], float]
    ticks: Callable[[], float]
    touched: Callable[[], None]
    limits: Limits = field(default_factory=Limits)
    pace: Pace = field(default_factory=Pace)


class Web:
    """The whole app, as it answers at one port."""

    def __init__(self, behind: Behind, port: int) -> None:
        self.streams = Streams(behind.timeline, _Status(behind.dispatch), behind.run, behind.pace)
        own: dict[str, ASGIApp] = {
            "/api/stream": self.streams,
            "/api/session": _SignIn(behind),
            "/healthz": _Health(behind, always=True),
            "/readyz": _Health(behind, always=False),
            "/api/openapi.json": _Document(behind.version),
        }
        verbs: dict[str, dict[str, ASGIApp]] = {}
        for route in ROUTES:
            endpoint = _Method(route, behind.dispatch) if route.method else own[route.path]
            verbs.setdefault(route.path, {})[route.verb] = endpoint
        files = Files(behind.page)
        verbs |= {"/": {"GET": files}, "/static/{path:path}": {"GET": files}}
        router = Router(
            [Place(path, _Path(taken)) for path, taken in verbs.items()],
            redirect_slashes=False,
            default=_nothing_here,
        )
        self._guard = Guard(
            router,
            port,
            behind.keys,
            behind.limits,
            now=behind.now,
            ticks=behind.ticks,
            touched=behind.touched,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._guard(scope, receive, send)


class _Path:
    """One path: its verbs, and every refusal as an answer."""

    def __init__(self, verbs: dict[str, ASGIApp]) -> None:
        self._verbs = verbs
        self._allow = ", ".join(sorted({*verbs, "HEAD"} if "GET" in verbs else verbs))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        verb = "GET" if scope["method"] == "HEAD" else scope["method"]
        endpoint = self._verbs.get(verb)
        try:
            if endpoint is None:
                allow = ((b"allow", self._allow.encode()),)
                raise Refusal(405, f"this path takes {self._allow}", headers=allow)  # noqa: TRY301 - one place turns refusals into answers
            await endpoint(scope, receive, send)
        except Refusal as refusal:
            await refuse(send, refusal)
        except InvalidRequest as fault:
            await refuse(send, Refusal(400, str(fault)))
        except Gone:
            return


class _Method:
    """One route: its parameters out of address and body, the method's result as JSON."""

    def __init__(self, route: Route, dispatch: Dispatch) -> None:
        self._route = route
        self._dispatch = dispatch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route
        params = await self._params(scope, receive)
        result, error = await self._dispatch(route.method, params)
        if error is not None:
            # A hook's name is no resource, and its refusals are replies.
            resource = "" if route.method == "hook" else route.resource
            raise refusal_of(error, rejected=route.rejected, resource=resource)
        body = (
            await asyncio.to_thread(encoded_in_pieces, result) if bulky(result) else encoded(result)
        )
        await answer(send, 200, body)

    async def _params(self, scope: Scope, receive: Receive) -> dict[str, Json]:
        route = self._route
        in_path: dict[str, Json] = dict(scope["path_params"])
        others = [param for param in route.params if param.name not in in_path]
        if route.takes is Takes.QUERY:
            told = from_query(scope["query_string"], others)
            return checked({**told, **in_path}, route.params)
        asked = from_query(scope["query_string"], others if route.takes is Takes.EVENTS else ())
        body = await body_of(scope["headers"], receive, PATIENCE_S)
        type_ = header(scope["headers"], b"content-type")
        if body and not acceptable(type_):
            raise Refusal(415, f"content-type: {type_[:60]!r}; send application/json")
        if route.takes is Takes.OBJECT:
            return checked({**await _parsed(body, object_of), **in_path}, route.params)
        params = checked(asked, route.params)
        found, beside = await _parsed(body, partial(events, content_type=type_, params=others))
        return {**params, **beside, "events": found}


async def _parsed[T](body: bytes, parse: Callable[[bytes], T]) -> T:
    return parse(body) if len(body) <= _SMALL else await asyncio.to_thread(parse, body)


class _Status:
    """The state that the stream tells."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    async def __call__(self) -> Json:
        result, error = await self._dispatch("status", {})
        return result if error is None else {"error": error.get("message")}


class _SignIn:
    """A one-time code for the page's cookie."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self._params = next(route.params for route in ROUTES if route.path == "/api/session")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        behind = self._behind
        body = await body_of(scope["headers"], receive, PATIENCE_S)
        if body and not acceptable(header(scope["headers"], b"content-type")):
            raise Refusal(415, "content-type: send application/json")
        code = checked(object_of(body), self._params)["code"]
        if not behind.keys.redeem(str(code), behind.now()):
            if wait := behind.limits.failed.wait(behind.ticks()):
                raise Refusal(429, "too many wrong codes; wait", retry_after=wait)
            raise Refusal(
                401, "code: used, too old or wrong; run `opencode-mem open` for a new one"
            )
        cookie = ((b"set-cookie", behind.keys.cookie(behind.now()).encode()),)
        await answer(send, 200, encoded({"expires_in_s": COOKIE_S}), cookie)


class _Health:
    """The degradation word; `always`: 200 whatever it is."""

    def __init__(self, behind: Behind, *, always: bool) -> None:
        self._behind = behind
        self._always = always

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        word = self._behind.health()
        good = self._always or word in _READY
        await answer(
            send,
            200 if good else 503,
            encoded({"status": word}),
            () if good else ((b"retry-after", b"2"),),
        )


class _Document:
    """The OpenAPI document."""

    def __init__(self, version: str) -> None:
        self._body = encoded(document(version))

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await answer(send, 200, self._body)


async def _nothing_here(_scope: Scope, _receive: Receive, send: Any) -> None:  # noqa: ANN401 - Starlette's type
    await refuse(send, Refusal(404, "nothing here; /api/openapi.json lists what there is"))
