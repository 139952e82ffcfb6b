"""One group's graph as dictionaries: what `FakeMemory` holds. Slow and plain on purpose."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from memory_manager import browse, merge, rank
from memory_manager.browse import EpisodePage, Neighbourhood, Node
from memory_manager.hits import (
    NAMED_FROM,
    TEXT_LIMIT,
    episode_hit,
    fact_hit,
    holds,
    names_in,
)
from memory_manager.rank import Candidate, Channel
from memory_manager.terms import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memory_manager.embed import Embedder
    from memory_manager.model import Entity, Episode, Extraction, Fact, Hit, Query


class SmallGraph:
    """Episodes, entities and facts by uuid. `untils`: the end of each fact that counts."""

    def __init__(self) -> None:
        self.episodes: dict[str, Episode] = {}
        self.entities: dict[str, Entity] = {}
        self.facts: dict[str, Fact] = {}
        self.untils: dict[str, float | None] = {}
        self.mentions: set[tuple[str, str]] = set()

    def store(self, extraction: Extraction) -> None:
        self.episodes |= {episode.uuid: episode for episode in extraction.episodes}
        for entity in extraction.entities:
            self.entities[entity.uuid] = merge.merged_entity(self.entities.get(entity.uuid), entity)
        new = {fact.uuid for fact in extraction.facts}
        stored = {
            fact.uuid: fact
            for fact in self.facts.values()
            if fact.uuid in new or (fact.scope and fact.scope in extraction.scopes)
        }
        chains: dict[str, dict[str, merge.Link]] = {}
        for fact in self.facts.values():
            link = merge.Link(fact.uuid, fact.valid_at, fact.invalid_at, self.untils[fact.uuid])
            chains.setdefault(fact.closes, {})[fact.uuid] = link
        plan = merge.plan_facts(extraction.facts, extraction.scopes, stored, chains)
        for uuid in plan.deletes:
            del self.facts[uuid], self.untils[uuid]
        self.facts |= {fact.uuid: fact for fact in plan.upserts}
        self.untils |= plan.untils
        self.mentions |= set(extraction.mentions)

    def candidates(
        self, query: Query, words: tuple[str, ...], embedder: Embedder | None
    ) -> Iterator[Candidate]:
        said = set(words)
        named = set(names_in(query))
        near = {
            entity.uuid: 1.0 if entity.name in named else rank.naming(words, entity.name)
            for entity in self.entities.values()
        }
        near = {uuid: sure for uuid, sure in near.items() if sure >= NAMED_FROM}
        for hit, neighbours in self._hits(query):
            evidence: dict[Channel, float] = {}
            common = sum(1 for word in terms(hit.text) if word in said)
            if common:
                evidence[Channel.TEXT] = float(common)
            sure = max((near.get(uuid, 0.0) for uuid in neighbours), default=0.0)
            if sure:
                evidence[Channel.NEAR] = sure
            if embedder is not None and embedder.dimension and hit.kind != "fact":
                one, other = embedder.embed([query.text, hit.text])
                evidence[Channel.VECTOR] = float(one @ other)
            if evidence:
                yield Candidate(hit, evidence)

    def _hits(self, query: Query) -> Iterator[tuple[Hit, set[str]]]:
        for episode in self.episodes.values():
            if query.leaves_out(episode.session, episode.at):
                continue
            if query.at is None or episode.at <= query.at:
                near = {entity for of, entity in self.mentions if of == episode.uuid}
                yield episode_hit(episode), near
        for fact in self.facts.values():
            until = self.untils[fact.uuid]
            if query.leaves_out(fact.session, fact.valid_at):
                continue
            if holds(fact.valid_at, until, query.at):
                yield fact_hit(fact, until), {fact.source, fact.target}

    def page(
        self,
        asked: browse.Filter,
        before: browse.Cursor | None,
        limit: int,
    ) -> EpisodePage:
        """Of the episodes that suit, those that are older than `before`."""
        found = [
            replace(episode, content=episode.content[:TEXT_LIMIT])
            for episode in sorted(
                self.episodes.values(), key=lambda each: (each.at, each.uuid), reverse=True
            )
            if asked.suits(episode)
            and (before is None or (episode.at, episode.uuid) < (before.at, before.uuid))
        ]
        return browse.page(found, limit, before)

    def told(self, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """Facts with the end that counts, oldest first."""
        ended = (replace(fact, invalid_at=self.untils[fact.uuid]) for fact in facts)
        return tuple(sorted(ended, key=lambda fact: (fact.valid_at, fact.uuid)))

    def neighbourhood(
        self,
        center: str | None,
        words: tuple[str, ...] | None,
        types: frozenset[str],
        at: float | None,
        limit: int,
    ) -> Neighbourhood:
        """See `Memory.neighbourhood`."""
        facts = [
            fact
            for fact in self.facts.values()
            if at is None or holds(fact.valid_at, self.untils[fact.uuid], at)
        ]
        degrees = Counter(end for f in self.facts.values() for end in (f.source, f.target))
        shown = {
            entity.uuid: Node(entity, degrees[entity.uuid])
            for entity in self.entities.values()
            if browse.has(entity.name, words) and (not types or entity.type in types)
        }
        if center is None:
            counted = (
                degrees
                if at is None
                else Counter(end for f in facts for end in {f.source, f.target})
            )
            found = sorted(
                (node for uuid, node in shown.items() if at is None or counted[uuid]),
                key=lambda node: browse.prominence(node.entity, counted[node.entity.uuid]),
            )
            nodes, more = found[:limit], len(found) > limit
        else:
            middle = self.entities.get(center)
            if middle is None:
                nodes, more = [], False
            else:
                nodes, more = _around(Node(middle, degrees[center]), shown, facts, limit)
        edges, hidden = self._between({node.entity.uuid for node in nodes}, facts, limit)
        times = [episode.at for episode in self.episodes.values()]
        return Neighbourhood(
            tuple(nodes), edges, min(times, default=None), max(times, default=None), more or hidden
        )

    def _between(
        self, nodes: set[str], facts: Iterable[Fact], limit: int
    ) -> tuple[tuple[Fact, ...], bool]:
        many: Counter[tuple[str, str]] = Counter()
        found: list[Fact] = []
        inside = (fact for fact in facts if nodes >= {fact.source, fact.target})
        for fact in sorted(inside, key=lambda fact: (-fact.valid_at, fact.uuid)):
            many[fact.source, fact.target] += 1
            if many[fact.source, fact.target] <= browse.PARALLEL:
                found.append(replace(fact, invalid_at=self.untils[fact.uuid]))
        most = browse.most_edges(limit)
        hidden = len(found) > most or any(count > browse.PARALLEL for count in many.values())
        return tuple(found[:most]), hidden


def _around(
    center: Node, shown: dict[str, Node], facts: Iterable[Fact], limit: int
) -> tuple[list[Node], bool]:
    """The center and what is up to two hops from it; and whether there is more."""
    beside: dict[str, Counter[str]] = {}
    for fact in facts:
        for one, other in {(fact.source, fact.target), (fact.target, fact.source)}:
            beside.setdefault(one, Counter())[other] += 1

    def beyond(through: Iterable[str], known: set[str]) -> list[Node]:
        strength = Counter[str]()
        for uuid in through:
            strength.update(beside.get(uuid, {}))
        return sorted(
            (shown[uuid] for uuid in strength.keys() - known if uuid in shown),
            key=lambda node: browse.closeness(node.entity, strength[node.entity.uuid]),
        )

    known = {center.entity.uuid}
    near = beyond(known, known)
    if len(near) >= limit:
        return [center, *near][:limit], True
    through, everyone = browse.passed(near)
    far = beyond(through, known | {node.entity.uuid for node in near})
    room = limit - 1 - len(near)
    return [center, *near, *far[:room]], not everyone or len(far) > room
