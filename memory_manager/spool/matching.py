"""How text is searched for secrets: in google-re2, on UTF-8, one candidate after the other. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

type Candidate = tuple[int, int, str]

#: A secret that was replaced before.
MARK = re.compile(rb"\[REDACTED:[a-z0-9]+\]")


def compiled(pattern: str, *, groups: bool = False, bytewise: bool = False) -> Any:  # noqa: ANN401 - re2 has no types
    """`pattern` for bytes, in google-re2; without groups matching is cheaper.

    Bytewise, any byte is a character: what is no UTF-8 hides nothing.
    """
    options = re2.Options()
    if bytewise:
        options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = not groups
    options.log_errors = False
    options.max_mem = 32 * 1024 * 1024
    return re2.compile(pattern.encode("latin-1" if bytewise else "utf-8"), options)


def each(
    head: Any,  # noqa: ANN401 - as above
    data: bytes,
    judge: Callable[[bytes, int, int], Candidate | None],
) -> Iterator[Candidate]:
    """What `judge` says to every match of `head`; after a finding it goes on behind it."""
    resume = 0
    while resume >= 0:
        begin, resume = resume, -1
        for match in head.finditer(data, begin):
            start, stop = match.span()
            found = judge(data, start, stop)
            if found is None:
                yield start, stop, ""
                continue
            yield found
            if found[1] > stop:
                resume = found[1]
                break
