"""Decisions and preferences that people state in prompts and notes. Precise rather than complete.

Only sentences that say it outright count: an imperative at their beginning ("always …", "don't
…", "use X instead of Y"), "I prefer …", "we decided …", "remember …". Questions, quotations, code
and what holds only for the moment ("don't commit yet") do not.

A choice has a topic, the thing chosen. "Use X instead of Y" is two choices: for X, against Y;
the second closes an earlier "use Y", because it is about the same topic.
"""

# ruff: noqa: SIM905 - long lists of words read best as one string
from __future__ import annotations

import re
from dataclasses import dataclass

from memory_manager.terms import terms

_SCAN, _SHORTEST, _LONGEST, _MOST = 20_000, 6, 300, 12


@dataclass(frozen=True, slots=True)
class Choice:
    """One statement. `relation` is a name in the table; `topic` is "" for what is only noted."""

    relation: str
    thing: str
    topic: str
    sentence: str


_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?;\n]+(?:[.!?;](?=\S)[^.!?;\n]*)*[.!?;]*")
_BULLET = re.compile(r"(?:[-*+•>#]|\d{1,3}[.)])\s+")
_LEAD = re.compile(
    r"(?:ok(?:ay)?|so|and|but|also|please|pls|no|nope|yes|yeah|actually|well|btw|hey|again|just|"
    r"then|hmm|thanks|note|important|important to note)\b[,:!.\s-]*",
    re.IGNORECASE,
)
_SUBJECT = r"(?:(?:i|we|you|they|the team|the agent|agents)(?:'ve|'d| have| had)?\s+)?"
_FLAGS = re.IGNORECASE


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, _FLAGS)


_DECIDED = (
    _pattern(
        r"(?:i|we|the team|they)(?:'ve| have| had)?\s+(?:just |finally |all |both |now )?"
        r"(?:decided|agreed|chose|settled)\s+(?:that |to |on |for |upon )?(.+)"
    ),
    _pattern(r"(?:let's|lets|let us)\s+(?:go with|stick with|stick to|settle on)\s+(.+)"),
    _pattern(r"we(?:'re| are)\s+(?:going|sticking)\s+with\s+(.+)"),
    _pattern(r"(?:the )?(?:decision|convention|rule|agreed|decided)(?: is)?\s*:\s*(.+)"),
    _pattern(r"the (?:decision|convention|rule) is (?:that |to )?(.+)"),
)
_INSTEAD = _pattern(
    rf"{_SUBJECT}(?:should |must |always |will |now )*(?:use|choose|pick|take|go with)\s+"
    r"(.{1,80}?)(?:,?\s+(?:instead of|rather than|in place of|over|and not)|,\s*not)\s+(?:using )?(.{1,80})"
)
_SWITCHED = _pattern(
    rf"{_SUBJECT}(?:should |must )*(?:switch|switched|move|moved|migrate|migrated)\s+"
    r"from\s+(.{1,60}?)\s+to\s+(.{1,60})"
)
_PREFER = _pattern(
    r"(?:(?:i|we)(?:'d| would)?\s+(?:always |generally |usually |strongly |really )?)?prefer\s+"
    r"(?:to use |using |to )?(.{1,120}?)(?:\s+(?:over|instead of|rather than|to)\s+(.{1,80}))?$"
)
_ALWAYS = (
    _pattern(rf"{_SUBJECT}(?:should |must |need to |have to |want you to )?always\s+(.+)"),
    _pattern(r"from now on,?\s+(.+)"),
    _pattern(r"(?:don't|do not|dont|never)\s+forget\s+(?:to\s+|that\s+)?(.+)"),
)
_NEVER = (
    _pattern(rf"{_SUBJECT}(?:should |must )?never\s+(.+)"),
    _pattern(
        r"(?:you |we )?(?:should |must )?(?:don't|do not|dont|should not|must not|shouldn't)\s+(?:ever )?(.+)"
    ),
    _pattern(r"we\s+(?:no longer)\s+(.+)"),
    _pattern(r"(?:avoid|stop)\s+((?:\w+ing\b).*)"),
    _pattern(r"avoid\s+(.+)"),
)
_REMEMBER = _pattern(r"(?:remember|keep in mind)(?:,|:|\s+that\b|\s+this:?)?\s+(.+)")
#: A bare "use X": only a short name counts, not "use the existing helper".
_USE = _pattern(
    r"(?:we |you should |let's )?use\s+(?!the |a |an |this |that |it\b|my |your |our |these |those |same |existing |what|one |of |\\w+ to )(.{1,60})"
)

#: What the rest of the sentence says about when or why is no part of the thing.
_CLAUSE = _pattern(
    r"\s+(?:for|when|whenever|because|since|so|in|on|to|as|if|unless|everywhere|here|from now on|"
    r"please|and|but|where|while|within|across|with|instead|now|again)\b.*|[,:(].*|\s[-\u2013\u2014]{1,2}\s.*"
)
#: "Use X to find out": an instruction.
_TO_DO = _pattern(r"\sto\s")
_MOMENTARY = _pattern(
    r"\b(?:yet|for now|right now|this time|just now|at the moment|anymore\?|today|tomorrow)\b"
)
_IDLE = _pattern(
    r"(?:worry|know|think|mind|bother|understand|see|get it|like|want|care|believe|need|have|feel|"
    r"get|really|even|seem|remember|recall|exist|work|do (?:that|this|it|anything)|touch (?:it|that)|"
    r"you|we|i|they|let me|expect|agree|look|go (?:there|that)|be)\b"
)
#: "Don't set it", "do not stash anything, …": about what is being done, not a rule.
_ONCE = _pattern(
    r"^\w+ (?:it|this|that|them|there|these|those)\b|\b(?:anything|everything|let me know|just)\b"
)
#: "Let's go with option 1": says nothing without what it answers.
_POINTING = _pattern(
    r"(?:the )?(?:option|approach|plan|number|choice|variant|first|second|third|last|latter|former|your|that|this|it|both)\b"
)
_USING = _pattern(r"(?:to\s+)?(?:use|using|used)\s+")
_ARTICLE = _pattern(r"(?:the|a|an|our|my|your)\s+")
_PRONOUN = frozenset("it this that them these those so one things stuff".split())


def choices(text: str) -> tuple[Choice, ...]:
    """What `text` decides, prefers, rejects or asks to remember, at most one for each topic."""
    found: dict[tuple[str, str], Choice] = {}
    for sentence in _sentences(text[:_SCAN]):
        for choice in _read(sentence):
            # The last word on a topic counts.
            key = ("", choice.topic) if choice.topic else (choice.relation, choice.thing)
            found.pop(key, None)
            found[key] = choice
        if len(found) >= _MOST:
            break
    return tuple(found.values())[:_MOST]


def _sentences(text: str) -> list[str]:
    bare = _FENCE.sub("\n", text).replace("\u2019", "'")
    found: list[str] = []
    for line in bare.split("\n"):
        if not _SHORTEST <= len(line) <= _LONGEST * 10 or line.startswith(
            (">", "    ", "\t", "$ ", "|", "+", "@@")
        ):
            continue
        for match in _SENTENCE.finditer(line):
            sentence = _BULLET.sub("", match.group().strip(), count=1).strip(' *_"')
            if sentence.endswith("?") or not _SHORTEST <= len(sentence) <= _LONGEST:
                continue
            found.append(sentence.rstrip(".!; "))
    return found[:400]


def _read(sentence: str) -> list[Choice]:
    bare = sentence
    for _ in range(4):
        shorter = _LEAD.sub("", bare, count=1) if _LEAD.match(bare) else bare
        if shorter == bare:
            break
        bare = shorter
    if not bare or _MOMENTARY.search(bare):
        return []
    for pattern in _DECIDED:
        match = pattern.match(bare)
        if match:
            said = match.group(1)
            return [] if _POINTING.match(said) else _stated("DECIDED", said, sentence)
    match = _REMEMBER.match(bare)
    if match:
        said = match.group(1)
        rule = said.startswith("to ") or bool(_ALWAYS[0].match(said) or _NEVER[0].match(said))
        if rule or _INSTEAD.match(said):
            return _read(said.removeprefix("to ")) or _stated("PREFERS", said, sentence)
        return [Choice("NOTED", said, "", sentence)] if len(said.split()) > 2 else []  # noqa: PLR2004
    match = _PREFER.match(bare)
    if match:
        return _pair("PREFERS", match.group(1), match.group(2) or "", sentence)
    return _rule(bare, sentence)


def _rule(bare: str, sentence: str) -> list[Choice]:
    """Rules and choices in the imperative."""
    match = _SWITCHED.match(bare)
    if match:
        return _pair("PREFERS", match.group(2), match.group(1), sentence)
    for pattern in _ALWAYS:
        match = pattern.match(bare)
        if match:
            said = match.group(1)
            return _rule(said, sentence) or _stated("PREFERS", said, sentence)
    for pattern in _NEVER:
        match = pattern.match(bare)
        if match:
            said = match.group(1)
            return (
                [] if _IDLE.match(said) or _ONCE.search(said) else _stated("AVOIDS", said, sentence)
            )
    match = _INSTEAD.match(bare)
    if match:
        return _pair("PREFERS", match.group(1), match.group(2), sentence)
    match = _USE.match(bare)
    if match and not _TO_DO.search(match.group(1)) and len(_thing(match.group(1)).split()) <= 3:  # noqa: PLR2004
        return _pair("PREFERS", match.group(1), "", sentence)
    return []


def _stated(relation: str, said: str, sentence: str) -> list[Choice]:
    """A choice in free words; one that says "use X (instead of Y)" is about X (and Y)."""
    match = _INSTEAD.match(said)
    if match:
        return _pair(relation, match.group(1), match.group(2), sentence)
    using = _USING.match(said)
    if using:
        return _pair(relation, said[using.end() :], "", sentence)
    topic = _topic(said)
    return [Choice(relation, said, topic, sentence)] if topic else []


def _pair(relation: str, chosen: str, rejected: str, sentence: str) -> list[Choice]:
    found: list[Choice] = []
    thing, other = _thing(chosen), _thing(rejected)
    topic, against = _topic(thing), _topic(other)
    if topic and topic != against:
        found.append(Choice(relation, thing, topic, sentence))
        if against:
            found.append(Choice("AVOIDS", other, against, sentence))
    return found


def _thing(words: str) -> str:
    """The thing itself: `pnpm` of "the pnpm for installs"."""
    words = _USING.sub("", words.strip(" `'\"*"), count=1)
    words = _CLAUSE.sub("", _ARTICLE.sub("", words, count=1), count=1)
    return words.strip(" `'\"*.,")


def _topic(thing: str) -> str:
    if thing.lower() in _PRONOUN:
        return ""
    return " ".join(terms(thing, 24))
