"""Values from outside made sound: text that UTF-8 can hold, JSON within bounds, possible times. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest
from memory_manager.hook_payload import clipped
from memory_manager.spool.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memory_manager.model import Json

#: Clocks may differ by so many seconds; an event from later than that happened now.
_AHEAD = 300.0
#: Bounds of metadata: nesting, members of one object or list, characters of a name.
_DEEPEST, _MOST_MEMBERS, _LONGEST_NAME = 8, 512, 256
#: Numbers from here on are not exact in every JSON reader.
_LARGEST_NUMBER = 2**63
#: Times above this are milliseconds (in seconds it would be the year 5138).
_MILLISECONDS = 1e11


def valid(text: str) -> str:
    """Text that UTF-8 and SQLite can hold: pairs joined, lone surrogates and NUL replaced."""
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd")


def moment(value: Json, now: float) -> float:
    """Seconds since the epoch from seconds, milliseconds or ISO 8601 (UTC unless it says)."""
    if value is None:
        return now
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:
            return now
        return seconds / 1000 if seconds > _MILLISECONDS else seconds
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value.strip())
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            pass
    raise InvalidRequest("at: not a time; send seconds, milliseconds or 2026-11-20T10:15:00Z")


def sane(at: float, now: float) -> float:
    """`at` if it is a time that can have been; else `now`."""
    if not math.isfinite(at) or at < 0 or at > now + _AHEAD:
        return now
    return float(at)


def json_object(fields: Mapping[str, object], depth: int = 0) -> dict[str, Json]:
    """The fields as JSON can hold them, bounded in depth and members."""
    kept: dict[str, Json] = {}
    for name, value in list(fields.items())[:_MOST_MEMBERS]:
        kept[clipped(valid(name), _LONGEST_NAME, _redacted)] = _json_safe(value, depth + 1)
    return kept


def _redacted(text: str) -> str:
    return redact(text)[0]


def _json_safe(value: object, depth: int) -> Json:
    if value is None or isinstance(value, bool | int | float | str):
        return _scalar(value)
    if depth < _DEEPEST:
        if isinstance(value, list | tuple):
            return [_json_safe(item, depth + 1) for item in value[:_MOST_MEMBERS]]
        if isinstance(value, dict):
            return json_object(value, depth)
    # Too deep, or no JSON at all: that something was there is all that is kept.
    return "…"


def _scalar(value: float | str | None) -> Json:
    if isinstance(value, str):
        return valid(value)
    # Infinity, NaN and what a reader of JSON may round are no numbers here.
    return value if value is None or abs(value) < _LARGEST_NUMBER else None
