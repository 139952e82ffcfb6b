"""Pages of episodes, one episode with its facts, and which episodes are not there.

Ordering has no index: a page sorts what it has found. So what is found has to be little: by words,
session or path an index finds it, and the newest are found by a window of time that grows until it
holds a page.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING, Any

from memory_manager import browse
from memory_manager.browse import Cursor, EpisodePage, Filter
from memory_manager.errors import InvalidRequest
from memory_manager.graph import rows
from memory_manager.graph.cypher import requiring
from memory_manager.graph.link import NoGraphError
from memory_manager.hits import TEXT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memory_manager.graph.cypher import Value
    from memory_manager.graph.link import Link
    from memory_manager.model import Episode, Fact

#: Windows before the page's begin, in seconds: one hour, then eight times as much, up to 21 days.
_WINDOWS = tuple(3600.0 * 8**n for n in range(4))
#: Newer episodes from which on a window costs more than looking at all of them: it is found from
#: the newest end (3.4 µs each, against 0.7 µs each of all).
_FAR = 500
#: Keys of one statement.
_KEYS = 2000

_LISTED = rows.EPISODE_COLUMNS.replace("n.content", f"left(n.content, {TEXT_LIMIT})")
_ONE = f"MATCH (n:Episodic {{uuid: $uuid}}) RETURN {rows.EPISODE_COLUMNS} LIMIT 1"
_ITS_FACTS = f"MATCH ()-[e:RELATES_TO]->() WHERE $uuid IN e.episodes RETURN {rows.FACT_COLUMNS}"
_THERE = "UNWIND $keys AS k MATCH (n:Episodic {uuid: k}) RETURN n.uuid"


async def episodes(  # noqa: PLR0913, PLR0917 - what is asked, and how to go about it
    link: Link, group: str, asked: Filter, before: Cursor | None, limit: int, newest: float | None
) -> EpisodePage:
    """See `Memory.episodes`. `newest`: about when the newest episode happened, if that is known.

    Raises:
        NoGraphError: the group has no graph.
    """
    if not limit or asked.words == ():
        return EpisodePage()
    found: list[Episode] = []
    for since in _since(asked, before, time.time() if newest is None else newest):
        statement, parameters = _question(asked, before, since)
        parameters["most"] = limit + 1
        read = await link.read(group, statement, parameters)
        found = [rows.episode_of(group, row) for row in read]
        if len(found) > limit:
            break
    return browse.page(found, limit, before)


def _since(asked: Filter, before: Cursor | None, newest: float) -> Iterator[float | None]:
    """Where to look, one after the other until a page is full; None: everywhere."""
    begin = before.at if before else newest
    if asked == Filter() and (before is None or before.seen < _FAR):
        yield from (begin - window for window in _WINDOWS)
    yield None


def _question(
    asked: Filter, before: Cursor | None, since: float | None
) -> tuple[str, dict[str, Value]]:
    conditions: list[str] = []
    parameters: dict[str, Value] = {}
    for name, value, condition in (
        ("session", asked.session, "n.session = $session"),
        ("kind", asked.kind, "n.kind = $kind"),
        ("path", asked.path, "$path IN n.paths"),
        ("since", None if since is None else _stamp(since), "n.valid_at >= $since"),
    ):
        if value is not None:
            conditions.append(condition)
            parameters[name] = str(value)
    found = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    if asked.words is None:
        start = f"MATCH (n:Episodic){found} WITH n, n.valid_at AS at"
    else:
        parameters["words"] = requiring(asked.words)
        start = (
            "CALL db.idx.fulltext.queryNodes('Episodic', $words) YIELD node"
            f" WITH node AS n, node.valid_at AS at{found}"
        )
    if before is not None:
        parameters |= {"at": rows.stamp(before.at), "uuid": before.uuid}
        # After a WITH: the index of times is slow at all but its newest end.
        start += " WITH n, at WHERE at < $at OR (at = $at AND n.uuid < $uuid)"
    statement = f"{start} WITH n, at ORDER BY at DESC, n.uuid DESC LIMIT $most RETURN {_LISTED}"
    return statement, parameters


def _stamp(at: float) -> str:
    """As `rows.stamp`; before all times there are none."""
    try:
        return rows.stamp(at)
    except InvalidRequest:
        return ""


async def episode(link: Link, group: str, uuid: str) -> tuple[Episode, tuple[Fact, ...]] | None:
    """See `Memory.episode`."""
    key: dict[str, Value] = {"uuid": uuid}
    try:
        found, made = await asyncio.gather(
            link.read(group, _ONE, key), link.read(group, _ITS_FACTS, key)
        )
    except NoGraphError:
        return None
    if not found:
        return None
    facts = (told(*rows.fact_of(group, row)) for row in made)
    return (
        rows.episode_of(group, found[0]),
        tuple(sorted(facts, key=lambda fact: (fact.valid_at, fact.uuid))),
    )


def told(fact: Fact, until: float | None) -> Fact:
    """A fact with the end that counts."""
    return replace(fact, invalid_at=until)


async def missing(link: Link, group: str, uuids: Iterable[str]) -> frozenset[str]:
    """See `Memory.missing`."""
    wanted = frozenset(uuids)
    chunks = [list[Any](chunk) for chunk in batched(sorted(wanted), _KEYS)]
    try:
        read = await asyncio.gather(*(link.read(group, _THERE, {"keys": keys}) for keys in chunks))
    except NoGraphError:
        return wanted
    return wanted.difference(row[0] for found in read for row in found)
