"""The indices of a group's graph: few, safe, made on purpose and waited for.

Graphiti's own are not used: their stop-word lists crash the server when an entity is called "Will"
or "IT" (any list of equalities over one stop word does), and `group_id` indices make it slower in a
graph that holds one group.

FalkorDB has one index for each label. Any change to its fields builds a new one in the background,
of all its fields, while the one before it answers: nobody sees a rebuild. But a second change to a
label whose index is being built stops the whole server until it is built (12 s measured, with
10,000 vectors), so each change waits for the one before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from memory_manager.errors import Rejected, Unavailable
from memory_manager.graph.link import NoGraphError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from memory_manager.graph.link import Link, Row

type Field = tuple[str, str]
"""A property and how it is indexed: RANGE, FULLTEXT or VECTOR."""

#: Our words are stemmed already (`nostem`); Graphiti's texts are found through the engine's stemmer.
_OURS = " OPTIONS {nostem: true}"
#: Recall 0.99 at 10,000 vectors; the engine's own efRuntime of 10 gives 0.88.
_VECTOR = (
    " OPTIONS {{dimension: {dimension}, similarityFunction: 'cosine', M: 16,"
    " efConstruction: 200, efRuntime: 100}}"
)
#: By label: how, which properties (in one statement), with which options. Ranges serve look-ups by
#: value; `chain_key` and `scope_key` are digests (see `rows.py`). Ranges of texts are slow but at
#: their end, where the newest episodes are.
_WANTED = {
    "Episodic": (
        ("RANGE", ("uuid", "valid_at", "session", "paths"), ""),
        ("FULLTEXT", ("terms",), _OURS),
        ("VECTOR", ("content_embedding",), _VECTOR),
    ),
    "Entity": (
        ("RANGE", ("uuid", "name", "type"), ""),
        ("FULLTEXT", ("terms",), _OURS),
        ("FULLTEXT", ("summary",), ""),
    ),
    "RELATES_TO": (
        ("RANGE", ("uuid", "chain_key", "scope_key", "episodes"), ""),
        ("FULLTEXT", ("terms", "past_terms"), _OURS),
    ),
}
_EDGES = frozenset({"RELATES_TO"})
#: A field that nothing has. Where nothing else is to be changed, it comes or goes.
_MARK = ("reindexed", "RANGE")
_STATUS = (
    "CALL db.indexes() YIELD label, types, options, stopwords, status"
    " RETURN label, types, options, stopwords, status"
)
_PLAIN = re.compile(r"\w+", re.ASCII)
_BUILT = re.compile(r"(\d+)/(\d+)")
_POLL_S = 0.02
#: A rebuild that has not come on for so long, in seconds, is given up.
_STALLED_S = 60.0
#: How often another process may make the same indices at the same moment.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Index:
    """What is indexed of one label.

    `fields` are those that were asked for last, `answering` those of the one that answers, which
    there may not be (`usable`); `dimension`: of the vectors in it (0: none). `left`: what the one
    that is being built lacks still (0: none is). `stops`: it has stop words, which are fatal.
    """

    fields: frozenset[Field] = frozenset()
    answering: frozenset[Field] = frozenset()
    usable: bool = True
    dimension: int = 0
    left: int = 0
    stops: bool = False


@dataclass(slots=True)
class _Rows:
    answering: Row | None = None
    coming: Row | None = None


async def existing(link: Link, graph: str) -> dict[str, Index]:
    """The graph's indices by label.

    Raises:
        NoGraphError: there is no such graph.
    """
    found: dict[str, _Rows] = {}
    for label, *row in await link.read(graph, _STATUS):
        known = found.setdefault(label, _Rows())
        if row[-1] == "OPERATIONAL":
            known.answering = tuple(row)
        else:
            known.coming = tuple(row)
    return {label: _index(known) for label, known in found.items()}


def _index(rows: _Rows) -> Index:
    last = rows.coming or rows.answering or ({}, {}, [], "")
    answering = rows.answering or ({}, {}, [], "")
    embedding = (answering[1] or {}).get("content_embedding") or {}
    left = 0
    if rows.coming is not None:
        built = _BUILT.search(str(rows.coming[3]))
        left = max(1, int(built[2]) - int(built[1])) if built else 1
    return Index(
        fields=_fields(last),
        answering=_fields(answering),
        usable=rows.answering is not None,
        dimension=int(embedding.get("dimension", 0)),
        left=left,
        stops=bool(last[2]),
    )


def _fields(row: Row) -> frozenset[Field]:
    return frozenset((name, kind) for name, kinds in row[0].items() for kind in kinds)


async def make(link: Link, graph: str, dimension: int) -> None:
    """Make what is missing (and the graph), and wait until it can be used."""
    for _ in range(_TRIES):
        have: dict[str, Index] = {}
        with contextlib.suppress(NoGraphError):
            have = await existing(link, graph)
        missing = [
            (label, statement)
            for label in _WANTED
            for statement in _missing(label, have.get(label, Index()).fields, dimension)
        ]
        if not missing:
            break
        for label, statement in missing:
            await _change(link, graph, label, statement)
    searched = {
        label: frozenset(each for each in _fields_of(label, dimension) if each[1] != "RANGE")
        for label in _WANTED
    }
    await usable(link, graph, searched)


async def rebuild(link: Link, graph: str, dimension: int, told: Callable[[int], None]) -> None:
    """Make all anew, in the background of the ones that answer; what is not ours goes.

    Args:
        link: to the server.
        graph: it exists.
        dimension: of the vectors (0: none are indexed).
        told: now and then, how many nodes and edges are to be done still.

    Raises:
        Unavailable: it does not come on.
    """
    await settled(link, graph, told)
    for label, index in (dict.fromkeys(_WANTED, Index()) | await existing(link, graph)).items():
        for statement in _anew(label, index, dimension):
            await _change(link, graph, label, statement, told)
    await settled(link, graph, told)


async def _change(
    link: Link,
    graph: str,
    label: str,
    statement: str,
    told: Callable[[int], None] = lambda _: None,
) -> None:
    with contextlib.suppress(NoGraphError):
        await settled(link, graph, told, label)
    try:
        await link.write(graph, statement)
    except Rejected as refusal:
        # Another process has done the same, since we looked.
        if not any(said in str(refusal) for said in ("already indexed", "no such index")):
            raise


async def usable(
    link: Link, graph: str, wanted: Mapping[str, frozenset[Field]] = MappingProxyType({})
) -> int:
    """Wait until each index can answer: after a restart they find nothing for a moment.

    Args:
        link: to the server.
        graph: the group's.
        wanted: by label, fields that are waited for as long as patience lasts.

    Returns:
        The dimension of the vectors that can be searched for, 0 for none.

    Raises:
        NoGraphError: there is no such graph.
        Unavailable: still being built when the link's patience ended.
    """
    until = time.monotonic() + link.timeout_s
    while True:
        have = await existing(link, graph)
        able = all(index.usable for index in have.values())
        late = time.monotonic() > until
        if able and (
            late or all(have.get(each, Index()).answering >= wanted[each] for each in wanted)
        ):
            return have.get("Episodic", Index()).dimension
        if late:
            raise Unavailable("the graph's indices are still being built")
        await asyncio.sleep(_POLL_S)


async def settled(
    link: Link, graph: str, told: Callable[[int], None], label: str | None = None
) -> None:
    """Wait until no index is being built, or none of this label. See `rebuild`."""
    least, until = -1, 0.0
    while True:
        have = await existing(link, graph)
        left = sum(index.left for name, index in have.items() if label in {None, name})
        told(left)
        if not left:
            return
        if left != least:
            least, until = left, time.monotonic() + _STALLED_S
        elif time.monotonic() > until:
            raise Unavailable(f"the graph's indices lack {left} entries and do not come on")
        await asyncio.sleep(_POLL_S)


def _fields_of(label: str, dimension: int) -> frozenset[Field]:
    return frozenset(
        (name, kind)
        for kind, names, _ in _WANTED.get(label, ())
        if kind != "VECTOR" or dimension
        for name in names
    )


def _missing(label: str, known: frozenset[Field], dimension: int) -> Iterator[str]:
    """What makes the fields of a label that are not known."""
    wanted = _fields_of(label, dimension)
    for kind, names, options in _WANTED.get(label, ()):
        new = [name for name in names if (name, kind) in wanted - known]
        if new:
            how = options.format(dimension=dimension) if kind == "VECTOR" else options
            yield f"CREATE {_kind(kind)}INDEX {_on(label, *new)}{how}"


def _anew(label: str, index: Index, dimension: int) -> Iterator[str]:
    """The statements of a rebuild: at least one, and as few as can be."""
    wanted, known = _fields_of(label, dimension), index.fields - {_MARK}
    if index.stops:
        gone = index.fields
    elif not wanted:
        return
    else:
        gone = known - wanted
        if index.dimension != dimension:
            gone |= {each for each in known if each[1] == "VECTOR"}
    # What is missing comes first, so that there is always an index.
    new = [] if index.stops else [*_missing(label, known, dimension)]
    yield from new
    yield from _dropped(label, gone)
    yield from _missing(label, (known if index.stops else known | wanted) - gone, dimension)
    if not new and not gone:
        marked = _MARK in index.fields
        yield from _dropped(label, [_MARK]) if marked else [f"CREATE INDEX {_on(label, _MARK[0])}"]


def _dropped(label: str, fields: Iterable[Field]) -> Iterator[str]:
    # Of several in one statement the engine drops the first alone.
    for name, kind in sorted(fields):
        if _PLAIN.fullmatch(label) and _PLAIN.fullmatch(name):
            yield f"DROP {_kind(kind)}INDEX {_on(label, name)}"


def _kind(kind: str) -> str:
    return "" if kind == "RANGE" else f"{kind} "


def _on(label: str, *names: str) -> str:
    if label in _EDGES:
        return f"FOR ()-[e:{label}]-() ON ({', '.join(f'e.{name}' for name in names)})"
    return f"FOR (n:{label}) ON ({', '.join(f'n.{name}' for name in names)})"
