"""The workflow: a batch of raw events, and what else is known of its sessions, to an extraction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_manager.extract import events as single
from memory_manager.extract import sessions
from memory_manager.extract.draft import Draft
from memory_manager.extract.episodes import episode_of, worth_keeping
from memory_manager.extract.runs import Run, run_of
from memory_manager.extract.sessions import HISTORY_KINDS
from memory_manager.model import Extraction, RawEvent

if TYPE_CHECKING:
    from collections.abc import Iterable


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
    batch = _in_order(event for event in events if worth_keeping(event))
    draft = Draft(group)
    runs: dict[str, Run] = {}
    for event in batch:
        run = run_of(event)
        if run is not None:
            runs[event.event_id] = run
        single.add(draft, event, run)
    scopes = _add_sessions(draft, batch, history, runs)
    return Extraction(
        group=group,
        episodes=tuple(episode_of(event) for event in batch),
        entities=tuple(draft.entities.values()),
        facts=tuple(draft.facts.values()),
        mentions=tuple(draft.mentions),
        scopes=scopes,
    )


def _add_sessions(
    draft: Draft, batch: list[RawEvent], history: Iterable[RawEvent], runs: dict[str, Run]
) -> tuple[str, ...]:
    """Adds the scoped facts of every session that the batch adds history to; gives those."""
    whole: dict[str, dict[str, RawEvent]] = {}
    for event in batch:
        if event.kind in HISTORY_KINDS:
            whole.setdefault(event.session, {})[event.event_id] = event
    for event in history:
        if event.session in whole and event.kind in HISTORY_KINDS and worth_keeping(event):
            known = whole[event.session].setdefault(event.event_id, event)
            if known is event and event.event_id not in runs:
                run = run_of(event)
                if run is not None:
                    runs[event.event_id] = run
    for session, known_events in whole.items():
        sessions.add(draft, session, _in_order(known_events.values()), runs)
    return tuple(whole)


def _in_order(events: Iterable[RawEvent]) -> list[RawEvent]:
    distinct: dict[str, RawEvent] = {}
    for event in events:
        distinct.setdefault(event.event_id, event)
    return sorted(distinct.values(), key=lambda event: (event.at, event.event_id))
