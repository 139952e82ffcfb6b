"""`error`: whether it was seen before, how often, where, and what fixed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.tools import arguments
from bridge.tools.looking import Told, told_by_fact, told_by_hits, united
from bridge.tools.notes import budget
from bridge.tools.text import Section, counted, fenced, line, times, when
from memory_manager import rank
from memory_manager.browse import Neighbourhood
from memory_manager.model import EventKind
from memory_manager.terms import terms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.tools.looking import Asked, Look
    from memory_manager.memory import Memory
    from memory_manager.model import Entity, Episode, Hit

_SEEN = frozenset({"FAILED_WITH", "HIT"})
_RELATIONS = _SEEN | {"OCCURRED_IN", "FIXED_BY"}
_LIMIT, _MOST = 3, 10
_HITS, _ERRORS, _AROUND = 50, 1000, 300
#: Of a long message (a stack trace), the first and the last characters say most.
_HEAD, _TAIL = 1500, 1500
#: From this share of an error's words on it is the one that is asked about; from this, one like it.
_SAME, _LIKE = 0.75, 0.5
#: Ways in which a later failure is told from the fix that came before it, in seconds.
_AFTER_S = 0.001
_FAILED = frozenset({EventKind.ERROR, EventKind.COMMAND})


@dataclass(frozen=True, slots=True)
class Match:
    """An error, how surely it is meant (0 to 1), and whether the answer leads to it anyway."""

    error: Entity
    share: float
    place: int


class Failing:
    """What memory knows of errors."""

    def __init__(self, look: Look) -> None:
        self._look = look

    async def error(self, asked: Asked) -> str:
        """The errors that the message names or is like, with what is known of each."""
        whole = arguments.required(asked.args, "message", "error", "query", "text")
        message = whole if len(whole) <= _HEAD + _TAIL else f"{whole[:_HEAD]}\n{whole[-_TAIL:]}"
        limit = arguments.size(asked.args, "limit", _LIMIT, _MOST)
        hits = (await self._look.recalled(asked, message, _HITS)).hits
        found = matches(message, await self._errors(asked, message), hits)
        named = await self._look.namer(asked)
        fresh = just_failed(message, await self._look.waiting(asked))[:limit]
        lines = [f"{when(each.at)} {gist(each)} — {named(each.session)}" for each in fresh]
        sections = [Section("Seen just now, not yet worked out", lines)]
        for match in found[:limit]:
            known = await self._known(asked, match.error, hits)
            sections.append(self._section(match, known, named))
        return fenced(sections, budget(asked)) or "Memory has not seen that error in this project."

    async def _errors(self, asked: Asked, message: str) -> list[Entity]:
        async def look(memory: Memory) -> list[Entity]:
            named = await memory.neighbourhood(
                asked.group, text=message, types=("Error",), limit=_MOST
            )
            listed = await memory.entities(asked.group, "Error", _ERRORS)
            # With their names alone, neighbours: in a project of very many errors not all are listed.
            return list(
                {each.uuid: each for each in (*(n.entity for n in named.nodes), *listed)}.values()
            )

        return await self._look.graph(asked, look, [])

    async def _known(self, asked: Asked, error: Entity, hits: Sequence[Hit]) -> list[Told]:
        around = await self._look.graph(
            asked,
            lambda memory: memory.neighbourhood(
                asked.group,
                center=error.uuid,
                types=("Command", "Session", "File"),
                limit=_AROUND,
            ),
            Neighbourhood(),
        )
        stored = [
            told_by_fact(fact) for fact in around.edges if error.uuid in {fact.source, fact.target}
        ]
        named = [each for each in told_by_hits(hits) if error.name in each.text]
        return [each for each in united(stored, named) if each.relation in _RELATIONS]

    @staticmethod
    def _section(match: Match, known: Sequence[Told], named: Callable[[str], str]) -> Section:
        degree = "Seen before" if match.share >= _SAME else "Like it"
        return Section(f"{degree}: {line(match.error.name, 60)}", told_of(known, named))


def matches(message: str, errors: Sequence[Entity], hits: Sequence[Hit]) -> list[Match]:
    """The errors that are meant, the surest first; else those that the answer speaks of."""
    said = set(terms(message, 2048))
    words = set(rank.question(message).words)
    found: list[Match] = []
    for error in errors:
        parts = set(terms(error.name, 128))
        common = len(parts & said)
        share = common / len(parts) if parts else 0.0
        # A few words of a long name: all that was asked for is in it.
        whole = len(words & parts) / len(words) if words else 0.0
        places = (place for place, hit in enumerate(hits) if error.name in hit.text)
        place = next(places, len(hits))
        if max(share, whole) >= _LIKE or place < len(hits):
            found.append(Match(error, max(share, whole), place))
    found.sort(key=lambda each: (-round(each.share, 2), each.place, each.error.name))
    sure = [each for each in found if each.share >= _SAME]
    return sure or found


def told_of(known: Sequence[Told], named: Callable[[str], str]) -> list[str]:
    """What is known of one error (newest first), as lines."""
    seen = [each for each in known if each.relation in _SEEN]
    fixes = [each for each in known if each.relation == "FIXED_BY"]
    files = dict.fromkeys(
        path for each in known if each.relation == "OCCURRED_IN" for path in each.paths
    )
    lines: list[str] = []
    if seen:
        first, last = seen[-1], seen[0]
        sessions = len({each.session for each in seen})
        often = f" in {counted(sessions, 'session')}, first {when(first.at)}, last"
        lines.append(
            f"seen {times(len(seen))}{often if len(seen) > 1 else ','} {when(last.at)}"
            f" — {named(last.session)}"
        )
    lines += [f"fixed {when(fix.at)}: {line(fix.text)} — {named(fix.session)}" for fix in fixes]
    if fixes and seen and seen[0].at > fixes[0].at + _AFTER_S:
        lines.append(f"it came again after that fix: {when(seen[0].at)}")
    if not fixes:
        lines.append("memory knows of no fix")
    ways = [each for each in seen if each.relation == "FAILED_WITH"]
    if ways:
        since = (
            f"; that passes since {when(ways[0].until)}" if ways[0].until else "; not since then"
        )
        lines.append(f"last so: {line(ways[0].text, 60)}{since}")
    if files:
        lines.append(f"in {', '.join(line(path, 24) for path in list(files)[:8])}")
    return lines


def gist(failed: Episode) -> str:
    """What failed, and the last that it said: of a trace of calls that is the error."""
    first, *rest = [text for text in failed.content.splitlines() if text.strip()] or [""]
    last = " ".join(rest[-2:])  # the last of all may be the exit status
    return f"{line(first, 40)} … {line(last, 48)}" if last else line(first, 88)


def just_failed(message: str, waiting: Sequence[Episode]) -> list[Episode]:
    """What failed like that and is still in the spool alone, newest first."""
    words = rank.question(message).words
    found: list[Episode] = []
    for episode in waiting:
        if episode.kind not in _FAILED or episode.metadata.get("exit") == 0:
            continue
        said = set(terms(episode.content, 2048))
        if words and sum(word in said for word in words) / len(words) >= _LIKE:
            found.append(episode)
    return found
