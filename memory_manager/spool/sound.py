"""Values from outside made sound: text that UTF-8 can hold, JSON within bounds, possible times. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest
from memory_manager.hook_payload import clean, clipped
from memory_manager.spool.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from memory_manager.model import Json

#: Clocks may differ by so many seconds; an event from later than that happened now.
_AHEAD = 300.0
#: Bounds of metadata: nesting, members of one object or list, characters of a name.
_DEEPEST, _MOST_MEMBERS, _LONGEST_NAME = 8, 512, 256
#: And values in all: looking at each takes up to 20 microseconds.
_MOST_VALUES = 2048
#: Numbers from here on are not exact in every JSON reader.
_LARGEST_NUMBER = 2**63
#: Times above this are milliseconds (in seconds it would be the year 5138).
_MILLISECONDS = 1e11


def valid(text: str) -> str:
    """Text that UTF-8 and SQLite can hold: pairs joined, lone surrogates and NUL replaced."""
    return clean(text)


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
    """`at` if it is a time that can have been; else `now`.

    To the microsecond: the graph gives 16 digits of a number, and what comes back from it has to
    be what went in.
    """
    if not math.isfinite(at) or at < 0 or at > now + _AHEAD:
        at = now
    return round(float(at), 6)


def json_object(fields: Mapping[str, object]) -> dict[str, Json]:
    """The fields as JSON can hold them, bounded in depth, members and values in all."""
    return _object(fields, 0, iter(range(_MOST_VALUES)))


def _redacted(text: str) -> str:
    return redact(text)[0]


def _object(fields: Mapping[str, object], depth: int, left: Iterator[int]) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    for (name, value), _ in zip(islice(fields.items(), _MOST_MEMBERS), left, strict=False):
        kept[clipped(valid(name), _LONGEST_NAME, _redacted)] = _json_safe(value, depth + 1, left)
    return kept


def _json_safe(value: object, depth: int, left: Iterator[int]) -> Json:
    if value is None or isinstance(value, bool | int | float | str):
        return _scalar(value)
    if depth < _DEEPEST:
        if isinstance(value, list | tuple):
            members = zip(islice(value, _MOST_MEMBERS), left, strict=False)
            return [_json_safe(item, depth + 1, left) for item, _ in members]
        if isinstance(value, dict):
            return _object(value, depth, left)
    # Too deep, or no JSON at all: that something was there is all that is kept.
    return "…"


def _scalar(value: float | str | None) -> Json:
    if isinstance(value, str):
        return valid(value)
    # Infinity, NaN and what a reader of JSON may round are no numbers here.
    return value if value is None or abs(value) < _LARGEST_NUMBER else None
