"""Values as Cypher literals, and words as full-text queries. Pure.

Only parameters are ever made of data; the text of a statement never is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from memory_manager.terms import terms

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

type Value = bool | int | float | str | Raw | list[Value] | dict[str, Value] | None

#: FalkorDB's integers have 64 bits; it clamps larger ones without a word.
_LEAST, _MOST = -(2**63), 2**63 - 1
#: Distinct words of a full-text query. Each costs a look-up, and past 64 nothing gets better.
_WORDS = 64
#: A short word, in letters, and how many longer ones make it dispensable.
_SHORT, _ENOUGH = 3, 2
_OTHER = re.compile(r"[^0-9a-z]")


class Raw(str):
    """A literal that is ready already."""

    __slots__ = ()


def vector(row: npt.NDArray[np.float32]) -> Raw:
    """A vector as a list of numbers with five digits: half the time of Python's own spelling."""
    return Raw("[" + (",".join(["%.5g"] * len(row)) % tuple(row.tolist())) + "]")


def literal(value: Value) -> str:  # noqa: PLR0911 - one for each kind of value
    """The value as FalkorDB's parser reads it.

    NUL is dropped (the parser ends there), a lone surrogate becomes a question mark, a number that
    is not finite becomes null.
    """
    match value:
        case Raw():
            return value
        case str():
            return _quoted(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(min(max(value, _LEAST), _MOST))
        case float():
            return repr(value) if math.isfinite(value) else "null"
        case Mapping():
            return "{" + ",".join(f"`{name}`:{literal(each)}" for name, each in value.items()) + "}"
        case _:
            return "[" + ",".join(map(literal, value)) + "]"


def _quoted(text: str) -> str:
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    text = text.replace("\x00", "").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def with_parameters(statement: str, parameters: Mapping[str, Value]) -> str:
    """The statement under a header of parameters; the engine caches its plan by the rest."""
    if not parameters:
        return statement
    header = " ".join(f"{name}={literal(value)}" for name, value in parameters.items())
    return f"CYPHER {header} {statement}"


def indexed(text: str) -> str:
    """The searchable words of a text as the full-text index gets them."""
    return " ".join(map(_token, terms(text)))


def asking(words: Iterable[str]) -> str:
    """A full-text query for any of these words; empty for none.

    It is made of `0-9a-z_` and `|` alone, so nothing in it can be syntax. Beside longer words the
    shortest (`src`, `py`, `app`) are left out: they are in most texts, and a query costs in
    proportion to what it matches.
    """
    distinct = list(dict.fromkeys(words))
    long = [word for word in distinct if len(word) > _SHORT or not word.isascii()]
    chosen = long if len(long) >= _ENOUGH else distinct
    return "|".join(_token(word) for word in chosen[:_WORDS])


def requiring(words: Iterable[str]) -> str:
    """A full-text query for all of these words in what `indexed` made; as plain as `asking`."""
    return f"@terms:({' '.join(map(_token, words))})"


def containing(words: Iterable[str]) -> list[Value]:
    """What ` terms ` of a text contains when it has all of these words."""
    return [f" {_token(word)} " for word in words]


def _token(word: str) -> str:
    """A word as one token of the index: what the engine would split at is spelled in hex."""
    return _OTHER.sub(lambda match: f"_{ord(match.group()):x}_", word)
