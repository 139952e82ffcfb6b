"""Lines of a log: what came from outside can neither begin a new one nor steer a terminal. Pure."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, override

if TYPE_CHECKING:
    from types import TracebackType

    type _Failure = (
        tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    )

#: What ends a line, steers a terminal, turns the direction of writing, or is no text at all.
_UNSAFE = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_TRACEBACK = re.compile(f"[{_UNSAFE}]")
_IN_MESSAGE = re.compile(rf"[\t\n{_UNSAFE}]")


class LogLines(logging.Formatter):
    """Time, level, logger and message: one line for each record, and its traceback as it is printed."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _IN_MESSAGE.sub(_escaped, record.message)
        return super().formatMessage(record)

    @override
    def formatException(self, ei: _Failure) -> str:
        return _IN_TRACEBACK.sub(_escaped, super().formatException(ei))


def to_log(level: int, handlers: list[logging.Handler]) -> None:
    """Have these handlers write everything from this level on, in such lines."""
    for handler in handlers:
        handler.setFormatter(LogLines())
    logging.basicConfig(level=level, handlers=handlers)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
