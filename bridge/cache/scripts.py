"""The Lua scripts beside this file, loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

#: Fields in one group's stamps hash; beyond it the group is rotated.
MOST_STAMPS = 20_000
#: Digits of a sequence; a longer one is damage.
MOST_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the digest by which a server knows it."""

    source: str
    digest: str


def _load(*names: str) -> Script:
    here = Path(__file__).parent
    source = "\n".join((here / name).read_text(encoding="utf-8") for name in names)
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


LOOKUP = _load("entry.lua", "lookup.lua")
FILL = _load("entry.lua", "fill.lua")
INVALIDATE = _load("invalidate.lua")
