"""The spool's newest events in memory, findable by words and paths. No I/O, no clock.

What happened a second ago is found here, flushed or not. An event leaves when it is flushed and
that is older than the time to live (no cached answer can predate it any more), or when the tail is
full: the oldest first. Taking an event in costs next to nothing; its words are indexed later, in
small steps, and the newest ones at the latest when somebody searches.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from math import log
from typing import TYPE_CHECKING

from memory_manager.spool.entry import Entry, entry_of, hit_of
from memory_manager.terms import terms

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from memory_manager.model import Hit, RawEvent

#: Words of an event that are indexed, and rough bytes of one in the index.
_WORDS, _WORD = 400, 90
#: Events that a search indexes by itself; more are left to `index`.
_AT_SEARCH = 64
#: Words of a question that count, and index entries that they may visit.
_ASKED, _VISITED = 64, 4000
#: Events that are let go of in one go: a few milliseconds.
_EXPIRED = 500
#: BM25: how soon repeats stop counting, how much long texts are discounted, what is usual. The
#: usual length is fixed, so that what a word gains is reckoned once, when it is indexed.
_K1, _B, _USUAL = 1.2, 0.4, 40
#: What a path in common is worth, in the unit of a rare word; events of one path that can win by it.
_PATH, _PATH_EVENTS = 4.0, 1000
#: A word in fewer events than this is rare, however few events there are.
_FEW = 20
#: Hits with the same text, each from another session.
_ALIKE = 2


@dataclass(slots=True)
class _Index:
    """One session's words (which rows have them, and what that is worth) and paths."""

    words: dict[str, dict[int, float]] = field(default_factory=dict)
    paths: dict[str, dict[int, None]] = field(default_factory=dict)
    #: Rows that are indexed, and all rows.
    count: int = 0
    rows: int = 0


class Tail:
    """The newest events of all projects, bounded by count and bytes."""

    def __init__(self, most: int, most_bytes: int, *, ttl: float) -> None:
        """Nothing yet.

        Args:
            most: events at most.
            most_bytes: bytes at most, by estimate.
            ttl: seconds that an event stays after it was flushed.
        """
        self._most = most
        self._most_bytes = most_bytes
        self._ttl = ttl
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._unindexed: OrderedDict[int, None] = OrderedDict()
        self._flushed: list[tuple[float, int]] = []
        # By session within a project: what the asking session did is left out at no cost.
        self._groups: dict[str, dict[str, _Index]] = {}
        self.bytes = 0
        #: Events that left because the tail was full, since the start.
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, seq: int, event: RawEvent) -> None:
        """Takes in the event of row `seq`; a row that is known already changes nothing."""
        if seq in self._entries:
            return
        entry = entry_of(event)
        self._entries[seq] = entry
        self._unindexed[seq] = None
        self.bytes += entry.size
        index = self._groups.setdefault(entry.group, {}).setdefault(entry.session, _Index())
        index.rows += 1
        for path in entry.paths:
            index.paths.setdefault(path, {})[seq] = None
        self._shrink()

    def flushed(self, seqs: Iterable[int], at: float) -> None:
        """Notes that the graph has had these rows since `at`."""
        for seq in seqs:
            entry = self._entries.get(seq)
            if entry is not None and entry.flushed_at is None:
                entry.flushed_at = at
                heappush(self._flushed, (at, seq))

    def flushed_range(self, group: str, session: str, first: int, last: int, at: float) -> None:
        """The same for a batch: the session's rows from `first` to `last`."""
        rows: Collection[int] = range(first, last + 1)
        if len(rows) > len(self._entries):
            rows = [seq for seq in self._entries if first <= seq <= last]
        self.flushed(
            (
                seq
                for seq in rows
                if (entry := self._entries.get(seq)) is not None
                and entry.session == session
                and entry.group == group
            ),
            at,
        )

    def overdue(self, now: float) -> bool:
        """Whether there is something for `expire` to do."""
        return bool(self._flushed) and self._flushed[0][0] + self._ttl <= now

    def expire(self, now: float, budget: int = _EXPIRED) -> int:
        """Lets go what was flushed longer ago than the time to live; gives the number.

        Call it again while `overdue`: it looks at no more than `budget` events at once.
        """
        gone = 0
        while budget > 0 and self.overdue(now):
            budget -= 1
            _, seq = heappop(self._flushed)
            if seq in self._entries:
                self._remove(seq)
                gone += 1
        return gone

    def index(self, budget: int) -> int:
        """Indexes at most `budget` events, newest first; gives how many are left."""
        while self._unindexed and budget > 0:
            seq, _ = self._unindexed.popitem()
            self._index(seq, self._entries[seq])
            self._shrink()
            budget -= 1
        return len(self._unindexed)

    def search(  # noqa: PLR0913 - what a question is made of
        self,
        group: str,
        text: str,
        paths: Collection[str],
        limit: int,
        now: float,
        *,
        without: str = "",
        leave_out: Callable[[Hit], bool] | None = None,
    ) -> list[Hit]:
        """What the group's newest events say to `text`, best first, then newest first.

        An event answers if it shares a word that is rare here (any word, when the question has
        no rare one), or one of `paths`.

        Args:
            group: the project.
            text: the question.
            paths: paths in the question, in the project's spelling.
            limit: most hits.
            now: events from later than that are not given.
            without: a session that is not searched at all.
            leave_out: hits (yet without a score) that the asker does not want; they do not count
                towards the limit.
        """
        self.index(_AT_SEARCH)
        sessions = self._groups.get(group, {})
        asked = {name: index for name, index in sessions.items() if not without or name != without}
        if not asked or limit <= 0:
            return []
        scores = self._scored(asked, dict.fromkeys(terms(text, 4 * _ASKED)))
        for path in paths:
            of_path = sorted(seq for index in asked.values() for seq in index.paths.get(path, ()))
            for seq in of_path[-_PATH_EVENTS:]:
                scores[seq] = scores.get(seq, 0.0) + _PATH
        return self._told(scores, limit, now, leave_out)

    def _told(
        self,
        scores: dict[int, float],
        limit: int,
        now: float,
        leave_out: Callable[[Hit], bool] | None,
    ) -> list[Hit]:
        """The best that may be given; of a text told several times, one of each session."""
        entries = self._entries
        best = [(-score, -entries[seq].at, -seq) for seq, score in scores.items()]
        heapify(best)
        hits: list[Hit] = []
        sessions: dict[str, set[str]] = {}
        while best and len(hits) < limit:
            score, at, seq = heappop(best)
            entry = entries[-seq]
            seen = sessions.setdefault(entry.text, set())
            if -at > now or entry.session in seen or len(seen) == _ALIKE:
                continue
            hit = hit_of(entry)
            if leave_out is None or not leave_out(hit):
                seen.add(entry.session)
                hits.append(replace(hit, score=-score))
        return hits

    def _scored(self, asked: dict[str, _Index], words: Iterable[str]) -> dict[int, float]:
        """BM25 of the rows that share a rare word with the question, else of those that share any."""
        total = sum(index.count for index in asked.values())
        found = _rarest_first(asked, words)
        scores: dict[int, float] = {}
        if not found:
            return scores
        rare = max(_FEW, total // 2)
        if found[0][0] > rare:
            rare = total
        left = _VISITED
        for frequency, _, rows in found:
            weight = log(1 + (total - frequency + 0.5) / (frequency + 0.5)) + 0.05
            if frequency <= rare and (frequency <= left or not scores):
                # The rarest word finds something however common it is: its newest rows.
                worths = [item for each in rows.values() for item in each.items()]
                if frequency > left:
                    worths = sorted(worths, reverse=True)[:left]
                left -= len(worths)
                for seq, worth in worths:
                    scores[seq] = scores.get(seq, 0.0) + weight * worth
            elif len(scores) <= frequency:
                # A common word finds nothing by itself; it only orders what is found.
                for seq in scores:
                    if seq in rows.get(self._entries[seq].session, ()):
                        scores[seq] += weight
        return scores

    def _index(self, seq: int, entry: Entry) -> None:
        said = terms(f"{entry.text}\n{' '.join(entry.paths)}\n{entry.extra}", _WORDS)
        worths = _worths(said, len(said))
        # What a change consists of makes it findable; it does not make its name worth less.
        bulk = terms(entry.bulk, _WORDS - len(said))
        worths = _worths(bulk, len(said) + len(bulk)) | worths
        index = self._groups[entry.group][entry.session]
        for word, worth in worths.items():
            index.words.setdefault(word, {})[seq] = worth
        entry.words = tuple(worths)
        index.count += 1
        grown = _WORD * len(worths) - len(entry.extra) - len(entry.bulk)
        entry.extra = entry.bulk = ""
        entry.size += grown
        self.bytes += grown

    def _shrink(self) -> None:
        while len(self._entries) > self._most or self.bytes > self._most_bytes:
            self._remove(next(iter(self._entries)))
            self.evicted += 1

    def _remove(self, seq: int) -> None:
        entry = self._entries.pop(seq)
        self._unindexed.pop(seq, None)
        self.bytes -= entry.size
        index = self._groups[entry.group][entry.session]
        for path in entry.paths:
            _drop(index.paths, path, seq)
        if entry.words is not None:
            for word in entry.words:
                _drop(index.words, word, seq)
            index.count -= 1
        index.rows -= 1
        if not index.rows:
            del self._groups[entry.group][entry.session]
            if not self._groups[entry.group]:
                del self._groups[entry.group]


def _rarest_first(
    asked: dict[str, _Index], words: Iterable[str]
) -> list[tuple[int, str, dict[str, dict[int, float]]]]:
    """How many rows have each word, the word, and those rows by session; rarest words first."""
    found = []
    for word in words:
        rows = {
            session: index.words[word] for session, index in asked.items() if word in index.words
        }
        if rows:
            found.append((sum(map(len, rows.values())), word, rows))
    return sorted(found, key=lambda item: item[:2])[:_ASKED]


def _worths(found: list[str], length: int) -> dict[str, float]:
    """What each word is worth in a text of this length."""
    discount = _K1 * (1 - _B + _B * length / _USUAL)
    return {word: count * (_K1 + 1) / (count + discount) for word, count in Counter(found).items()}


def _drop[Row](index: dict[str, dict[int, Row]], key: str, seq: int) -> None:
    rows = index[key]
    rows.pop(seq, None)
    if not rows:
        del index[key]
