"""From many kinds of evidence to one short, ordered list. Pure and deterministic: no clock.

Each channel's scores are brought to one scale before they are added (rank numbers alone would say
that the best of a bad lot is as good as the best of a good one), so that "nothing is relevant" can
be told from "something is".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from memory_manager.terms import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from memory_manager.model import Hit

#: Names this way of ranking in cache keys: change it whenever answers may change.
VERSION = "2"


class Channel(StrEnum):
    """Where a piece of evidence comes from, and what its number means."""

    #: Full text; any positive number, comparable within the channel and kind only.
    TEXT = "text"
    #: Cosine of the question and the text, from -1 to 1.
    VECTOR = "vector"
    #: One hop from an entity that the question names; from 0 to 1, how surely it names it.
    NEAR = "near"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hit that may answer, and why. Its `score` is ignored."""

    hit: Hit
    evidence: Mapping[Channel, float]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, ready to compare. `now` is the time that recency counts from (None: newest)."""

    words: tuple[str, ...]
    paths: frozenset[str] = frozenset()
    now: float | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """How the evidence adds up. The shares of text, vector and near say how much each can bring."""

    text: float = 0.55
    vector: float = 0.35
    near: float = 0.25
    #: Cosines of unrelated texts of the shipped model reach 0.30; of close ones 0.75.
    vector_from: float = 0.30
    vector_full: float = 0.75
    #: A long prompt is answered by a text with this many of its words.
    words_enough: float = 8.0
    #: What a hit loses with age, and the age in seconds at which it has lost half of that.
    recency: float = 0.10
    half_life: float = 14 * 86400.0
    #: Evidence below this is none.
    floor: float = 0.18
    #: What has less than this share of the best hit's score is noise beside it.
    beside: float = 0.25
    #: Share of common words from which two texts say the same.
    same: float = 0.85
    #: A summary of a batch says a bit of everything that the batch's own episodes say whole: with
    #: this share of its score it comes behind what it sums up, and before what is less relevant.
    summary: float = 0.6


DEFAULT = Weights()


@lru_cache(maxsize=64)
def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(terms(text, 512)))[:64]


def question(text: str, paths: Iterable[str] = (), now: float | None = None) -> Question:
    """The distinct words of `text`, at most 64, in order."""
    return Question(_words(text), frozenset(paths), now)


#: How surely a plain word ("run", "redis") that is also an entity's name is meant as one: alone
#: it does not reach the floor.
_PLAIN = 0.6


def naming(words: Iterable[str], name: str) -> float:
    """How surely a question with these words names an entity, from 0 to 1.

    1 for a name that can be nothing else (a path, `camelCase`), else the share of it that is said.
    """
    said = set(words)
    parts = list(dict.fromkeys(terms(name, 64)))
    if not parts:
        return 0.0
    if len(parts) > 1 and parts[0] == name.lower():
        return 1.0 if parts[0] in said else _PLAIN * _share(parts[1:], said)
    return _PLAIN * _share(parts, said) if len(parts) == 1 else _share(parts, said)


def _share(parts: Sequence[str], said: set[str]) -> float:
    return sum(1.0 for part in parts if part in said) / len(parts)


def rank(
    asked: Question, candidates: Sequence[Candidate], limit: int, weights: Weights = DEFAULT
) -> tuple[Hit, ...]:
    """The best `limit` hits, best first, or none when none is relevant.

    Candidates of one uuid are taken together. Ties go to the newer, then to the smaller uuid.
    """
    merged = _together(candidates)
    if not merged or limit <= 0:
        return ()
    best = _best_text(merged)
    newest = max(candidate.hit.at for candidate in merged)
    now = asked.now if asked.now is not None else newest
    scored = []
    for candidate in merged:
        shares = _shares(asked, candidate, best, weights)
        relevance = sum(shares)
        if relevance >= weights.floor:
            age = max(0.0, now - candidate.hit.at)
            fresh = 1.0 - weights.recency * (1.0 - 0.5 ** (age / weights.half_life))
            held = weights.summary if _is_summary(candidate.hit) else 1.0
            score = round(relevance * fresh * held, 6)
            scored.append(replace(candidate.hit, score=score, shares=shares))
    scored.sort(key=lambda hit: (-hit.score, -hit.at, hit.uuid))
    return _varied(_beside_the_best(scored, weights), limit, weights.same)


def _beside_the_best(hits: Sequence[Hit], weights: Weights) -> list[Hit]:
    """Of hits in order, those that are not noise beside the first."""
    least = hits[0].score * weights.beside if hits else 0.0
    return [hit for hit in hits if hit.score >= least]


@dataclass(slots=True)
class _Gathered:
    hit: Hit
    evidence: dict[Channel, float] = field(default_factory=dict)


def _together(candidates: Iterable[Candidate]) -> list[Candidate]:
    found: dict[str, _Gathered] = {}
    for candidate in candidates:
        gathered = found.setdefault(candidate.hit.uuid, _Gathered(candidate.hit))
        for channel, score in candidate.evidence.items():
            gathered.evidence[channel] = max(score, gathered.evidence.get(channel, score))
    return [Candidate(gathered.hit, gathered.evidence) for gathered in found.values()]


def _is_fact(hit: Hit) -> bool:
    return hit.kind == "fact"


def _is_summary(hit: Hit) -> bool:
    return hit.kind == "summary"


def _best_text(candidates: Iterable[Candidate]) -> dict[bool, float]:
    best: dict[bool, float] = {}
    for candidate in candidates:
        if _is_summary(candidate.hit):
            # It names everything: what says one thing whole is not measured by it.
            continue
        score = candidate.evidence.get(Channel.TEXT, 0.0)
        kind = _is_fact(candidate.hit)
        best[kind] = max(score, best.get(kind, 0.0))
    return best


def _shares(
    asked: Question, candidate: Candidate, best: Mapping[bool, float], weights: Weights
) -> tuple[float, float, float]:
    """What words, meaning and neighbourhood each bring: relevance is their sum."""
    evidence = candidate.evidence
    cover = coverage(asked.words, candidate.hit, weights.words_enough)
    said = evidence.get(Channel.TEXT, 0.0)
    top = best.get(_is_fact(candidate.hit), 0.0) or said
    share = min(1.0, said / top) if top > 0.0 else 0.0
    text = cover * (0.6 + 0.4 * share)
    span = weights.vector_full - weights.vector_from
    vector = min(1.0, max(0.0, (evidence.get(Channel.VECTOR, 0.0) - weights.vector_from) / span))
    near = evidence.get(Channel.NEAR, 0.0)
    if asked.paths and not asked.paths.isdisjoint(candidate.hit.paths):
        near = 1.0
    return weights.text * text, weights.vector * vector, weights.near * near


def coverage(words: Sequence[str], hit: Hit, enough: float) -> float:
    """The share of the question's words that the hit has, from 0 to 1.

    Words with a digit or a joiner (names, paths, numbers) count half as much again.
    """
    if not words:
        return 0.0
    text = f"{hit.text} {' '.join(hit.paths)}".lower()
    total = found = 0.0
    # What a name is made of comes after it in a question, and is there when the name is: the "21"
    # of a commit's digest begins no word.
    names: list[str] = []
    for word in words:
        plain = word.isalpha()
        weight = 1.0 if plain else 1.5
        total += weight
        if _has(text, word) or any(word in name for name in names):
            found += weight
            if not plain:
                names.append(word)
    return min(1.0, found / min(total, enough))


#: Words up to this long would be found inside others: they must begin where a word begins.
_SHORT = 4


def _has(text: str, word: str) -> bool:
    # A stem is the begin of its word, but for a last letter: "happi" stands for "happy".
    stem = word[:-1] if len(word) > _SHORT and word[-1] in "iy" else word
    if stem not in text:
        return False
    if len(stem) > _SHORT or not stem.isascii():
        return True
    return re.search(rf"(?<![a-z0-9]){re.escape(stem)}", text) is not None


def _varied(hits: Sequence[Hit], limit: int, same: float) -> tuple[Hit, ...]:
    """The first `limit` that do not say again what one before them says."""
    chosen: list[Hit] = []
    said: list[frozenset[str]] = []
    for hit in hits:
        words = frozenset(hit.text[:600].lower().split())
        if any(_alike(words, before) >= same for before in said):
            continue
        chosen.append(hit)
        said.append(words)
        if len(chosen) == limit:
            break
    return tuple(chosen)


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    if not one or not other:
        return float(one == other)
    if min(len(one), len(other)) * 2 < max(len(one), len(other)):
        return 0.0
    return len(one & other) / len(one | other)


def merge(
    asked: Question, ranked: Sequence[Hit], fresh: Sequence[Hit], weights: Weights = DEFAULT
) -> tuple[Hit, ...]:
    """The graph's ranked hits and the spool's newest ones as one list, best first.

    Args:
        asked: the question.
        ranked: what `rank` gave, perhaps a while ago.
        fresh: hits found by words alone; they are weighed here, on the same scale. Of an event
            that stands in both, the graph's hit stays.
        weights: as in `rank`.
    """
    known = {event for hit in ranked for event in hit.event_ids if hit.kind != "fact"}
    news = [
        Candidate(hit, {Channel.TEXT: hit.score})
        for hit in fresh
        if known.isdisjoint(hit.event_ids)
    ]
    if not news:
        return tuple(ranked)
    weighed = rank(asked, news, len(news), weights)
    together = sorted((*ranked, *weighed), key=lambda hit: (-hit.score, -hit.at, hit.uuid))
    return _varied(_beside_the_best(together, weights), len(together), weights.same)
