"""Shortens long tool output: its head, its tail, the trouble between, and how much is missing. Pure.

Cuts stand at the ends of lines, or of items where a line is enormous (JSON in one line). Lines that
look like an error, a failed test or a traceback stay with a few around them. Shortening twice is
shortening once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memory_manager.model import EventKind
from memory_manager.spool.matching import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory_manager.model import Json

#: Most characters of an output, of any other text, and of one inside a list or an object.
LONGEST, _LONGEST_TEXT, _LONGEST_INNER = 8192, 16_384, 4096

_READERS = frozenset({"read", "view"})
_AS_IT_IS = frozenset({EventKind.NOTE, EventKind.PROMPT, EventKind.MESSAGE})

#: What tells of trouble; `_UNTROUBLED` before it says that there was none.
_TROUBLE = compiled(
    r"(?i)(?:\b(?:errors?|exceptions?|traceback|panic(?:ked)?|fatal|failed|failures?|fail|not ok|"
    r"assert(?:ion)?|segmentation fault|core dumped|undefined reference|cannot|can't|could not|"
    r"not found|no such file|denied|unhandled|uncaught|timed out|refused|aborted|killed)\b|"
    r"(?-i:[a-z](?:Error|Exception)\b))[^\n]{0,200}"
)
_UNTROUBLED = re.compile(rb"\b(?:0|no|without)[ \t]$")
#: Lines kept before and after one of these, characters of a longer line around it.
_BEFORE, _AFTER, _AROUND = 1, 3, 200
#: Of the room: the eighths for head and for tail beside trouble; without any, both get half.
_EIGHTHS = 3
#: Room for a note, and gaps that are no shorter than one.
_NOTE = 64
#: So many troubles are looked at.
_MOST_TROUBLE = 4000
_DIGITS = b"0123456789"

#: How OpenCode's `read` frames a file.
_FRAME = re.compile(r"<content>\n(.*?)(?:\n\n\([^\n]*\))?\n</content>", re.DOTALL)


def compact(text: str, longest: int = LONGEST) -> str:
    """`text`, or what matters of it in `longest` characters, with notes of what is left out."""
    if len(text) <= longest:
        return text
    # A character is a byte there: places in the one are places in the other.
    plain = text.encode("ascii", "replace")
    room = longest - 2 * _NOTE
    share = room * _EIGHTHS // 8
    head, tail = _head_end(plain, share), _tail_start(plain, share)
    kept = list(_troubles(plain, head, tail, room - 2 * share))
    if not kept:
        head, tail = _head_end(plain, room // 2), _tail_start(plain, room // 2)
    pieces = [text[:head]]
    end = head
    for start, stop in [*kept, (tail, len(text))]:
        if start > end:
            pieces.append(_left_out(plain, end, start))
        pieces.append(text[start:stop])
        end = stop
    return "".join(pieces)


def counts(text: str) -> dict[str, Json]:
    """What is kept of a text that stands elsewhere: how long it is."""
    framed = _FRAME.search(text)
    text = framed[1] if framed else text
    lines = text.count("\n") + (not text.endswith("\n") and text != "")
    return {"characters": len(text), "lines": lines}


def compacted(
    kind: EventKind, content: str, metadata: dict[str, Json]
) -> tuple[str, dict[str, Json]]:
    """An event's content and metadata: of what was read only counts, of long output what matters."""
    output, tool = metadata.get("output"), metadata.get("tool")
    reads = isinstance(tool, str) and tool.lower() in _READERS
    if reads and isinstance(output, str):
        # What a file holds stands in the file.
        del metadata["output"]
        metadata |= counts(output)
    for name, value in metadata.items():
        longest = LONGEST if name == "output" else _LONGEST_TEXT
        metadata[name] = compact(value, longest) if isinstance(value, str) else _inner(value)
    if kind in _AS_IT_IS:
        return content, metadata
    if reads and kind is not EventKind.ERROR and "\n" in content.strip():
        metadata = counts(content) | metadata
        content = f"Read: {metadata.get('path') or content.strip().partition(chr(10))[0][:200]}"
    return compact(content, _LONGEST_TEXT), metadata


def _inner(value: Json) -> Json:
    match value:
        case str():
            return compact(value, _LONGEST_INNER)
        case list():
            return [_inner(item) for item in value]
        case dict():
            return {name: _inner(item) for name, item in value.items()}
        case _:
            return value


def _left_out(plain: bytes, start: int, stop: int) -> str:
    lines = plain.count(b"\n", start, stop)
    said = f"{stop - start} characters" + (f", {lines} lines" if lines else "")
    before = "" if start == 0 or plain[start - 1 : start] == b"\n" else "\n"
    return f"{before}[… {said} left out …]\n"


def _head_end(plain: bytes, room: int) -> int:
    """The end of the last line within `room`; in an enormous line, of an item or a word."""
    line = plain.rfind(b"\n", room // 2, room)
    if line >= 0:
        return line + 1
    for mark in (b"},", b"],", b",", b" "):
        at = plain.rfind(mark, room // 2, room - len(mark))
        if at >= 0:
            return at + len(mark)
    return room


def _tail_start(plain: bytes, room: int) -> int:
    """The same for the tail: where its first line, or item, begins."""
    begin, middle = len(plain) - room, len(plain) - room // 2
    line = plain.find(b"\n", begin, middle)
    if line >= 0:
        return line + 1
    for mark in (b"},", b"],", b",", b" "):
        at = plain.find(mark, begin, middle)
        if at >= 0:
            return at + len(mark)
    return begin


def _troubles(plain: bytes, start: int, stop: int, room: int) -> Iterator[tuple[int, int]]:
    """What to keep between head and tail: distinct lines that tell of trouble, and those around."""
    known: set[bytes] = set()
    end = start
    for number, found in enumerate(_TROUBLE.finditer(plain, start, stop)):
        if number == _MOST_TROUBLE:
            return
        at, until = found.span()
        same = plain[at:until].translate(None, _DIGITS)
        if at < end or same in known or _UNTROUBLED.search(plain, max(start, at - 10), at):
            continue
        known.add(same)
        begin, until = _window(plain, at, end, stop)
        if begin - end < _NOTE:
            begin = end
        room -= until - begin + _NOTE
        if room < 0:
            return
        yield begin, until
        end = until


def _window(plain: bytes, at: int, low: int, high: int) -> tuple[int, int]:
    """The whole lines around `at`; of enormous ones a piece."""
    begin = max(low, at - _AROUND)
    lines = plain[begin:at].split(b"\n")
    if begin > low and len(lines) > 1:
        del lines[0]  # not its beginning
    begin = at - len(b"\n".join(lines[-1 - _BEFORE :]))
    end = min(high, at + 2 * _AROUND)
    lines = plain[at:end].split(b"\n")
    if end < high and 1 < len(lines) <= 1 + _AFTER:
        del lines[-1]  # not its end
    end = at + len(b"\n".join(lines[: 1 + _AFTER]))
    return begin, min(high, end + (plain[end : end + 1] == b"\n"))
