"""JSON with comments and trailing commas, edited in place: every byte that is not ours stays. Pure.

A scanner that keeps positions, and three edits that are each other's inverse: what `appended` adds,
`removed` takes away to the byte, without knowing what was there before.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memory_manager.model import Json

#: Deeper documents are refused: nobody writes them, and the scanner calls itself.
DEEPEST = 100

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<comment>//[^\r\n]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")
    |(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    |(?P<word>true|false|null)
    |(?P<mark>[][{}:,])""",
    re.DOTALL | re.VERBOSE,
)
_SPACE = " \t\r\n"
_INLINE = " \t"


class Broken(ValueError):  # noqa: N818 - named by what it is, like the memory's errors
    """The text is no JSON, comments and trailing commas allowed; says where."""

    def __init__(self, text: str, at: int, why: str) -> None:
        before = text[:at].replace("\r\n", "\n").replace("\r", "\n")
        self.line = before.count("\n") + 1
        self.column = at - max(text.rfind("\n", 0, at), text.rfind("\r", 0, at))
        super().__init__(f"line {self.line}, column {self.column}: {why}")


@dataclass(frozen=True, slots=True)
class Node:
    """A value: where it stands, what it is, and for a list or an object its items."""

    start: int
    end: int
    value: Json
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """An element, or a name with its value: from `start` to the end of its node."""

    start: int
    node: Node
    #: Where the comma behind it stands; None: there is none.
    comma: int | None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """How the file's author sets lines."""

    newline: str
    unit: str


def parse(text: str) -> Node:
    """The document's one value.

    Raises:
        Broken: it has none, or is otherwise no JSON.
    """
    reader = _Reader(text)
    root = reader.value(0)
    if reader.kind:
        reader.fail("nothing may follow the closing bracket")
    return root


def style(text: str) -> Style:
    """The line ending and the indentation that the text uses first."""
    found = re.search(r"\r\n|\n|\r", text)
    indented = re.search(r"[\r\n]([ \t]+)[^\s]", text)
    return Style(found[0] if found else "\n", indented[1] if indented else "  ")


def appended(text: str, holder: Node, item: str, how: Style) -> str:
    """The text with `item` as the last one of the list or object `holder`."""
    if not holder.items:
        return _into_empty(text, holder, item, how)
    last = holder.items[-1]
    comma = last.comma
    anchor, ended_by_line = _past_comments(text, last.node.end if comma is None else comma + 1)
    gap = item_gap(text, holder, how)
    if ended_by_line and not _breaks(gap):
        gap = how.newline + how.unit
    added = gap + item + ("" if comma is None else ",")
    if comma is None:
        middle = text[last.node.end : anchor]
        return f"{text[: last.node.end]},{middle}{added}{text[anchor:]}"
    return text[:anchor] + added + text[anchor:]


def removed(text: str, holder: Node, number: int) -> str:
    """The text without the item of this number, its comma, and the space before it."""
    item = holder.items[number]
    start = _space_before(text, item.start)
    cuts = [(start, item.node.end)]
    if item.comma is not None:
        cuts.append((item.comma, item.comma + 1))
    elif number:
        before = holder.items[number - 1].comma
        assert before is not None  # noqa: S101 - the scanner refuses two values without a comma
        cuts.append((before, before + 1))
    alone = len(holder.items) == 1 and start == holder.start + 1 and item.comma is None
    if alone and text[start : item.start] == " " and text[item.node.end :].startswith(" }"):
        cuts[0] = (start, item.node.end + 1)  # as `_into_empty` writes into `{}`
    for begin, end in sorted(cuts, reverse=True):
        text = text[:begin] + text[end:]
    return text


def replaced(text: str, node: Node, by: str) -> str:
    """The text with another value in this one's place."""
    return text[: node.start] + by + text[node.end :]


def item_gap(text: str, holder: Node, how: Style) -> str:
    """What stands before an item of its own line in `holder`, else one space."""
    for item in holder.items:
        lead = text[_space_before(text, item.start) : item.start]
        if _breaks(lead):
            tail = max(lead.rfind("\n"), lead.rfind("\r")) + 1
            return how.newline + lead[tail:]
    return " "


def _into_empty(text: str, holder: Node, item: str, how: Style) -> str:
    inside = text[holder.start + 1 : holder.end - 1]
    gap = end = ""
    if text[holder.start] == "{":
        if not inside:
            gap = end = " "
        elif _breaks(inside):
            gap = how.newline + how.unit
    at = holder.start + 1
    return text[:at] + gap + item + end + text[at:]


def _past_comments(text: str, at: int) -> tuple[int, bool]:
    """Behind the comments that begin on this line, and whether a line comment is the last."""
    while True:
        begin = at
        while begin < len(text) and text[begin] in _INLINE:
            begin += 1
        found = _TOKEN.match(text, begin)
        if found is None or found.lastgroup != "comment":
            return at, False
        at = found.end()
        if found[0].startswith("//"):
            return at, True
        if _breaks(found[0]):
            return at, False


def _space_before(text: str, at: int) -> int:
    while at and text[at - 1] in _SPACE:
        at -= 1
    return at


def _breaks(text: str) -> bool:
    return "\n" in text or "\r" in text


@dataclass(slots=True)
class _Reader:
    """One token ahead, comments and space skipped."""

    text: str
    at: int = 0
    kind: str = field(default="", init=False)
    word: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if self.text.startswith("\ufeff"):
            self.at = 1
        self._next(0)

    def value(self, depth: int) -> Node:
        start, word = self.at, self.word
        if depth > DEEPEST:
            self.fail(f"more than {DEEPEST} levels deep")
        if word == "{":
            return self._object(depth)
        if word == "[":
            return self._list(depth)
        if self.kind in {"", "mark"}:
            self.fail("a value is expected here" if self.kind else "the end comes too early")
        scalar = self._scalar()
        return Node(start, start + len(word), scalar)

    def fail(self, why: str) -> None:
        raise Broken(self.text, self.at, why)

    def _scalar(self) -> Json:
        try:
            value: Json = json.loads(self.word)
        except ValueError:
            self.fail(f"a {self.kind} that JSON does not have")
        self._next()
        return value

    def _list(self, depth: int) -> Node:
        start = self.at
        items: list[Item] = []
        self._next()
        while self.word != "]":
            begin = self.at
            node = self.value(depth + 1)
            items.append(Item(begin, node, self._comma("]")))
        end = self._close()
        return Node(start, end, [item.node.value for item in items], tuple(items))

    def _object(self, depth: int) -> Node:
        start = self.at
        items: list[Item] = []
        self._next()
        while self.word != "}":
            begin = self.at
            if self.kind != "string":
                self.fail("a name in double quotes is expected here")
            key = str(self._scalar())
            if self.word != ":":
                self.fail("a colon is expected here")
            self._next()
            node = self.value(depth + 1)
            items.append(Item(begin, node, self._comma("}"), key))
        end = self._close()
        return Node(start, end, {item.key: item.node.value for item in items}, tuple(items))

    def _comma(self, close: str) -> int | None:
        if self.word == ",":
            at = self.at
            self._next()
            return at
        if self.word != close:
            self.fail(f"a comma or {close} is expected here")
        return None

    def _close(self) -> int:
        end = self.at + 1
        self._next()
        return end

    def _next(self, step: int | None = None) -> None:
        self.at += len(self.word) if step is None else step
        while True:
            found = _TOKEN.match(self.text, self.at)
            if found is None:
                self.kind = self.word = ""
                if self.at < len(self.text):
                    self.fail(f"{self.text[self.at]!r} is not expected here")
                return
            self.kind, self.word = found.lastgroup or "", found[0]
            if self.kind not in {"space", "comment"}:
                return
            self.at = found.end()
