"""Private passages: `<private>…</private>`, nested, unclosed, and over several texts. Pure.

An unclosed passage goes on to the end and into what follows; an end without a beginning takes
everything before it, for the beginning stood in an earlier text. So all that a text does to those
behind it is how many passages it closes and how many it opens: a `Standing` tells where one
stands between two texts of one message, and cutting a message in two changes nothing of what is
left of it, wherever the cut is, even in a tag.
"""

from __future__ import annotations

from dataclasses import dataclass

from memory_manager.spool.tags import MOST_TAGS, begun, found_in, tags_of

_OPENING, _CLOSING = "<private>", "</private>"
_TAG = tags_of("private")
_SHORTEST = len(_OPENING)
#: What is left of a text may form a tag anew (`<pri<private></private>vate>`): looked for so often.
_MOST_PASSES = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """Between two texts: in how many passages, and the beginning of a tag that the first ends with."""

    depth: int = 0
    tail: str = ""


START = Standing()


def told(text: str, before: Standing = START) -> tuple[str, Standing, int]:
    """What of `text` is for everybody, where one stands behind it, and how many passages it has."""
    whole = before.tail + text
    data = whole.encode("utf-8", "surrogatepass")
    if len(data) < _SHORTEST or _TAG.search(data) is None:
        after = before
        if (tail := begun(whole)) or before.tail:
            after = Standing(before.depth, tail)
        return ("", after, int(bool(text))) if before.depth else (text, after, 0)
    read = _read(data, len(data) - len(text.encode("utf-8", "surrogatepass")), before.depth)
    tail = begun(data[read.last :].decode("utf-8", "surrogatepass"))
    return _clean(read.kept), Standing(read.depth, tail), read.found


def public(text: str) -> str:
    """`text` alone, without its private passages."""
    return told(text)[0]


def settled(text: str) -> tuple[str, str, str]:
    """`public(text)` between the ends and the beginnings of passages that it leaves to others.

    Whoever keeps only a part of a text keeps these with it, for they may stand in what is cut off.
    """
    data = text.encode("utf-8", "surrogatepass")
    if _TAG.search(data) is None:
        return "", text, ""
    read = _read(data, 0, 0)
    return _CLOSING * read.closed, _clean(read.kept), _OPENING * read.depth


@dataclass(slots=True)
class _Read:
    kept: bytes
    #: Passages that are open at the end, those closed that were not opened here, those in all.
    depth: int
    closed: int
    found: int
    #: The end of the last tag.
    last: int


def _read(data: bytes, begin: int, depth: int) -> _Read:
    """What of `data` is for everybody from `begin` on; a tag may begin before."""
    pieces: list[bytes] = []
    end, closed, last = begin, 0, 0
    found = int(depth > 0)
    for number, (start, stop, closing) in enumerate(found_in(_TAG, data)):
        if number == MOST_TAGS:
            return _Read(b"".join(pieces), max(depth, 1), closed, found, len(data))
        last = stop
        if not closing:
            if depth == 0:
                pieces.append(data[end:start])
                found += 1
            depth += 1
        elif depth > 1:
            depth -= 1
        else:
            if depth == 0:
                pieces.clear()
                found += 1
                closed += 1
            depth, end = 0, stop
    if depth == 0:
        pieces.append(data[end:])
    return _Read(b"".join(pieces), depth, closed, found, last)


def _clean(kept: bytes) -> str:
    for _ in range(_MOST_PASSES):
        if _TAG.search(kept) is None:
            return kept.decode("utf-8", "surrogatepass")
        kept = _read(kept, 0, 0).kept
    # Whoever needs more than that loses the rest.
    tag = _TAG.search(kept)
    return kept[: tag.start() if tag else None].decode("utf-8", "surrogatepass")
