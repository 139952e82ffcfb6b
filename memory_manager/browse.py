"""Looking through a memory: pages of episodes and parts of the graph. Pure.

What comes first, how far to go and where a page ends is decided here, for whoever holds the data.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest
from memory_manager.hits import searchable
from memory_manager.terms import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memory_manager.model import Entity, Episode, Fact

#: Most episodes of a page, and most entities and facts of a part of the graph.
MOST_EPISODES, MOST_NODES, MOST_EDGES = 1000, 500, 1200
#: Facts from one entity to another, newest first, that a picture shows.
PARALLEL = 8
#: Facts gone over for the second hop. A hub whose facts do not fit is not passed: what is beyond
#: it says nothing about the center.
STEPS = 4000
#: Types of the entities that people look for first, in lower case.
FIRST = frozenset({"file", "error"})
#: Distinct words of a text that are looked for.
_WORDS = 64
#: The first and the last second that calendars have.
_TIMES = (-62_135_596_800, 253_402_300_799)
_GROUP = re.compile(r"g_[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class EpisodePage:
    """Episodes, newest first. `next` is the `before` of the next page (None: there is none)."""

    episodes: tuple[Episode, ...] = ()
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """An entity. `degree`: of how many facts of any time it is an end."""

    entity: Entity
    degree: int


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A part of the graph; both ends of every edge are among the nodes.

    An edge's `invalid_at` is the end that counts. `first_at` and `last_at` are the times of the
    group's first and last episode. `truncated`: there is more than was asked for.
    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[Fact, ...] = ()
    first_at: float | None = None
    last_at: float | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last episode of a page. `seen`: how many were newer, it included; only a hint."""

    at: float
    uuid: str
    seen: int = 0

    def __str__(self) -> str:
        plain = json.dumps([self.at, self.uuid, self.seen], ensure_ascii=False)
        return base64.urlsafe_b64encode(plain.encode("utf-8", "replace")).decode().rstrip("=")


def cursor_from(text: str) -> Cursor:
    """The inverse of `str`.

    Raises:
        InvalidRequest: no page has said that.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        at, uuid, seen = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        found = Cursor(float(at), uuid, int(seen))
    except (ValueError, TypeError, binascii.Error, RecursionError, OverflowError):
        found = Cursor(math.nan, "")
    if not (_TIMES[0] <= found.at <= _TIMES[1] and isinstance(found.uuid, str)):
        raise InvalidRequest(f"before: {text[:60]!r} is no cursor; give the `next` of a page")
    return found


def page(found: Sequence[Episode], limit: int, before: Cursor | None) -> EpisodePage:
    """Of up to `limit` + 1 episodes in order, a page of `limit`."""
    shown = tuple(found[:limit])
    if len(found) <= limit or not shown:
        return EpisodePage(shown)
    seen = len(shown) + (before.seen if before else 0)
    return EpisodePage(shown, str(Cursor(shown[-1].at, shown[-1].uuid, seen)))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which episodes are asked for; all that is given has to suit. `words`: see `wanted`."""

    session: str | None = None
    kind: str | None = None
    path: str | None = None
    words: tuple[str, ...] | None = None

    def suits(self, episode: Episode) -> bool:
        return (
            (self.session is None or episode.session == self.session)
            and (self.kind is None or episode.kind == self.kind)
            and (self.path is None or self.path in episode.paths)
            and has(searchable(episode), self.words)
        )


def has(text: str, words: tuple[str, ...] | None) -> bool:
    """Whether a text has all the words that are `wanted`."""
    return words is None or (bool(words) and set(terms(text)).issuperset(words))


def size_of_page(limit: int) -> int:
    """A limit that can be kept."""
    return min(max(0, limit), MOST_EPISODES)


def size_of_picture(limit: int) -> int:
    """The same, for nodes."""
    return min(max(0, limit), MOST_NODES)


def most_edges(limit: int) -> int:
    """Edges that are shown with up to `limit` nodes; more than four each cannot be told apart."""
    return min(4 * limit, MOST_EDGES)


def wanted(text: str | None) -> tuple[str, ...] | None:
    """The words that all have to be there. None: any will do; (): nothing can have them.

    Of a name that comes apart (`app.yaml`) it is the parts: `deploy/app.yaml` has them too.
    """
    if text is None or not text.strip():
        return None
    words = dict.fromkeys(terms(text, 512))
    return tuple(word for word in words if not _comes_apart(word))[:_WORDS]


def _comes_apart(word: str) -> bool:
    parts = terms(word, 2)
    return len(parts) > 1 and parts[0] == word


def prominence(entity: Entity, facts: int) -> tuple[bool, bool, int, str, str, str]:
    """Sorts the best-connected first, files and errors before all others.

    Args:
        entity: one of a group's.
        facts: how many it is an end of.
    """
    late = entity.type.lower() not in FIRST
    return (facts == 0, late, -facts, *_identity(entity))


def closeness(entity: Entity, facts: int) -> tuple[int, str, str, str]:
    """Sorts neighbours by how many facts lead to them."""
    return (-facts, *_identity(entity))


def _identity(entity: Entity) -> tuple[str, str, str]:
    return (entity.type, entity.name, entity.uuid)


def passed(nodes: Iterable[Node]) -> tuple[list[str], bool]:
    """Of neighbours in order, those whose own neighbours are looked at; and whether that is all."""
    steps, through, everyone = STEPS, list[str](), True
    for node in nodes:
        if node.degree <= steps:
            steps -= node.degree
            through.append(node.entity.uuid)
        else:
            everyone = False
    return through, everyone


def is_group(name: str) -> bool:
    """Whether a graph of that name is a project's (`project.py` makes the names)."""
    return _GROUP.fullmatch(name) is not None
