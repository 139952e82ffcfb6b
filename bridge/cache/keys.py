"""Names of everything we keep in Valkey. Pure.

    memory:{<group>}:answer:<digest>   one cached answer
    memory:{<group>}:stamps            one hash: the group's incarnation, sequence and path stamps

The braces make both land in one slot of a cluster, where one script may touch both.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Bytes of one path's field in the stamps hash. No reserved field has this length.
FIELD_BYTES = 16

_PLAIN_GROUP = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def entry_key(group: str, question: str, budget: int, ranking: int | str) -> str:
    """Where the answer to this question is kept; no two different askings share it.

    Args:
        group: the project's group id.
        question: exactly as it was asked; one changed character is another question.
        budget: tokens that the answer may take.
        ranking: version of the ranking that made the answer, so that a new one starts afresh.
    """
    digest = _digest((group, question, str(budget), str(ranking)), size=20)
    return f"memory:{{{_tag(group)}}}:answer:{digest.hex()}"


def stamps_key(group: str) -> str:
    """Where the group's incarnation, sequence and path stamps are kept."""
    return f"memory:{{{_tag(group)}}}:stamps"


def path_fields(paths: Iterable[str]) -> tuple[bytes, ...]:
    """Fields of these (normalised) paths in the stamps hash, each once, in a fixed order."""
    return tuple(sorted({_digest((path,), size=FIELD_BYTES) for path in paths}))


def _tag(group: str) -> str:
    """The group as it may stand between braces; `~` marks the digest of an unusual one."""
    if _PLAIN_GROUP.fullmatch(group):
        return group
    return f"~{_digest((group,), size=16).hex()}"


def _digest(parts: tuple[str, ...], *, size: int) -> bytes:
    # Each part is preceded by its length, so that moving a character over a boundary shows.
    # Lone surrogates come out of JSON and must neither fail nor meet in one replacement mark.
    digest = blake2b(digest_size=size)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()
