"""What people see: tables on a terminal, plain lines elsewhere, JSON for programs.

Names and texts come from outside: they pass `plain` and are never read as markup.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from memory_manager import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from memory_manager.model import Json

#: Colours of words that say how something is.
STYLES = {
    "live": "bold green", "no-cache": "bold yellow", "no-graph": "bold yellow",
    "spool-only": "bold red", "ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim",
    "ready": "green", "bypass": "yellow", "gave_up": "bold red", "error": "red",
}  # fmt: skip

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_KILO = 1024


def say(text: str) -> None:
    """One line on stdout; what the locale can't write is replaced."""
    typer.echo(text.encode("utf-8", "replace"))


def print_json(value: Json) -> None:
    """The answer as it came, in UTF-8; a lone surrogate stays an escape."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    typer.echo(text.encode("utf-8", "backslashreplace"))


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """Rows under their heads; `right` names the columns of numbers.

    On a terminal as wide as that is; elsewhere one unbroken line for each row.
    """
    console = Console(highlight=False)
    if console.is_terminal:
        drawn = Table(box=None, pad_edge=False, header_style="dim")
        for column in columns:
            drawn.add_column(column, justify="right" if column in right else "left")
        for row in rows:
            drawn.add_row(*(coloured(cell) for cell in row))
        console.print(drawn)
        return
    widths = [max(len(cell) for cell in cells) for cells in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, cell, width in zip(columns, row, widths, strict=True)
        ]
        say("  ".join(cells).rstrip())


def sections(parts: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
    """Names and values under headings."""
    console = Console(highlight=False, soft_wrap=True)
    width = max((len(name) for _, rows in parts for name, _ in rows), default=0)
    for number, (heading, rows) in enumerate(parts):
        if console.is_terminal:
            console.print(Text(f"\n{heading}" if number else heading, style="bold"))
            for name, value in rows:
                console.print(Text.assemble("  ", (name.ljust(width), "dim"), "  "), end="")
                console.print(coloured(value))
        else:
            for name, value in rows:
                say(f"{heading.lower()} {name}: {value}")


def coloured(word: str) -> Text:
    """The word in the colour of what it says, if it says how something is."""
    return Text(word, style=STYLES.get(word.partition(" ")[0].partition(":")[0], ""))


def plain(value: Json, most: int = 80) -> str:
    """Any value as one harmless line; "-" for none."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return contract.one_line(str(value), most) or "-"


def ago(seconds: Json) -> str:
    """A duration as a person says it."""
    if not isinstance(seconds, int | float):
        return "-"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if 0 < seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - two digits either way
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.1f} h"
    return f"{seconds / _DAY:.1f} d"


def size(count: Json) -> str:
    """Bytes as a person says it."""
    if not isinstance(count, int | float):
        return "-"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < _KILO or unit == "GiB":
            break
        amount /= _KILO
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def bar(value: float, most: float, width: int = 24) -> str:
    """A bar of `width` cells at most, in eighths of a cell."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(1, round(min(1.0, value / most) * width * 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def states(counts: Json) -> str:
    """Batches by state, as `error:2 completed:10`."""
    if not isinstance(counts, dict):
        return "-"
    return " ".join(f"{name}:{count}" for name, count in sorted(counts.items()) if count) or "-"


@contextmanager
def working(
    what: str, total: float | None = None
) -> Iterator[Callable[[float, float | None], None]]:
    """A bar on stderr while something takes long, on a terminal only.

    Gives a function that is told how much is done, and how much there is once that is known.
    """
    if not sys.stderr.isatty():
        yield _nothing
        return
    columns = (TextColumn(f"{what}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)

        def tell(done: float, whole: float | None = None) -> None:
            progress.update(task, completed=done, total=total if whole is None else whole)

        yield tell


def _nothing(_done: float, _whole: float | None = None) -> None:
    return
