"""Timing two sides in turn, and the table of what came out."""

from __future__ import annotations

import gc
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. Times in milliseconds."""

    what: str
    ours: float
    p99: float
    base: float | None
    base_name: str
    target: str
    reached: bool

    @property
    def ratio(self) -> float | None:
        """How many times the base."""
        return None if self.base is None else self.ours / self.base


def alternate(
    rounds: int, ours: Callable[[], object], base: Callable[[], object]
) -> tuple[list[float], list[float]]:
    mine: list[float] = []
    theirs: list[float] = []
    gc.disable()
    try:
        for _ in range(rounds):
            mine.append(timed(ours))
            theirs.append(timed(base))
    finally:
        gc.enable()
    return mine, theirs


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def p99(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.99))]


def ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def table(rows: list[Row]) -> Table:
    table = Table(title=f"hooks, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    for name in ("what", "median", "p99", "against", "its median", "ratio", "target", ""):
        table.add_column(name, justify="left" if name in {"what", "against"} else "right")
    for row in rows:
        base = "" if row.base is None else f"{row.base:.3f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(
            row.what,
            f"{row.ours:.3f}",
            f"{row.p99:.3f}",
            row.base_name,
            base,
            ratio,
            row.target,
            "[green]yes[/green]" if row.reached else "[red]no[/red]",
        )
    return table
