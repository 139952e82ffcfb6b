"""The memory: what it promises, and a small one in memory that keeps the same promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from memory_manager import merge, rank
from memory_manager.model import Answer, Entity, Episode, Extraction, Fact, Hit, Query
from memory_manager.paths import mentioned
from memory_manager.portable import Export, exported
from memory_manager.rank import Candidate, Channel
from memory_manager.terms import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memory_manager.embed import Embedder
    from memory_manager.errors import Unavailable

#: Characters of a text that a hit carries; far more than a context has room for.
TEXT_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Size:
    """How much one group's graph holds."""

    episodes: int = 0
    entities: int = 0
    facts: int = 0
    mentions: int = 0


class Memory(Protocol):
    """Episodes, entities and temporal facts, partitioned by group (one for each project).

    Nothing of one group is ever seen from another. Nothing in a text, name or question is ever
    interpreted. Every method may raise `Unavailable` (try again: a store that was interrupted is
    repeated whole) and `Rejected` (a limit or a permission of the engine).
    """

    async def store(self, extraction: Extraction) -> None:
        """Make the graph hold `extraction`; once done, stored twice is stored once.

        The graph is a function of the set of batches, not of their order: stored scoped facts of
        `extraction.scopes` that are not among its facts go; in each chain (`Fact.closes`) every
        fact ends where the next one begins (ties by uuid); a fact seen again keeps its earliest
        `valid_at` and unites its sources (`merge.PROVENANCE` of each). One at a time for a group.
        """
        ...

    async def query(self, query: Query) -> Answer:
        """What the group's memory knows about the question, best first.

        By words, meaning, neighbourhood in the graph and time. Superseded facts are left out;
        with `query.at`, what was known to be true then is given and nothing newer. An empty
        answer when nothing is relevant or the group is unknown (which creates nothing).
        `Answer.paths` has the hits' paths and the query's. A hit's text is at most `TEXT_LIMIT`
        characters long.
        """
        ...

    async def entities(
        self, group: str, type_: str | None = None, limit: int = 1000
    ) -> tuple[Entity, ...]:
        """The group's entities, of one type or all, ordered by type and name."""
        ...

    async def export(self, group: str) -> Export:
        """Everything of the group, in an order that depends on the content alone."""
        ...

    async def size(self, group: str) -> Size:
        """Counts; all 0 for an unknown group."""
        ...

    async def persist(self) -> None:
        """Return once the engine has written everything stored so far, where it can tell.

        A killed process then loses nothing. A power cut may: the engine synchronises its disk
        once a second, and what is missing afterwards is found by comparison with the spool.
        `Rejected` when the engine can't write.
        """
        ...

    async def ready(self) -> None:
        """Return when the engine answers; raise `Unavailable` when it does not."""
        ...

    async def close(self) -> None:
        """Let go of connections. Nothing is usable afterwards."""
        ...


class FakeMemory:
    """A `Memory` in this process, for tests and trials. Set `fault` to have every call raise it."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder
        self._groups: dict[str, _Group] = {}
        self.fault: Unavailable | None = None

    async def store(self, extraction: Extraction) -> None:
        self._check()
        self._groups.setdefault(extraction.group, _Group()).store(extraction)

    async def query(self, query: Query) -> Answer:
        self._check()
        group = self._groups.get(query.group)
        if group is None:
            return Answer(paths=tuple(sorted(set(query.paths))))
        asked = rank.question(query.text, query.paths, query.at)
        candidates = list(group.candidates(query, asked.words, self._embedder))
        hits = rank.rank(asked, candidates, query.limit)
        return Answer(hits, answer_paths(query, hits))

    async def entities(
        self, group: str, type_: str | None = None, limit: int = 1000
    ) -> tuple[Entity, ...]:
        self._check()
        known = self._groups.get(group, _Group()).entities.values()
        found = [entity for entity in known if type_ is None or entity.type == type_]
        return tuple(sorted(found, key=lambda e: (e.type, e.name, e.uuid))[:limit])

    async def export(self, group: str) -> Export:
        self._check()
        known = self._groups.get(group, _Group())
        return exported(
            group,
            known.episodes.values(),
            known.entities.values(),
            ((fact, known.untils[fact.uuid]) for fact in known.facts.values()),
            known.mentions,
        )

    async def size(self, group: str) -> Size:
        self._check()
        known = self._groups.get(group, _Group())
        counted = (known.episodes, known.entities, known.facts, known.mentions)
        return Size(*(len(things) for things in counted))

    async def persist(self) -> None:
        self._check()

    async def ready(self) -> None:
        self._check()

    async def close(self) -> None:
        self._groups.clear()

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault


def answer_paths(query: Query, hits: Iterable[Hit]) -> tuple[str, ...]:
    """Every path that an answer depends on, sorted: the question's and the hits'."""
    return tuple(sorted({*query.paths, *(path for hit in hits for path in hit.paths)}))


def names_in(query: Query) -> tuple[str, ...]:
    """What the question may call an entity by its whole name: its paths, known and as written."""
    return tuple(dict.fromkeys((*query.paths, *mentioned(query.text, 32))))[:64]


def episode_hit(episode: Episode) -> Hit:
    """An episode as an answer gives it."""
    return Hit(
        uuid=episode.uuid,
        kind=str(episode.kind),
        text=episode.content[:TEXT_LIMIT],
        at=episode.at,
        score=0.0,
        session=episode.session,
        event_ids=(episode.event_id,),
        paths=episode.paths,
        source=episode.source,
    )


def fact_hit(fact: Fact, until: float | None) -> Hit:
    """A fact as an answer gives it; `source` is its relation."""
    return Hit(
        uuid=fact.uuid,
        kind="fact",
        text=fact.text[:TEXT_LIMIT],
        at=fact.valid_at,
        score=0.0,
        session=fact.session,
        event_ids=fact.event_ids,
        paths=fact.paths,
        source=fact.relation,
        invalid_at=until,
    )


class _Group:
    """One project's graph as dictionaries."""

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


#: From this share of its name on, the question is taken to name an entity.
NAMED_FROM = 0.5


def holds(since: float, until: float | None, at: float | None) -> bool:
    """Whether a fact is true at `at`; with None, whether nothing has ended it."""
    if at is None:
        return until is None
    return since <= at and (until is None or at < until)
