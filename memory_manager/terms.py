"""Words as a search sees them: code-aware, stemmed. Pure.

One tokeniser for everything that is searched, so that the graph's full text, the spool's tail and
a question always agree on what a word is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

import Stemmer

#: Runs of letters and digits with what joins code names and paths; CJK comes apart later.
_TOKEN = re.compile(r"[^\W_](?:[\w./\\:-]*[\w])?|_+[^\W_][\w]*", re.UNICODE)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+", re.UNICODE)
_WIDE = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
#: English function words; a question is not about them. Contractions arrive without apostrophe.
STOP_WORDS = frozenset((
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be",
    "because", "been", "before", "being", "but", "by", "can", "could", "did", "do", "does",
    "doing", "don", "done", "for", "from", "get", "had", "has", "have", "having", "he", "her",
    "here", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "let", "me",
    "more", "most", "my", "no", "nor", "not", "now", "of", "off", "on", "once", "only", "or",
    "other", "our", "out", "over", "own", "please", "she", "should", "so", "some", "such", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to",
    "too", "under", "up", "us", "very", "was", "we", "were", "what", "when", "where", "which",
    "while", "who", "whom", "why", "will", "with", "would", "you", "your",
))  # fmt: skip
_stem = lru_cache(maxsize=65536)(Stemmer.Stemmer("english").stemWord)

#: A token longer than this is data (a digest, base64), not a word.
_LONGEST = 64


def terms(text: str, limit: int = 4096) -> list[str]:
    """The searchable words of `text` in order, repeats included, at most `limit` of them.

    `src/app/fooBar.py` gives the whole (lower case) and its parts (src, app, foo, bar, py).
    Chinese, Japanese and Korean runs give single characters and pairs.
    """
    found: list[str] = []
    for match in _TOKEN.finditer(text):
        if len(found) >= limit:
            break
        token = match.group()
        found += _known(token) if len(token) <= _LONGEST else _words(token)
    return found[:limit]


def _words(token: str) -> tuple[str, ...]:
    lower = token.lower()
    if lower.isalpha() and token[1:] == lower[1:] and not _WIDE.search(lower):
        if lower not in STOP_WORDS and 1 < len(lower) <= _LONGEST:
            return (_stem(lower),)
        return ()
    found: list[str] = []
    _compound(token, lower, found)
    return tuple(found)


#: Code repeats its names: a change of 4 KB takes a quarter of the time.
_known = lru_cache(maxsize=16384)(_words)


def _compound(token: str, lower: str, found: list[str]) -> None:
    parts = _PART.findall(token)
    if (
        len(lower) <= _LONGEST
        and not _WIDE.search(lower)
        and (len(parts) != 1 or parts[0] != token)
    ):
        found.append(lower)
    for part in parts:
        wide = _WIDE.findall(part)
        if wide:
            found.extend(wide)
            found.extend(a + b for a, b in pairwise(wide))
            continue
        word = part.lower()
        if len(word) <= _LONGEST and word not in STOP_WORDS and (len(word) > 1 or word.isdigit()):
            found.append(_stem(word))
