"""Bodies of raw events: one object, a list, `{"events": […]}`, or NDJSON. Pure.

A list is read item by item, not in one call: the interpreter is free for others in between, and a
fault has a place. What an event has to consist of is the spool's to judge.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.web.given import DECODER, checked, fault_of, text_of
from memory_manager.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.web.routes import Param
    from memory_manager.model import Json

_SPACE = re.compile(r"[ \t\r\n]*")
_BLANK = re.compile(r"[ \t\r]*")
_LINES = ("ndjson", "jsonl", "jsonlines", "json-seq", "json-lines")
#: Types that a page of another origin can send without asking: never an event.
_FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")

type Events = tuple[list[Json], dict[str, Json]]


def media_type(header: str) -> str:
    """The type without its parameters."""
    return header.partition(";")[0].strip().lower()


def acceptable(header: str) -> bool:
    """Whether a body of this content type may be JSON."""
    named = media_type(header)
    return named not in _FORMS and (
        not named or "json" in named or named == "application/octet-stream"
    )


def events(body: bytes, content_type: str, params: Sequence[Param]) -> Events:
    """The events in a body, and the parameters beside them.

    Args:
        body: the bytes.
        content_type: the header; what it leaves open, the body's shape tells.
        params: what may stand beside `events`.

    Raises:
        InvalidRequest: names the line or the event, its fault and the mend.
    """
    text = text_of(body)
    named = media_type(content_type)
    if any(word in named for word in _LINES):
        return _lines(text), {}
    start = _SPACE.match(text).end()  # type: ignore[union-attr] # it matches everything
    if start == len(text):
        raise InvalidRequest("the body is empty; send one event, a list, or one event a line")
    if text[start] == "[":
        items, end = _list(text, start)
        _nothing_after(text, end)
        return _objects(items), {}
    value, end = _value(text, start)
    after = _BLANK.match(text, end).end()  # type: ignore[union-attr] # as above
    if text.startswith("\n", after) and text[after:].strip():
        return _lines(text), {}
    _nothing_after(text, end)
    if not isinstance(value, dict):
        raise InvalidRequest("the body is neither an object nor a list of objects")
    if "events" in value and "content" not in value:
        inside = value.pop("events")
        if not isinstance(inside, list):
            raise InvalidRequest("events: not a list of objects")
        return _objects(inside), checked(value, params)
    return [value], {}


def _lines(text: str) -> list[Json]:
    found: list[Json] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            # A line has one line: its own number is the body's.
            fault = fault_of(error).replace(": line 1, column", ": column")
            raise InvalidRequest(f"line {number}: {fault}") from None
        if not isinstance(value, dict):
            raise InvalidRequest(f"line {number}: not an object; send one JSON object a line")
        found.append(value)
    return found


def _list(text: str, start: int) -> tuple[list[Json], int]:
    """The items of the list that begins at `start`, and where it ends."""
    items: list[Json] = []
    at = _past(text, start + 1)
    if text.startswith("]", at):
        return items, at + 1
    while True:
        value, at = _value(text, at, f"events[{len(items)}]: ")
        items.append(value)
        at = _past(text, at)
        if text.startswith("]", at):
            return items, at + 1
        if not text.startswith(",", at):
            line = text.count("\n", 0, at) + 1
            raise InvalidRequest(f"the body is not JSON: line {line}: expected ',' or ']'")
        at = _past(text, at + 1)


def _past(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr] # it matches everything


def _value(text: str, at: int, where: str = "") -> tuple[Json, int]:
    try:
        value, end = DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{where}the body is {fault_of(error)}") from None
    return value, end


def _nothing_after(text: str, end: int) -> None:
    if (at := _past(text, end)) < len(text):
        line = text.count("\n", 0, at) + 1
        raise InvalidRequest(f"the body is not JSON: line {line}: something follows its end")


def _objects(items: list[Json]) -> list[Json]:
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidRequest(f"events[{number}]: not an object; send objects with `content`")
    return items
