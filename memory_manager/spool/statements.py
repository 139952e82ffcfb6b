"""The spool's SQL by name. Format of the files: `-- name:`, lines of purpose, the statements."""

from __future__ import annotations

import re
import sqlite3
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Tables and their steps; flushing; what an operator asks; what goes.
FILES = ("schema.sql", "spool.sql", "looks.sql", "retention.sql")

_PART = re.compile(r"^-- name: (\w+)\n-- .+\n", re.MULTILINE)


def statements() -> dict[str, str]:
    """Every part of the files by its name."""
    found: dict[str, str] = {}
    for file in FILES:
        text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
        _, *parts = _PART.split(text)
        found.update((name, sql.strip()) for name, sql in zip(parts[::2], parts[1::2], strict=True))
    return found


def each(script: str) -> Iterator[str]:
    """The statements of a part that has several, triggers whole."""
    lines: list[str] = []
    for line in script.splitlines():
        lines.append(line)
        if line.endswith(";") and sqlite3.complete_statement("\n".join(lines)):
            yield "\n".join(lines)
            lines.clear()


SQL = statements()
