"""An operation's arguments as models send them: read kindly, refused with what to send instead. Pure.

A number may come as text, one argument under several names; a size out of bounds is brought into
them. What can't be understood raises `InvalidRequest`, whose words the model is told.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest
from memory_manager.spool import sound

if TYPE_CHECKING:
    from memory_manager.model import Json

type Args = dict[str, Json]

_AGO = re.compile(
    r"(\d{1,9}(?:\.\d{1,6})?)\s*(s|m|h|d|w)(?:ec|in|ay|our|eek|ond|ute)*s?(?:\s+ago)?"
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS = {"today": 0, "yesterday": 1}
#: The last second that calendars have.
_LATEST = 253_402_300_799.0


def args_of(value: Json) -> Args:
    """The arguments of a call: an object, one in JSON text, or nothing.

    Raises:
        InvalidRequest: it is something else.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            raise InvalidRequest("args: not a JSON object") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest("args: not a JSON object")
    return value


def words(args: Args, *names: str) -> str:
    """The text under the first of the names that has one; "" for none.

    Raises:
        InvalidRequest: it is no text.
    """
    for name in names:
        value = args.get(name)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise InvalidRequest(f"{name}: not a text")
        return value.strip()
    return ""


def required(args: Args, *names: str) -> str:
    """The same where it has to be there.

    Raises:
        InvalidRequest: there is none.
    """
    found = words(args, *names)
    if not found:
        raise InvalidRequest(f"{names[0]}: missing; it is what the question is about")
    return found


def size(args: Args, name: str, default: int, most: int, least: int = 1) -> int:
    """A whole number, brought between `least` and `most`.

    Raises:
        InvalidRequest: it is no number.
    """
    value = args.get(name)
    if value is None or value == "":
        return default
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if math.isnan(number) or isinstance(value, bool):
        raise InvalidRequest(f"{name}: not a number")
    return int(min(max(number, least), most))


def moment(args: Args, name: str, now: float) -> float | None:
    """Seconds since the epoch from a time (UTC unless it says), `3h`, `2 days ago`, `yesterday`.

    Raises:
        InvalidRequest: it is none of these.
    """
    value = args.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        said = value.strip().lower()
        if said in _DAYS:
            midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0)
            return midnight.timestamp() - _DAYS[said] * _SECONDS["d"]
        if ago := _AGO.fullmatch(said):
            return now - float(ago[1]) * _SECONDS[ago[2]]
    try:
        at = sound.moment(value, now)
    except InvalidRequest:
        at = math.nan
    if not 0 <= at <= _LATEST:
        raise InvalidRequest(f"{name}: not a time; give 2026-11-20T10:15:00Z, 24h, 7d or yesterday")
    return at
