"""Shortens long tool output: its head, its tail, and how much is missing between. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memory_manager.model import Json

#: Most characters of an output that are kept; errors stand at the end, so it gets as much room.
LONGEST = 8192


def compact(text: str, longest: int = LONGEST) -> str:
    """`text`, or its head and tail (whole lines where lines are short) in `longest` characters."""
    if len(text) <= longest:
        return text
    half = (longest - 80) // 2
    head, tail = text[:half], text[-half:]
    head = head[: head.rfind("\n", half // 2) + 1] or head
    # A tail that is one broken line stays as it is.
    line = tail.find("\n", 0, half // 2) + 1
    tail = tail[line:]
    gone = text[len(head) : len(text) - len(tail)]
    lines = gone.count("\n")
    return f"{head}\n[… {len(gone)} characters, {lines} lines left out …]\n{tail}"


def counts(text: str) -> dict[str, Json]:
    """What is kept of a text that stands elsewhere: how long it is."""
    lines = text.count("\n") + (not text.endswith("\n") and text != "")
    return {"characters": len(text), "lines": lines}
