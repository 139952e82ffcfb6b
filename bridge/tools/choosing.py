"""`decision`: what people chose, when and where, and what has replaced it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.tools import arguments
from bridge.tools.looking import Told, told_by_fact, united
from bridge.tools.notes import budget
from bridge.tools.text import Section, fenced, line, when
from memory_manager import rank
from memory_manager.browse import Neighbourhood
from memory_manager.extract.words import choices
from memory_manager.model import EventKind, entity_uuid
from memory_manager.terms import terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bridge.tools.looking import Asked, Look
    from memory_manager.model import Episode, Hit

#: The relations of what people say, and the types of what they say it about.
RELATIONS = frozenset({"DECIDED", "PREFERS", "AVOIDS", "NOTED"})
_TYPES = ("Decision", "Preference", "Note")
_SPOKEN = frozenset({EventKind.PROMPT, EventKind.NOTE})
_LIMIT, _MOST = 10, 50
#: Choices looked at, and hits that may lead to one.
_LOOKED_AT, _HITS = 500, 24
#: From this share of its words on, what is asked about is said in a choice.
_SAID = 0.5


class Choosing:
    """What was decided."""

    def __init__(self, look: Look) -> None:
        self._look = look

    async def decision(self, asked: Asked) -> str:
        """Choices about something (or all), the newest that hold first, then what they replaced."""
        about = arguments.words(asked.args, "about", "query", "topic", "text")
        limit = arguments.size(asked.args, "limit", _LIMIT, _MOST)
        known = await chosen(self._look, asked)
        if about:
            hits = (await self._look.recalled(asked, about, _HITS)).hits
            known = about_it(known, about, hits)
        named = await self._look.namer(asked)
        replaced_by = replaced(known)
        held = [each for each in known if each.until is None and each.uuid not in replaced_by]
        ended = [each for each in known if each not in held]
        return fenced(
            [
                _section("Decided, and it holds", held, limit, lambda each: _told(each, named)),
                _section(
                    "Superseded: does not hold any more",
                    ended,
                    limit,
                    lambda each: f"SUPERSEDED {_ending(each, replaced_by)} {_told(each, named)}",
                ),
            ],
            budget(asked),
        ) or (
            "Memory knows of no decision about that in this project."
            if about
            else "Memory knows of no decisions in this project yet."
        )


async def chosen(look: Look, asked: Asked) -> list[Told]:
    """Every choice that is known, ended or not, newest first; what waits in the spool is in it."""
    person = entity_uuid(asked.group, "Person", "user")
    found = await look.graph(
        asked,
        lambda memory: memory.neighbourhood(
            asked.group, center=person, types=_TYPES, limit=_LOOKED_AT
        ),
        Neighbourhood(),
    )
    stored = [told_by_fact(fact) for fact in found.edges if fact.relation in RELATIONS]
    return united(stored, spoken(await look.waiting(asked), stored))


def spoken(waiting: Iterable[Episode], stored: Iterable[Told]) -> list[Told]:
    """The choices in prompts and notes that the graph has not got yet."""
    known = {event for each in stored for event in each.event_ids}
    return [
        Told(
            f"{episode.event_id} {number}",
            choice.relation,
            choice.sentence,
            episode.at,
            session=episode.session,
            chain=f"choice:{choice.topic}" if choice.topic else "",
            event_ids=(episode.event_id,),
        )
        for episode in waiting
        if episode.kind in _SPOKEN and episode.event_id not in known
        for number, choice in enumerate(choices(episode.content))
    ]


def replaced(known: Iterable[Told]) -> dict[str, Told]:
    """By uuid, the choice that came after on the same topic."""
    later: dict[str, Told] = {}
    found: dict[str, Told] = {}
    for each in sorted(known, key=lambda each: (-each.at, each.uuid)):
        if each.chain:
            if each.chain in later:
                found[each.uuid] = later[each.chain]
            later[each.chain] = each
    return found


def about_it(known: Sequence[Told], about: str, hits: Sequence[Hit]) -> list[Told]:
    """Those about something: that say so, or were said where memory says that it was talked of.

    With each comes what else was chosen on its topic, before or after.
    """
    words = rank.question(about).words
    places = {
        event: place for place, hit in reversed(list(enumerate(hits))) for event in hit.event_ids
    }
    scores: dict[str, float] = {}
    topics: dict[str, float] = {}
    for each in known:
        said = set(terms(each.text, 256))
        share = sum(word in said for word in words) / len(words) if words else 0.0
        best = min((places[event] for event in each.event_ids if event in places), default=None)
        near = 0.0 if best is None else 1 - best / _HITS
        if share >= _SAID or near:
            scores[each.uuid] = share + near
            if each.chain:
                topics[each.chain] = max(topics.get(each.chain, 0.0), share + near)
    for each in known:
        if each.chain in topics:
            scores.setdefault(each.uuid, topics[each.chain])
    kept = [each for each in known if each.uuid in scores]
    return sorted(kept, key=lambda each: (-scores[each.uuid], -each.at, each.uuid))


def _section(
    title: str, known: Sequence[Told], limit: int, shown: Callable[[Told], str]
) -> Section:
    return Section(title, [shown(each) for each in known[:limit]], max(0, len(known) - limit))


def _told(each: Told, named: Callable[[str], str]) -> str:
    return f"{when(each.at)} {line(each.text, 100)} — {named(each.session)}"


def _ending(each: Told, replaced_by: dict[str, Told]) -> str:
    later = replaced_by.get(each.uuid)
    if later is None:
        return f"{when(each.until)}:" if each.until is not None else ":"
    return f"{when(later.at)} by “{line(later.text, 40)}”:"
