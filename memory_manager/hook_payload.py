"""A hook's payload, in whichever shape it came: fields by any of their names, and what they may be.

Pure. Every complaint is an `InvalidRequest` that names the field.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest
from memory_manager.model import EventKind, Json

if TYPE_CHECKING:
    from collections.abc import Callable

#: Where OpenCode puts what, outermost first: the first that has a name decides.
_LAYERS = ("event", "input", "properties", "output", "args", "metadata", "info", "message")

#: Largest amount of seconds or tokens that is taken for meant.
_MOST = 1e15

#: Most characters of an id or a name, and of a path; how deep a value may be nested.
SHORT, LONGEST_PATH, _DEEP = 512, 4096, 32

#: Most characters of a diff, an output, a command, and of a prompt: an event with several of them
#: stays below the limit of its body. The rest is cut at a line.
_LONG, LONGEST_PROMPT = 64 * 1024, 240 * 1024

#: Characters beyond a limit that are redacted too: a secret that begins before the limit ends there.
_MARGIN = 4096
#: What tokens are made of; a run of it that is longer than the margin may be one.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_.~%-"

_SURROGATE, _PAIR = re.compile("[\ud800-\udfff]"), re.compile("[\ud800-\udbff][\udc00-\udfff]")

type Layers = tuple[dict[str, Json], ...]


@dataclass(frozen=True, slots=True)
class HookEvent:
    """One raw event as reported: not redacted, of no project yet. `at` is in seconds."""

    event_id: str
    session: str
    kind: EventKind
    at: float
    content: str
    metadata: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """A payload to ask for fields by any of their names; `redacted` takes secrets out of text.

    `settled` gives a text without its private passages, between the ends and the beginnings of
    those that reach into its neighbours: they may stand in what is cut off.
    """

    layers: Layers
    minted: str
    at: float
    redacted: Callable[[str], str]
    settled: Callable[[str], tuple[str, str, str]] = lambda text: ("", text, "")

    def find(self, *names: str) -> Json:
        """The value of the first name that the outermost layer has."""
        for layer in self.layers:
            for name in names:
                if layer.get(name) is not None:
                    return layer[name]
        return None

    def text(self, *names: str, limit: int | None = SHORT) -> str:
        """The same, a string; "" when there is none."""
        value = self.find(*names)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise InvalidRequest(f"{names[0]}: not a string")
        if limit is not None and len(value) > limit:
            raise InvalidRequest(f"{names[0]}: longer than {limit} characters")
        return clean(value)

    def string(self, *names: str) -> str:
        """The first of them that is a string: what is good to know and not worth a refusal."""
        for layer in self.layers:
            for name in names:
                value = layer.get(name)
                if isinstance(value, str) and value:
                    return value
        return ""

    def label(self, *names: str) -> str:
        """The same, clipped."""
        return self._shortened(self.string(*names), SHORT)

    def cut(self, text: str, limit: int = _LONG) -> str:
        """`text`, or its beginning up to a line's end."""
        return self._shortened(text, limit, at_line=True)

    def public(self, text: str) -> str:
        """`text` without its private passages."""
        return self.settled(text)[1]

    def _shortened(self, text: str, limit: int, *, at_line: bool = False) -> str:
        if len(text) <= limit:
            return clean(text)
        ends, text, beginnings = self.settled(text)
        head = clipped(text, limit, self.redacted)
        if at_line and len(text) > limit:
            head = head[: head.rfind("\n") + 1] or head
        return ends + head + beginnings

    def number(self, name: str) -> float | None:
        """The same, an amount; None when there is none."""
        value = self.find(name)
        return None if value is None else amount_of(value, name)

    @property
    def session(self) -> str:
        """The session, "" when the payload names none."""
        return self.text("session_id", "sessionID", "sessionId", "session")

    def event_id(self, kind: EventKind, part: str = "") -> str:
        """OpenCode's id of what happened and its kind; a call's id is unique in its session only.

        A tool call is known by its call in hooks and by call and part in the stream, so the call
        comes first; an event's own id comes last, for it is never seen again elsewhere.
        """
        suffix = f":{part}" if part else ""
        if own := self.text("event_id"):
            return own + suffix
        if call := self.text("call_id", "callID"):
            return f"{self.session}:{call}:{kind}{suffix}"
        if known := self.text("part_id", "partID") or self.text("message_id", "messageID"):
            return f"{known}:{kind}{suffix}"
        outer = self.find("id")
        if isinstance(outer, str) and outer.startswith(("evt_", "msg_")) and len(outer) <= SHORT:
            return f"{clean(outer)}:{kind}{suffix}"
        return self.minted + suffix

    def event(
        self, kind: EventKind, content: str, metadata: dict[str, Json], part: str = ""
    ) -> HookEvent:
        """An event of this payload; metadata that says nothing is left out."""
        facts: dict[str, Json] = {"type": kind.value}
        facts |= {name: value for name, value in metadata.items() if value not in ("", None)}
        return HookEvent(self.event_id(kind, part), self.session, kind, self.at, content, facts)


def layers_of(payload: dict[str, Json]) -> Layers:
    """The payload and the objects that OpenCode wraps things in, outermost first."""
    found = [payload]
    for layer in found:
        if len(found) > len(_LAYERS):
            break
        for name in _LAYERS:
            inner = layer.get(name)
            if isinstance(inner, dict):
                found.append(inner)
    return tuple(found)


def tokens_of(value: Json) -> int | None:
    """Tokens from a number or OpenCode's object (`total`, else the parts that count); None: none.

    Raises:
        InvalidRequest: neither, or a part is no amount.
    """
    if isinstance(value, dict):
        if value.get("total") is not None:
            return int(amount_of(value["total"], "tokens.total"))
        cache = value.get("cache")
        parts = [value.get("input"), value.get("output"), value.get("reasoning")]
        parts += [cache.get("read"), cache.get("write")] if isinstance(cache, dict) else []
        return sum(int(amount_of(part, "tokens")) for part in parts if part is not None)
    return None if value is None else int(amount_of(value, "tokens"))


def cleaned(value: Json, name: str, depth: int = 0) -> Json:
    """`value` with text that every store can hold.

    Raises:
        InvalidRequest: it is nested too deeply, or holds a number that JSON has no word for.
    """
    if depth > _DEEP:
        raise InvalidRequest(f"{name}: nested more than {_DEEP} deep")
    match value:
        case str():
            return clean(value)
        case float() if not isfinite(value):
            raise InvalidRequest(f"{name}: a number is not finite")
        case list():
            return [cleaned(item, name, depth + 1) for item in value]
        case dict():
            return {clean(key): cleaned(item, name, depth + 1) for key, item in value.items()}
        case _:
            return value


def path_of(value: Json, name: str) -> str:
    """A path as it was written, "" for none."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: not a string")
    if len(value) > LONGEST_PATH or "\0" in value:
        raise InvalidRequest(f"{name}: no path has a NUL or more than {LONGEST_PATH} characters")
    return clean(value).strip()


def amount_of(value: Json, name: str) -> float:
    """A number of something: finite, not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"{name}: not a number")
    if not 0 <= value <= _MOST:
        raise InvalidRequest(f"{name}: not an amount from 0 to {_MOST:.0e}")
    return value


def clipped(text: str, limit: int, redacted: Callable[[str], str]) -> str:
    """`text`, or its first `limit` characters without secrets.

    Half a secret matches no rule, so redaction comes before the cut. It looks at no more than a
    margin beyond the limit; what is left of that may be half a secret itself and is dropped.
    """
    if len(text) <= limit:
        return clean(text)
    window = clean(text[: limit + _MARGIN])
    known = redacted(window)
    if len(text) > limit + _MARGIN:
        # The end of the window that is still there (all shorter ends are, too).
        kept = range(1, min(_MARGIN, len(known)) + 1)
        left = bisect_left(kept, 1, key=lambda size: int(not known.endswith(window[-size:])))
        known, rest = known[: len(known) - left], known[len(known) - left :]
        if left == _MARGIN and not rest.strip(_LETTERS):
            known = known.rstrip(_LETTERS) + "…"
    return known[:limit]


def clean(text: str) -> str:
    """Text that UTF-8 and every store can hold: no lone surrogates, no NUL."""
    text = text.replace("\0", "\ufffd")
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    if _PAIR.search(text) is not None:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    # Only lone ones. This is fifty times faster: a NUL is in no text here, so it may stand for "?".
    known = text.replace("?", "\0").encode("utf-8", "replace").decode()
    return known.replace("?", "\ufffd").replace("\0", "?")
