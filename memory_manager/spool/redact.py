"""Takes private passages and secrets out of text before anything reaches the disk. Pure.

`<private>…</private>` disappears; a secret becomes `[REDACTED:rule]`. Matching runs in google-re2
(linear time) on UTF-8, one pass for each family of rules; `BUDGET` bounds what Python does
beside it, so that a megabyte of any shape stays within 50 ms. Redacting twice is redacting once.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from memory_manager.spool.finders import PASSES
from memory_manager.spool.matching import MARK, Candidate, compiled
from memory_manager.spool.patterns import HINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory_manager.model import Json

#: What may be looked at in one text, and what a finding costs of that (it takes longer than a
#: harmless place); beyond, the rest of the text is dropped.
BUDGET, _FINDING = 5000, 3
#: Private passages and their ends that are looked at.
_MOST_TAGS = 4000

_OVERFLOW = b"[REDACTED:overflow]"

_HINTS = compiled(HINTS)
_TAG = re.compile(
    rb"(?:<|&lt;|\\u003c)(/?)private(?:\s[^<>\n]{0,64})?(?:>|&gt;|\\u003e)", re.IGNORECASE
)


def redact(text: str) -> tuple[str, Counter[str]]:
    """`text` without private passages and secrets, and how often each rule found something."""
    rules: Counter[str] = Counter()
    data = text.encode("utf-8", "surrogatepass")
    if _HINTS.search(data) is None:
        return text, rules
    clean = _without_private(data, rules)
    left = BUDGET
    for applies, find in PASSES:
        if applies(clean):
            clean, left = _replaced(clean, find(clean), left, rules)
    if not rules:
        return text, rules
    return clean.decode("utf-8", "surrogatepass"), rules


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


# Private passages


def _without_private(data: bytes, rules: Counter[str]) -> bytes:
    # What is left may form a tag anew (`<pri<private></private>vate>`): look again, but not for
    # ever; whoever needs more than that loses the rest.
    for _ in range(3):
        shorter = _private_removed(data, rules)
        if len(shorter) == len(data):
            return data
        data = shorter
    opening = next((tag.start() for tag in _TAG.finditer(data) if not tag[1]), len(data))
    return data[:opening]


def _private_removed(data: bytes, rules: Counter[str]) -> bytes:
    pieces: list[bytes] = []
    depth = end = 0
    for number, tag in enumerate(_TAG.finditer(data)):
        if number == _MOST_TAGS:
            break
        if not tag[1]:
            if depth == 0:
                pieces.append(data[end : tag.start()])
                rules["private"] += 1
            depth += 1
        elif depth:
            depth -= 1
            end = tag.end()
    else:
        if depth == 0:
            pieces.append(data[end:])
    return b"".join(pieces)


# Structured values

_SENSITIVE = re.compile(
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secrets?|credentials?|authorization|cookies?|"
    r"(?:access|refresh|id|auth|session|bearer|api|csrf|xsrf|bot)?token|"
    r"(?:api|access|auth|private|client|signing|encryption|secretaccess|account|secret)key|"
    r"connectionstring)$"
)

#: Shorter names of fields are names.
_LONG_NAME = 16


def redact_value(value: Json) -> tuple[Json, Counter[str]]:
    """A JSON value with every string redacted and sensitive fields dropped by their names."""
    rules: Counter[str] = Counter()
    return _redact_value(value, rules), rules


def sensitive(name: str) -> bool:
    """Whether a field of this name holds a secret: `apiKey`, `db_password`, `X-Auth-Token`."""
    return _SENSITIVE.search(name.lower().replace("_", "").replace("-", "")) is not None


def _redact_value(value: Json, rules: Counter[str]) -> Json:
    match value:
        case str():
            clean, found = redact(value)
            rules.update(found)
            return clean
        case list():
            return [_redact_value(item, rules) for item in value]
        case dict():
            return _redact_fields(value, rules)
        case _:
            return value


def _redact_fields(fields: dict[str, Json], rules: Counter[str]) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    label = fields.get("name", fields.get("key"))
    for name, item in fields.items():
        # `{"name": "DB_PASSWORD", "value": …}` is how containers spell a variable.
        labelled = name == "value" and isinstance(label, str) and sensitive(label)
        if (labelled or sensitive(name)) and not _harmless(name, item):
            rules["field"] += 1
            continue
        if len(name) > _LONG_NAME:
            clean, found = redact(name)
            rules.update(found)
            kept[clean] = _redact_value(item, rules)
        else:
            kept[name] = _redact_value(item, rules)
    return kept


def _harmless(name: str, item: Json) -> bool:
    """Nothing, a yes or no, or a number of tokens."""
    if isinstance(item, int | float) and not isinstance(item, bool):
        return name.lower().endswith("token")
    return item is None or isinstance(item, bool) or not item
