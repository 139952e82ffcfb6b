"""Takes private passages and secrets out of text before anything reaches the disk. Pure.

`<private>…</private>` disappears; a secret becomes `[REDACTED:rule]`. Matching runs in google-re2
(linear time) on UTF-8, one pass for each family of rules; `BUDGET` bounds what Python does
beside it, so that a megabyte of any shape stays within 50 ms. Redacting twice is redacting once.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from memory_manager.spool.finders import PASSES
from memory_manager.spool.matching import MARK, Candidate, compiled
from memory_manager.spool.patterns import HINTS
from memory_manager.spool.private import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory_manager.model import Json

#: What may be looked at in one event, and what a finding and a text cost of that (they take longer
#: than a harmless place); beyond, the rest is dropped.
BUDGET, _FINDING, _TEXT = 4500, 3, 8
#: Shorter texts hold no secret that any rule knows. Of short ones (names, folders, ids) most come
#: again and again: whether there can be anything in them is remembered.
_SHORTEST, _SHORT, _REMEMBERED = 6, 64, 2048

_OVERFLOW = b"[REDACTED:overflow]"


@dataclass(slots=True)
class Budget:
    """What is left of the work on one event."""

    left: int = BUDGET


_HINTS = compiled(HINTS)


def redact(text: str) -> tuple[str, Counter[str]]:
    """`text` without private passages and secrets, and how often each rule found something."""
    rules: Counter[str] = Counter()
    return redacted(text, rules), rules


def redacted(text: str, rules: Counter[str], budget: Budget | None = None) -> str:
    """The same; what was found is added to `rules`, and the texts of one event share a `budget`."""
    if not (_hinted_short(text) if len(text) <= _SHORT else _hinted(text)):
        return text
    budget = budget or Budget()
    if budget.left <= 0:
        rules["overflow"] += 1
        return _OVERFLOW.decode()
    budget.left -= _TEXT
    public, _, found = told(text)
    if found:
        rules["private"] += found
    before = rules.total()
    clean = public.encode("utf-8", "surrogatepass")
    for applies, find in PASSES:
        if applies(clean):
            clean, budget.left = _replaced(clean, find(clean), budget.left, rules)
    return public if rules.total() == before else clean.decode("utf-8", "surrogatepass")


def _hinted(text: str) -> bool:
    """Whether any rule can find anything."""
    if len(text) < _SHORTEST:
        return False
    return _HINTS.search(text.encode("utf-8", "surrogatepass")) is not None


_hinted_short = lru_cache(maxsize=_REMEMBERED)(_hinted)


def warm() -> None:
    """Compiles all rules and imports detect-secrets (about 0.3 s), so that no hook pays for it."""
    redact("aws --token=a </a>: eyJ @ :// cookie <private></private> PRIVATE KEY password")


def _replaced(
    data: bytes, candidates: Iterator[Candidate], left: int, rules: Counter[str]
) -> tuple[bytes, int]:
    pieces: list[bytes] = []
    end = 0
    for start, stop, rule in candidates:
        if left <= 0:
            if data.startswith(_OVERFLOW, stop):
                break  # what was cut before is not cut again
            rules["overflow"] += 1
            pieces += data[end:start], _OVERFLOW
            return b"".join(pieces), 0
        if not rule or start < end or MARK.fullmatch(data, start, stop):
            left -= 1
            continue
        left -= _FINDING
        rules[rule] += 1
        pieces += data[end:start], b"[REDACTED:%s]" % rule.encode()
        end = stop
    if end:
        pieces.append(data[end:])
        data = b"".join(pieces)
    return data, left


# Structured values

_SENSITIVE = re.compile(
    r"(?:pass(?:word|wd|phrase|code)s?|pwd|secrets?|secret(?:value|string|text)|credentials?|"
    r"authorization|cookies?|jwt|bearer|otp|totp(?:secret)?|"
    r"(?:access|refresh|id|auth|session|bearer|api|csrf|xsrf|bot)?token|"
    r"(?:access|refresh|id|auth|session|bearer|api|csrf|xsrf|bot)tokens|"
    r"(?:api|access|auth|private|client|signing|encryption|secretaccess|account|secret|ssh|deploy|"
    r"webhook|license|master|service|pgp|gpg|rsa|pem)keys?|connectionstring|^auth)$"
)
#: What separates the words of a name.
_SEPARATORS = str.maketrans("", "", "_-. :/\t")
#: A name that is nothing but a name: letters, digits and separators, and few of them.
_PLAIN_NAME = re.compile(r"[\w.-]{0,16}")
#: Longer strings in a list name nothing; of a label so much is looked at.
_LONGEST_NAME, _LONGEST_LABEL = 64, 256
#: A list of a name and its value.
_PAIR = 2


def sensitive(name: str) -> bool:
    """Whether a field of this name holds a secret: `apiKey`, `db_password`, `X-Auth-Token`."""
    return _SENSITIVE.search(name.lower().translate(_SEPARATORS)) is not None


_sensitive_name = lru_cache(maxsize=_REMEMBERED)(sensitive)


def redacted_value(value: Json, rules: Counter[str], budget: Budget) -> Json:
    """A JSON value with every string redacted and sensitive fields dropped; see `redacted`."""
    match value:
        case str():
            return redacted(value, rules, budget)
        case list():
            return _redact_items(value, rules, budget)
        case dict():
            return _redact_fields(value, rules, budget)
        case _:
            return value


def _redact_items(items: list[Json], rules: Counter[str], budget: Budget) -> list[Json]:
    """`["--password", "hunter2"]` and `["Authorization", "…"]` name what follows them."""
    kept: list[Json] = []
    named = False
    for item in items:
        if named and isinstance(item, str) and not item.startswith(("-", "[REDACTED:")):
            rules["field"] += 1
            kept.append("[REDACTED:field]")
            named = False
            continue
        kept.append(redacted_value(item, rules, budget))
        named = (
            isinstance(item, str)
            and len(item) <= _LONGEST_NAME
            and (item.startswith("-") or len(items) == _PAIR)
            and sensitive(item)
        )
    return kept


def _redact_fields(fields: dict[str, Json], rules: Counter[str], budget: Budget) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    label = fields.get("name", fields.get("key"))
    for name, item in fields.items():
        # `{"name": "DB_PASSWORD", "value": …}` is how containers spell a variable.
        labelled = name == "value" and isinstance(label, str) and sensitive(label[:_LONGEST_LABEL])
        telling = _sensitive_name(name) if len(name) <= _SHORT else sensitive(name)
        if (labelled or telling) and not _harmless(name, item):
            rules["field"] += 1
            continue
        if _PLAIN_NAME.fullmatch(name):
            kept[name] = redacted_value(item, rules, budget)
            continue
        kept[redacted(name, rules, budget)] = redacted_value(item, rules, budget)
    return kept


def _harmless(name: str, item: Json) -> bool:
    """Nothing, a yes or no, or a number of tokens."""
    if isinstance(item, int | float) and not isinstance(item, bool):
        return name.lower().endswith(("token", "tokens"))
    return item is None or isinstance(item, bool) or not item
