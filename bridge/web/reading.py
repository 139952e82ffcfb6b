"""A request's body, read up to the limit and never beyond it into memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.web.answers import Refusal
from memory_manager import contract

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive

#: Seconds that a body may take to come.
PATIENCE_S = 30.0
#: Bytes beyond the limit that are read and thrown away, so that the sender comes to read our
#: answer; who sends even more is hung up on.
_THROWN_AWAY = 8 * contract.BODY_LIMIT

_CLOSE = ((b"connection", b"close"),)


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """The header's text, "" when it is not there."""
    return next((value.decode("latin-1") for key, value in headers if key == name), "")


class Gone(Exception):  # noqa: N818 - nobody is left to be told of a mistake
    """The client hung up before its request was whole."""


async def body_of(
    headers: Iterable[tuple[bytes, bytes]], receive: Receive, patience: float
) -> bytes:
    """The whole body.

    Args:
        headers: the request's.
        receive: gives its parts.
        patience: seconds that it may take.

    Raises:
        Refusal: 408, 413 or 415.
        Gone: the client hung up.
    """
    if header(headers, b"content-encoding") not in {"", "identity"}:
        raise Refusal(415, "content-encoding: send the body as it is, uncompressed")
    declared = header(headers, b"content-length")
    if declared.isdigit() and int(declared) > contract.BODY_LIMIT:
        if header(headers, b"expect") or int(declared) > _THROWN_AWAY:
            raise _too_large()
    elif declared == "0":
        return b""
    try:
        async with asyncio.timeout(patience):
            return await _read(receive)
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {patience:g} s", headers=_CLOSE) from None


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        if size <= contract.BODY_LIMIT:
            parts.append(part)
        else:
            parts.clear()
            if size > _THROWN_AWAY:
                raise _too_large()
    if size > contract.BODY_LIMIT:
        raise _too_large()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large() -> Refusal:
    return Refusal(
        413,
        f"the body is larger than {contract.BODY_LIMIT} bytes; send fewer events at once",
        headers=_CLOSE,
    )
