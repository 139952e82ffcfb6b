"""What must hold after a kill, against a model that knows what was acknowledged. Pure.

The model is the set of events that the clients sent. What the graph has to hold follows from it
by `extract`, each session in one piece, in a memory of its own: in whatever order and batches the
killed bridge wrote them, and however often, it has to come to the same.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bridge.crash.workload import retimed
from memory_manager.extract.batch import extract
from memory_manager.extract.episodes import worth_keeping
from memory_manager.memory import FakeMemory
from memory_manager.model import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.crash.spool_file import Range, View
    from bridge.crash.workload import Delivery
    from memory_manager.model import RawEvent
    from memory_manager.portable import Export

type Key = tuple[str, str]
_OPEN = frozenset({"started", "error"})
#: Faults of one kind that are told.
_TOLD = 5
#: Made of a batch, not of an event.
_SUMMARY = str(EventKind.SUMMARY)
_PARTS = ("episodes", "entities", "facts", "mentions")


@dataclass(slots=True)
class Model:
    """What was sent and what was acknowledged, by group and event id; ranges once seen."""

    sent: dict[Key, tuple[RawEvent, bool]] = field(default_factory=dict)
    acknowledged: set[Key] = field(default_factory=set)
    ranges: dict[int, tuple[str, str, int, int]] = field(default_factory=dict)

    def give(self, deliveries: Iterable[Delivery]) -> None:
        """These are sent from now on."""
        for one in deliveries:
            for event in one.events:
                self.sent[event.group, event.event_id] = event, one.timed

    def answered(self, deliveries: Iterable[Delivery]) -> None:
        """These were answered: what they bind is on disk."""
        self.acknowledged.update(
            (event.group, event.event_id)
            for one in deliveries
            if one.binding
            for event in one.events
        )


@dataclass(slots=True)
class Findings:
    """Faults in words, and how many events were lost or doubled."""

    faults: list[str] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0

    def add(self, what: str, found: Sequence[object]) -> int:
        """Note a fault that was found at some places; gives their number."""
        if found:
            shown = ", ".join(str(one)[:300] for one in found[:_TOLD])
            more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
            self.faults.append(f"{what}: {shown}{more}")
        return len(found)


def check_spool(model: Model, view: View, found: Findings) -> None:
    """The spool alone: each acknowledged event once and as sent, ranges fixed, cursors right."""
    if view.damage:
        found.add("the file is damaged", [view.damage])
    stored = {(one.event.group, one.event.event_id): one.event for one in view.events}
    times = Counter((one.event.group, one.event.event_id) for one in view.events)
    found.lost += found.add(
        "acknowledged and not on disk", sorted(model.acknowledged - stored.keys())
    )
    found.doubled += found.add("on disk twice", [key for key, many in times.items() if many > 1])
    found.add("on disk and never sent", sorted(stored.keys() - model.sent.keys()))
    found.add(
        "on disk and not as it was sent",
        [key for key, event in stored.items() if not _as_sent(model, key, event)],
    )
    _check_batches(model, view, found)


def _as_sent(model: Model, key: Key, event: RawEvent) -> bool:
    if key not in model.sent:
        return True
    sent, timed = model.sent[key]
    sent = sent if timed else retimed(sent, event.at)
    return event == sent and dict(event.metadata) == dict(sent.metadata)


def _check_batches(model: Model, view: View, found: Findings) -> None:
    found.add(
        "a range that was fixed has changed",
        [b for b in view.batches if model.ranges.setdefault(b.id, b.fixed) != b.fixed],
    )
    known = {batch.id for batch in view.batches}
    found.add("a batch has gone", sorted(model.ranges.keys() - known))
    by_session: defaultdict[Key, list[Range]] = defaultdict(list)
    for batch in view.batches:
        by_session[batch.group, batch.session].append(batch)
    waits: Counter[Key] = Counter()
    for one in view.events:
        key = (one.event.group, one.event.session)
        waits[key] += one.seq > view.sessions.get(key, (0, 0))[0]
    for key, (cursor, pending) in view.sessions.items():
        ranges = sorted(by_session[key], key=lambda batch: batch.first)
        overlapping = [pair for pair in pairwise(ranges) if pair[0].last >= pair[1].first]
        found.add(f"ranges of {key} overlap", overlapping)
        ended = max((b.last for b in ranges if b.state not in _OPEN), default=0)
        if cursor != ended:
            found.add(f"the cursor of {key}", [f"{cursor}, its last batch ended at {ended}"])
        if pending != waits[key]:
            found.add(f"what waits in {key}", [f"{pending} counted, {waits[key]} are there"])
    _check_flushed(view, by_session, found)


def _check_flushed(view: View, by_session: dict[Key, list[Range]], found: Findings) -> None:
    """An event is marked flushed if and only if a batch that ended well covers it."""
    wrong: list[object] = []
    for one in view.events:
        covering = [
            batch.state
            for batch in by_session.get((one.event.group, one.event.session), ())
            if batch.first <= one.seq <= batch.last
        ]
        if one.flushed != (covering in (["completed"], ["skipped"])):
            wrong.append((one.event.event_id, covering, one.flushed))
    found.add("marked flushed without a batch that ended well, or the reverse", wrong)


def check_drained(view: View, found: Findings) -> None:
    """Nothing waits, and nothing was given up."""
    found.add("waits after everything was flushed", [k for k, s in view.sessions.items() if s[1]])
    states = Counter(batch.state for batch in view.batches)
    found.add(
        "batches in another state than completed or skipped",
        [batch for batch in view.batches if batch.state not in {"completed", "skipped"}],
    )
    if view.batches and not states["completed"]:
        found.add("no batch was completed", [dict(states)])


async def expected(view: View) -> dict[str, Export]:
    """By group, what a bridge that nobody disturbed would have made of these events."""
    sessions: defaultdict[Key, list[RawEvent]] = defaultdict(list)
    for one in view.events:
        sessions[one.event.group, one.event.session].append(one.event)
    memory = FakeMemory()
    for (group, _), events in sorted(sessions.items()):
        await memory.store(extract(group, events))
    return {group: await memory.export(group) for group in {key[0] for key in sessions}}


def check_graph(view: View, wanted: Export, export: Export, found: Findings) -> None:
    """One project's graph: every event's episode once, and everything else as in `wanted`."""
    group = wanted["group"]
    kept = {
        one.event.event_id
        for one in view.events
        if one.event.group == group and worth_keeping(one.event)
    }
    episodes: list[Any] = _own(export)
    times = Counter(episode["event_id"] for episode in episodes)
    found.lost += found.add("flushed and not in the graph", sorted(kept - times.keys()))
    found.doubled += found.add(
        "twice in the graph", [key for key, many in times.items() if many > 1]
    )
    for part in _PARTS:
        ours = Counter(
            _spelled(one) for one in (episodes if part == "episodes" else _plain(export, part))
        )
        theirs = Counter(_spelled(one) for one in _plain(wanted, part))
        found.add(f"{part} missing from the graph", sorted((theirs - ours).elements()))
        found.add(f"{part} too many in the graph", sorted((ours - theirs).elements()))


def check_summaries(summaries: dict[Key, str], export: Export, found: Findings) -> None:
    """Each batch that came to something has one summary, and there are no others."""
    group = export["group"]
    wanted = Counter((key[1], text) for key, text in summaries.items() if key[0] == group)
    ours: Counter[tuple[Any, Any]] = Counter(
        (one["event_id"], one["content"]) for one in export["episodes"] if one["kind"] == _SUMMARY
    )
    found.lost += found.add("summaries missing", sorted((wanted - ours).elements()))
    found.doubled += found.add("summaries too many", sorted((ours - wanted).elements()))


def _own(export: Export) -> list[Any]:
    """The episodes that events make: a batch's summary is a function of its range."""
    return [one for one in export["episodes"] if one["kind"] != _SUMMARY]


def _plain(export: Export, part: str) -> list[Any]:
    records: list[Any] = dict(export)[part]  # type: ignore[assignment] # all four are lists
    if part != "mentions":
        return records
    summaries = {one["uuid"] for one in export["episodes"] if one["kind"] == _SUMMARY}
    return [one for one in records if one["episode"] not in summaries]


def _spelled(record: object) -> str:
    return json.dumps(record, sort_keys=True)
