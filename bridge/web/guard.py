"""Who may ask: decides about Host, Origin and token, and puts strict headers on every answer.

The decisions are pure. A page of another site can send requests to a port of this machine, and by
rebinding its own name to 127.0.0.1 even read the answers; the Host header gives the second away, the
Origin header (and `Sec-Fetch-Site`, for what the cookie alone would open) the first.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.web.answers import Refusal, refuse
from bridge.web.routes import OPEN, STATIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bridge.web.keys import Keys
    from bridge.web.limits import Limits

_log = logging.getLogger(__name__)

_NAMES = ("127.0.0.1", "localhost", "[::1]")
_ONLY_READS = frozenset({"GET", "HEAD"})
#: What `Sec-Fetch-Site` says of requests of our own page, and of a person's own typing.
_OWN_SITE = frozenset({b"", b"same-origin", b"none"})

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_CACHE_CONTROL = b"cache-control"
_NOT_KEPT = (_CACHE_CONTROL, b"no-store")


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request decides whether it is answered. A header that is not there is empty."""

    verb: str
    path: str
    host: bytes = b""
    origin: bytes = b""
    site: bytes = b""
    authorization: bytes = b""
    cookie: bytes = b""


def asked_of(verb: str, path: str, headers: Iterable[tuple[bytes, bytes]]) -> Asked:
    """The request's part in it; a header that is there twice counts as neither."""
    told: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _TOLD:
            told[name] = value if name not in told else b"?"
    return Asked(verb, path, *(told.get(name, b"") for name in _TOLD))


_TOLD = (b"host", b"origin", b"sec-fetch-site", b"authorization", b"cookie")


def hosts(port: int) -> frozenset[bytes]:
    """The `Host` headers that mean us."""
    return frozenset(f"{name}:{port}".encode() for name in _NAMES)


def foreign(asked: Asked, ours: frozenset[bytes]) -> Refusal | None:
    """The refusal of a request that is not meant for us, or that another site's page sends."""
    if asked.host.lower() not in ours:
        return Refusal(403, "host: this bridge answers to 127.0.0.1 and localhost at its own port")
    if asked.origin and asked.origin.lower() != b"http://" + asked.host.lower():
        return Refusal(403, "origin: a page of another site may not ask this bridge")
    return None


def is_open(path: str) -> bool:
    """Whether nobody needs a token for it; of everything that is not known, somebody does."""
    return path in OPEN or path.startswith(STATIC)


def opened(asked: Asked, keys: Keys, now: float) -> Refusal | None:
    """None when the request carries the token, or the cookie and is the page's own."""
    if asked.authorization:
        if keys.bearer(asked.authorization):
            return None
        return _unauthorised("the token is wrong; it stands in the file http-token")
    if not asked.cookie or not keys.signed_in(asked.cookie, now):
        return _unauthorised("send `Authorization: Bearer <token>`, or run `opencode-mem open`")
    # The browser sends the cookie to us for any page of this machine, whatever its port.
    if asked.site not in _OWN_SITE:
        return Refusal(403, "origin: a page of another site may not ask this bridge")
    if asked.verb not in _ONLY_READS and not (asked.origin or asked.site):
        return Refusal(403, "origin: with the cookie, what changes something has to name its page")
    return None


def _unauthorised(message: str) -> Refusal:
    return Refusal(401, message, headers=((b"www-authenticate", b"Bearer"),))


def with_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """An answer's headers with those that every answer has."""
    own = list(headers)
    kept = any(name == _CACHE_CONTROL for name, _ in own)
    return [*own, *HEADERS] if kept else [*own, *HEADERS, _NOT_KEPT]


class Guard:
    """Stands before the app: refuses, adds the headers, and is where an unexpected error ends."""

    def __init__(  # noqa: PLR0913 - what it decides by
        self,
        app: ASGIApp,
        port: int,
        keys: Keys,
        limits: Limits,
        *,
        now: Callable[[], float],
        ticks: Callable[[], float],
        touched: Callable[[], None],
    ) -> None:
        """`now` is the time, `ticks` a monotonic clock; `touched` hears that somebody is here."""
        self._app = app
        self._hosts = hosts(port)
        self._keys = keys
        self._limits = limits
        self._now = now
        self._ticks = ticks
        self._touched = touched

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = with_headers(message["headers"])
            await send(message)

        try:
            refusal = self._refusal(asked_of(scope["method"], scope["path"], scope["headers"]))
            if refusal is None:
                await self._app(scope, receive, guarded)
            else:
                await refuse(guarded, refusal)
        except Exception:
            _log.exception("Memory plugin error: %s %s failed", scope["method"], scope["path"][:80])
            if started:
                raise  # the server hangs up: half an answer must not look like a whole one
            await refuse(
                guarded,
                Refusal(500, "something went wrong inside; the bridge's log has the details"),
            )

    def _refusal(self, asked: Asked) -> Refusal | None:
        if (refusal := foreign(asked, self._hosts)) is not None:
            return refusal
        if is_open(asked.path):
            return _too_many(self._limits.stranger.wait(self._ticks()))
        if (refusal := opened(asked, self._keys, self._now())) is not None:
            if refusal.status == 401:  # noqa: PLR2004 - the status
                return _too_many(self._limits.failed.wait(self._ticks())) or refusal
            return refusal
        self._touched()
        return _too_many(self._limits.owner.wait(self._ticks()))


def _too_many(wait: float) -> Refusal | None:
    if not wait:
        return None
    return Refusal(429, "too many requests; wait, then send fewer at once", retry_after=wait)
