"""Times and durations as people type them. Pure but for the local time zone."""

from __future__ import annotations

import re
from datetime import datetime

from memory_manager.errors import InvalidRequest

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(s|m|min|h|d|w)")
#: Times that are taken for meant: from 1970 to the year 5138.
_EARLIEST, _LATEST = 0.0, 1e11
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration(text: str, option: str) -> float:
    """Seconds of `90s`, `15m`, `24h`, `7d`, `2w`.

    Raises:
        InvalidRequest: it is none of these.
    """
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidRequest(
            f"{option}: {text[:40]!r} is no duration; give 90s, 15m, 24h, 7d or 2w"
        )
    return float(found[1]) * _SECONDS[found[2]]


def moment(text: str, now: float, option: str) -> float:
    """Seconds since the epoch of `now`, of a duration before it, or of an ISO 8601 time.

    A time without a zone is local.

    Raises:
        InvalidRequest: it is none of these, or lies before 1970 or in no year that anybody means.
    """
    words = text.strip()
    if words.lower() == "now":
        return now
    try:
        found = (
            now - duration(words, option)
            if _DURATION.fullmatch(words.lower())
            else datetime.fromisoformat(words).timestamp()
        )
    except (ValueError, OverflowError, OSError):
        found = -1.0
    if not _EARLIEST <= found <= _LATEST:
        raise InvalidRequest(
            f"{option}: {text[:40]!r} is no time; give 7d (ago), now, or 2026-11-20T10:15"
        )
    return found
