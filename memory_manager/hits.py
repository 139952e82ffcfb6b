"""What an answer is made of: episodes and facts as hits, and what a question names. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_manager.model import Episode, Fact, Hit, Query
from memory_manager.paths import mentioned

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Characters of a text that a hit, or an episode in a list, carries; far more than a context has
#: room for.
TEXT_LIMIT = 4096

#: From this share of its name on, the question is taken to name an entity.
NAMED_FROM = 0.5


def answer_paths(query: Query, hits: Iterable[Hit]) -> tuple[str, ...]:
    """Every path that an answer depends on, sorted: the question's and the hits'."""
    return tuple(sorted({*query.paths, *(path for hit in hits for path in hit.paths)}))


def names_in(query: Query) -> tuple[str, ...]:
    """What the question may call an entity by its whole name: its paths, known and as written."""
    return tuple(dict.fromkeys((*query.paths, *mentioned(query.text, 32))))[:64]


def searchable(episode: Episode) -> str:
    """What of an episode is searched and embedded: its text, and its paths if they are not in it."""
    missing = [path for path in episode.paths if path not in episode.content]
    return " ".join([episode.content, *missing])


def holds(since: float, until: float | None, at: float | None) -> bool:
    """Whether a fact is true at `at`; with None, whether nothing has ended it."""
    if at is None:
        return until is None
    return since <= at and (until is None or at < until)


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
