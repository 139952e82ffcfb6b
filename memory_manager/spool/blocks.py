"""Text that a program put into a message: injected memory, system reminders. Found and cut out. Pure.

What memory said must not become memory again, and a reminder is nobody's words. Both are cut
wherever they stand, also quoted in a tool's output and escaped as in JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_manager.spool.matching import compiled
from memory_manager.spool.tags import MOST_TAGS, found_in, tags_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

#: A place to cut: start and end.
type _Span = tuple[int, int]

_SHORTEST = len("[Memory Context]")
_ANY = compiled(r"(?i)system-reminder|memory\s{1,4}context")
_REMINDER = tags_of("system-reminder")
_FENCE = compiled(
    r"(?i)\[\s{0,2}(/)?\s{0,2}memory\s{1,4}context\s{0,2}\]", groups=True, bytewise=True
)
#: Behind the fence: our label (quoted, numbered, escaped), or at least the end of its line.
_LABEL = compiled(r"(?:\\[nrt]|[\s>|+#*:\d\\-]){1,40}Reference data", bytewise=True)
_LINE_END = compiled(r"[ \t]{0,4}(?:\r?\n|\\{1,4}n)", bytewise=True)

_MOST_FENCES = 2000

#: Cutting may bring the pieces of another one together: looked for so often.
_MOST_PASSES = 4


def without_blocks(text: str, counted: Counter[str]) -> str:
    """`text` without injected memory (rule `injected`) and reminders (rule `reminder`)."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) < _SHORTEST or _ANY.search(data) is None:
        return text
    for _ in range(_MOST_PASSES):
        before = len(data)
        data = _cut(data, _injected, "injected", counted)
        data = _cut(data, _reminders, "reminder", counted)
        if len(data) == before:
            break
    return data.decode("utf-8", "surrogatepass")


def _cut(
    data: bytes, spans: Callable[[bytes], Iterator[_Span]], rule: str, counted: Counter[str]
) -> bytes:
    pieces: list[bytes] = []
    end = 0
    for start, stop in spans(data):
        pieces.append(data[end:start])
        end = stop
        counted[rule] += 1
    return b"".join([*pieces, data[end:]]) if pieces else data


def _injected(data: bytes) -> Iterator[_Span]:
    """From a fence to its end; to the end of all if our label follows it and its own is cut off."""
    opened = labelled = -1
    for number, (start, stop, closing) in enumerate(found_in(_FENCE, data)):
        if number == _MOST_FENCES:
            # More than anybody quotes: the rest is dropped.
            yield (opened if opened >= 0 else start), len(data)
            return
        if not closing:
            known = _LABEL.match(data, stop) is not None
            if opened < 0 and (known or _LINE_END.match(data, stop)):
                opened = start
            if labelled < 0 and known:
                labelled = start
        elif opened >= 0:
            yield opened, stop
            opened = labelled = -1
    if labelled >= 0:
        yield labelled, len(data)


def _reminders(data: bytes) -> Iterator[_Span]:
    """Nested ones as one. One that is not closed ends with the last end there is, else with all."""
    depth = opened = 0
    closed = later = -1  # the last end in the one that is open, and the first beginning behind it
    for number, (start, stop, closing) in enumerate(found_in(_REMINDER, data)):
        if number == MOST_TAGS:
            break
        if closing:
            if depth:
                depth -= 1
                closed, later = stop, -1
                if not depth:
                    yield opened, stop
        elif depth:
            depth += 1
            later = start if later < 0 else later
        else:
            depth, opened, closed, later = 1, start, -1, -1
    else:
        if depth:
            yield from _unclosed(len(data), opened, closed, later)
        return
    # More than anybody writes: the rest is dropped.
    yield (opened if depth else start), len(data)


def _unclosed(end: int, opened: int, closed: int, later: int) -> Iterator[_Span]:
    if closed < 0:
        yield opened, end
        return
    yield opened, closed
    if later >= 0:
        yield later, end
