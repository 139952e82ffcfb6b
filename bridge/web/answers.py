"""Answers as HTTP: JSON bodies, one shape for every error, and what a failed method's status is. Pure.

Every error is `{"error": {"code": …, "message": …}}`. The codes, their statuses and what they mean
to a client stand in `MEANINGS`, from which the OpenAPI document is made as well.
"""

from __future__ import annotations

import json
from math import ceil
from typing import TYPE_CHECKING

from bridge.bulky import in_pieces
from memory_manager import contract

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Send

    from memory_manager.model import Json

type Headers = Iterable[tuple[bytes, bytes]]

#: Statuses that always say when to try again, and after how many seconds.
_AGAIN = {429: 1.0, 503: 2.0}

#: HTTP status to its error code and what it means.
MEANINGS: dict[int, tuple[str, str]] = {
    400: ("invalid_request", "The request is malformed; mend it, retrying is useless."),
    401: ("unauthorized", "The token, cookie or one-time code is missing or wrong."),
    403: ("forbidden", "The Host or the Origin is not this bridge's own."),
    404: ("not_found", "There is no such thing."),
    405: ("method_not_allowed", "This path does not take this verb; `Allow` names those it takes."),
    408: ("timeout", "The body did not come in time."),
    413: ("too_large", "The body is larger than 1 MiB; send less at once."),
    415: ("unsupported_media_type", "Send JSON or NDJSON, uncompressed."),
    429: ("too_many_requests", "Too many at once; `Retry-After` says when to try again."),
    500: ("internal", "A bug, or (`corrupt`) damaged data; the bridge's log has the details."),
    501: ("not_implemented", "This bridge does not know the method yet."),
    502: ("rejected", "The graph understood and refuses (a limit, a permission)."),
    503: ("unavailable", "Something it needs does not answer now; try again after `Retry-After`."),
    507: ("rejected", "The disk takes nothing (full, or no permission); nothing was stored."),
}

_UNKNOWN_METHOD, _CORRUPT = -32601, -32003
#: Error codes of the methods to statuses; what refuses is the disk or the graph, by route.
_STATUSES = {
    contract.INVALID_PARAMS: 400,
    contract.NOT_AVAILABLE: 503,
    _UNKNOWN_METHOD: 501,
}

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Refusal(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """The request is answered with an error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        retry_after: float | None = None,
        headers: Headers = (),
    ) -> None:
        """`retry_after` in seconds; `code` when it is not the status's usual one."""
        super().__init__(message)
        self.status = status
        self.code = code or MEANINGS[status][0]
        self.message = message
        self.headers = [*headers]
        wait = _AGAIN.get(status) if retry_after is None else retry_after
        if wait is not None:
            self.headers.append((b"retry-after", b"%d" % max(1, ceil(wait))))

    def body(self) -> dict[str, Json]:
        """The error as JSON."""
        return {"error": {"code": self.code, "message": self.message}}


def refusal_of(error: dict[str, Json], *, rejected: int, resource: str = "") -> Refusal:
    """The answer to a method's error object.

    Args:
        error: as `dispatch` gives it.
        rejected: the status when the engine that the route works with refuses: 502 or 507.
        resource: the parameter that names what is asked for; refused, it is not there.
    """
    code, message = error.get("code"), str(error.get("message"))
    if code == contract.REJECTED:
        return Refusal(rejected, message)
    if code == _CORRUPT:
        return Refusal(500, message, code="corrupt")
    status = _STATUSES.get(code, 500) if isinstance(code, int) else 500
    if status == 400 and resource and message.startswith(f"{resource}: "):  # noqa: PLR2004 - the status
        status = 404
    return Refusal(status, message)


def encoded(value: Json) -> bytes:
    """JSON as it goes out: ASCII, so that what is no valid Unicode survives too."""
    return _encode(value).encode()


def encoded_in_pieces(value: Json) -> bytes:
    """The same of what is large, on another thread."""
    return in_pieces(value, _encode).encode()


async def answer(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """Send a JSON body."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, refusal: Refusal) -> None:
    """Send an error."""
    await answer(send, refusal.status, encoded(refusal.body()), refusal.headers)
