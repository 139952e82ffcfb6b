"""Large answers as JSON without keeping others waiting. Pure.

The encoder never lets go of the interpreter, so that a thread alone would not help: what is large is
encoded item by item, on a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from memory_manager.model import Json

#: Items that are encoded here and now, and characters of one text: a fraction of a millisecond.
_FEW, _SHORT = 100, 64 * 1024


def bulky(answer: Json) -> bool:
    """Whether to encode the answer takes long; a guess from its first level, at no cost."""
    parts = answer.values() if isinstance(answer, dict) else ()
    return _much(answer) or any(map(_much, parts))


def in_pieces(answer: Json, encode: Callable[[Json], str]) -> str:
    """What `encode` would make of it (without spaces between), made of one item after the other."""
    if isinstance(answer, list):
        return f"[{','.join([encode(item) for item in answer])}]"
    if isinstance(answer, dict):
        parts = [f"{encode(name)}:{_piece(value, encode)}" for name, value in answer.items()]
        return f"{{{','.join(parts)}}}"
    return encode(answer)


def _piece(value: Json, encode: Callable[[Json], str]) -> str:
    return in_pieces(value, encode) if _much(value) else encode(value)


def _much(value: Json) -> bool:
    if isinstance(value, str):
        return len(value) > _SHORT
    return isinstance(value, list | dict) and len(value) > _FEW
