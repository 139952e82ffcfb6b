"""A measurement and its target, and the tables they are shown in. Pure."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Memory is flat when the last third's is at most so much above the first third's: a share, and MB.
_FLAT_SHARE, _FLAT_MB = 1.1, 8.0


@dataclass(frozen=True, slots=True)
class Figure:
    """Values of several rounds in one unit, against those of the least that the work can cost.

    `least` and `most` are targets for the median; None: it is only told.
    """

    what: str
    unit: str
    values: tuple[float, ...]
    base: tuple[float, ...] = ()
    base_name: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def median(self) -> float:
        """Of all rounds."""
        return median(self.values)

    @property
    def reached(self) -> bool:
        """Whether the median keeps its targets."""
        low = self.least is None or self.median >= self.least
        return low and (self.most is None or self.median <= self.most)

    @property
    def target(self) -> str:
        """In words."""
        if self.least is not None:
            return f"≥ {self.least:,.0f}"
        return "" if self.most is None else f"≤ {self.most:,.0f}"

    def plain(self) -> dict[str, object]:
        """For programs."""
        return {
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "lowest": min(self.values),
            "highest": max(self.values),
            "base": median(self.base) if self.base else None,
            "base_name": self.base_name,
            "target": self.target,
            "reached": self.reached,
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """Resident memory in MB of some processes by name, `at` seconds after the begin."""

    at: float
    done: int
    resident: dict[str, float]


@dataclass(frozen=True, slots=True)
class Drain:
    """Memory while a backlog of `events` was flushed."""

    what: str
    events: int
    seconds: float
    samples: tuple[Sample, ...]
    #: Processes whose memory has to stay flat; the others hold what was flushed.
    judged: tuple[str, ...]

    def thirds(self, name: str) -> tuple[float, float, float]:
        """Medians of the first and the last third of the samples, and the peak, in MB."""
        values = [each.resident[name] for each in self.samples if name in each.resident]
        third = max(1, len(values) // 3)
        return median(values[:third]), median(values[-third:]), max(values)

    def flat(self, name: str) -> bool:
        """Whether the last third has what the first had, but for a small share."""
        first, last, _ = self.thirds(name)
        return last <= first * _FLAT_SHARE + _FLAT_MB

    @property
    def reached(self) -> bool:
        """Whether all that has to stay flat did."""
        return all(self.flat(name) for name in self.judged)

    @property
    def names(self) -> list[str]:
        """Every process that was seen."""
        return list(dict.fromkeys(name for each in self.samples for name in each.resident))

    def plain(self) -> dict[str, object]:
        """For programs."""
        return {
            "what": self.what,
            "events": self.events,
            "seconds": self.seconds,
            "reached": self.reached,
            "memory": {name: self.thirds(name) for name in self.names},
            "samples": [[each.at, each.done, each.resident] for each in self.samples],
        }


def figures_table(title: str, figures: Sequence[Figure]) -> Table:
    """One line for each figure."""
    table = Table(title=f"{title}, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    for name in ("what", "unit", "median", "spread", "against", "its median", "target", ""):
        left = name in {"what", "unit", "against"}
        table.add_column(name, justify="left" if left else "right")
    for each in figures:
        table.add_row(
            each.what,
            each.unit,
            _short(each.median),
            f"{_short(min(each.values))} to {_short(max(each.values))}",
            each.base_name,
            _short(median(each.base)) if each.base else "",
            each.target,
            _mark(reached=each.reached) if each.target else "",
        )
    return table


def drains_table(drains: Sequence[Drain]) -> Table:
    """One line for each process of each drain."""
    table = Table(title="resident memory while a backlog drains, MB")
    for name in ("what", "events", "events/s", "process", "first third", "last third", "peak", ""):
        table.add_column(name, justify="left" if name in {"what", "process"} else "right")
    for drain in drains:
        for name in drain.names:
            judged = name in drain.judged
            table.add_row(
                drain.what,
                f"{drain.events:,}",
                _short(drain.events / drain.seconds),
                name,
                *(f"{value:.1f}" for value in drain.thirds(name)),
                _mark(reached=drain.flat(name)) if judged else "holds it",
            )
    return table


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _mark(*, reached: bool) -> str:
    return "[green]yes[/green]" if reached else "[red]no[/red]"
