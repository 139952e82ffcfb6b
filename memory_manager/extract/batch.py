"""The workflow: a batch of raw events, and what else is known of its sessions, to an extraction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from memory_manager.extract import events as single
from memory_manager.extract import sessions
from memory_manager.extract.draft import Draft
from memory_manager.extract.episodes import episode_of, repeated, worth_keeping
from memory_manager.extract.runs import Runs
from memory_manager.extract.sessions import HISTORY_KINDS
from memory_manager.extract.summary import summarised, summary_id, written
from memory_manager.extract.tags import tags_of
from memory_manager.model import Extraction, RawEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Flush:
    """What a batch comes to: what is written, and what is said of it ("" when nothing is)."""

    extraction: Extraction
    summary: str = ""
    tags: tuple[str, ...] = ()


def extract(
    group: str, events: Iterable[RawEvent], history: Iterable[RawEvent] = ()
) -> Extraction:  # fmt: skip
    """What a batch comes to: its episodes, and all facts that it makes or changes.

    A function of the set of events: in whatever order and batches they come, once every event has
    been in a batch (with all that was known of its session as `history`), the graph that results
    by the rules of `relations.py` is the same.

    Args:
        group: the project's group; every identifier depends on it.
        events: the batch. Of an event given twice, or in both arguments, one counts.
        history: all other known events of the batch's sessions of `HISTORY_KINDS`, with their
            metadata (`output` included; `diff` and `content` may be left out); their content may
            be cut to `HISTORY_CONTENT` characters.
    """
    return _extract(group, events, history, Runs())


def flushed(
    group: str, events: Sequence[RawEvent], history: Sequence[RawEvent] = ()
) -> Flush:  # fmt: skip
    """What a flush writes of one session's batch: its extraction, a summary episode and tags.

    Args:
        group: the project's group.
        events: the batch in the order of the spool: its first event names the summary, so that
            the same range gives the same episode.
        history: as for `extract`; what happened after the batch does not change its summary.
    """
    runs = Runs()
    found = _extract(group, events, history, runs)
    summed = _summed_up(group, events, history, runs)
    extra = summed.extraction
    known = {entity.uuid for entity in found.entities}
    more = tuple(entity for entity in extra.entities if entity.uuid not in known)
    return replace(
        summed,
        extraction=replace(
            found,
            episodes=found.episodes + extra.episodes,
            entities=found.entities + more,
            mentions=found.mentions + extra.mentions,
        ),
    )


def summed_up(
    group: str, events: Sequence[RawEvent], history: Sequence[RawEvent] = ()
) -> Flush:  # fmt: skip
    """The summary and the tags alone, of a batch whose events are in the graph already."""
    return _summed_up(group, events, history, Runs())


def _summed_up(
    group: str, events: Sequence[RawEvent], history: Iterable[RawEvent], runs: Runs
) -> Flush:
    tags = tags_of(events, runs)
    summary = summarised(events, history, runs)
    if summary is None:
        return Flush(Extraction(group), "", tags)
    event_id = summary_id(summary.session, events[0].event_id)
    return Flush(written(group, event_id, summary, tags), summary.text, tags)


def _extract(
    group: str, events: Iterable[RawEvent], history: Iterable[RawEvent], runs: Runs
) -> Extraction:
    given = _in_order(events)
    repeats = Counter(filter(None, map(repeated, given)))
    batch = [event for event in given if worth_keeping(event)]
    draft = Draft(group)
    for event in batch:
        single.add(draft, event, runs.of(event))
    scopes = _add_sessions(draft, batch, history, runs)
    return Extraction(
        group=group,
        episodes=tuple(episode_of(event, 1 + repeats[event.event_id]) for event in batch),
        entities=tuple(draft.entities.values()),
        facts=tuple(draft.facts.values()),
        mentions=tuple(draft.mentions),
        scopes=scopes,
    )


def _add_sessions(
    draft: Draft, batch: list[RawEvent], history: Iterable[RawEvent], runs: Runs
) -> tuple[str, ...]:
    """Adds the scoped facts of every session that the batch adds history to; gives those."""
    whole: dict[str, dict[str, RawEvent]] = {}
    for event in batch:
        if event.kind in HISTORY_KINDS:
            whole.setdefault(event.session, {})[event.event_id] = event
    for event in history:
        if event.session in whole and event.kind in HISTORY_KINDS and worth_keeping(event):
            whole[event.session].setdefault(event.event_id, event)
    for session, known_events in whole.items():
        sessions.add(draft, session, _in_order(known_events.values()), runs)
    return tuple(whole)


def _in_order(events: Iterable[RawEvent]) -> list[RawEvent]:
    distinct: dict[str, RawEvent] = {}
    for event in events:
        distinct.setdefault(event.event_id, event)
    return sorted(distinct.values(), key=lambda event: (event.at, event.event_id))
