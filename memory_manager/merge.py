"""What storing comes to: old and new values in, the values that stand out. Pure.

Every rule here is independent of the order in which batches arrive: a set of events always makes
the same graph.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from memory_manager.model import Entity, Fact

#: How many episodes, events and paths a fact names as its sources. The least in sorted order are
#: kept, so that the choice does not depend on the order of arrival.
PROVENANCE = 32


@dataclass(frozen=True, slots=True)
class Link:
    """A fact's place in its chain. `ended` is its own end, `until` the one that counts."""

    uuid: str
    since: float
    ended: float | None
    until: float | None


@dataclass(frozen=True, slots=True)
class FactPlan:
    """What to write: facts as they now stand, new ends of others, and what goes."""

    upserts: tuple[Fact, ...]
    untils: Mapping[str, float | None]
    deletes: frozenset[str]


def together(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    """Both, each once, sorted, at most `PROVENANCE`."""
    return tuple(sorted({*one, *other})[:PROVENANCE])


def merged_fact(stored: Fact | None, new: Fact) -> Fact:
    """One fact seen again. The earliest time is when it became true; its own end is the earliest.

    A scoped fact is replaced: its session's whole history was told again.
    """
    if stored is None or new.scope:
        return replace(
            new,
            episodes=together(new.episodes, ()),
            event_ids=together(new.event_ids, ()),
            paths=together(new.paths, ()),
        )
    first = min(stored, new, key=lambda fact: (fact.valid_at, fact.text, fact.session, fact.commit))
    ends = [fact.invalid_at for fact in (stored, new) if fact.invalid_at is not None]
    return replace(
        first,
        invalid_at=min(ends, default=None),
        episodes=together(stored.episodes, new.episodes),
        event_ids=together(stored.event_ids, new.event_ids),
        paths=together(stored.paths, new.paths),
    )


def merged_entity(stored: Entity | None, new: Entity) -> Entity:
    """One entity seen again: all attributes; where they differ the greatest in JSON's spelling."""
    if stored is None:
        return new
    attributes = dict(stored.attributes)
    for name, value in new.attributes.items():
        if name not in attributes or _spelling(value) > _spelling(attributes[name]):
            attributes[name] = value
    return replace(new, attributes=attributes)


def _spelling(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def gone(stored: Iterable[Fact], facts: Iterable[Fact], scopes: Iterable[str]) -> frozenset[str]:
    """Stored facts of these scopes that are no longer among `facts`."""
    kept = {fact.uuid for fact in facts}
    complete = set(scopes) - {""}
    return frozenset(f.uuid for f in stored if f.scope in complete and f.uuid not in kept)


def ends(chain: Iterable[Link]) -> dict[str, float | None]:
    """When each fact of one chain ends: at the next one's begin, or its own end if that is earlier."""
    ordered = sorted(chain, key=lambda link: (link.since, link.uuid))
    result: dict[str, float | None] = {}
    for link, following in zip(ordered, [*ordered[1:], None], strict=True):
        times = [link.ended, following.since if following is not None else None]
        result[link.uuid] = min((time for time in times if time is not None), default=None)
    return result


def plan_facts(
    facts: Iterable[Fact],
    scopes: Iterable[str],
    stored: Mapping[str, Fact],
    chains: Mapping[str, Mapping[str, Link]],
) -> FactPlan:
    """Decide a batch's writes to the facts.

    Args:
        facts: the batch's; the same one may come several times.
        scopes: the sessions whose scoped facts are complete in `facts`.
        stored: those in the graph with the same uuid or one of the scopes; `invalid_at` is their
            own end, not the chain's.
        chains: by key, the links that the graph holds of each chain that `facts` or `stored` name.

    Returns:
        Upserts whose `invalid_at` is their own end; `untils` of every fact whose effective end is
        new (upserts included).
    """
    standing: dict[str, Fact] = {}
    for fact in facts:
        before = standing.get(fact.uuid) or stored.get(fact.uuid)
        standing[fact.uuid] = merged_fact(before, fact)
    deletes = gone(stored.values(), standing.values(), scopes)
    touched = {f.closes for f in (*standing.values(), *stored.values()) if f.closes}
    untils: dict[str, float | None] = {}
    for key in sorted(touched):
        links = {uuid: link for uuid, link in chains.get(key, {}).items() if uuid not in deletes}
        known = {uuid: link.until for uuid, link in links.items()}
        for fact in standing.values():
            if fact.closes == key:
                links[fact.uuid] = Link(fact.uuid, fact.valid_at, fact.invalid_at, None)
        untils |= {
            uuid: until
            for uuid, until in ends(links.values()).items()
            if uuid in standing or known.get(uuid) != until
        }
    for fact in standing.values():
        untils.setdefault(fact.uuid, fact.invalid_at)
    return FactPlan(tuple(standing.values()), untils, deletes)
