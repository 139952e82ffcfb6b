"""The crash suite on a terminal, or as JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bridge.crash import suite
from memory_manager import contract

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.crash.record import Kill, Record

#: Kills from one line to the next where there is no terminal.
_LINES = 10


def run(*, kills: int, seed: int, as_json: bool) -> int:
    """Strike, restart, compare; 0 when nothing was lost, doubled or changed, else 1."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(f"kills, seed {seed}", total=kills)

        def told(record: Record) -> None:
            last = record.kills[-1]
            if progress.disable and len(record.kills) % _LINES == 0:
                console.print(f"[dim]{len(record.kills)} kills, {record.seconds:.0f} s …[/dim]")
            progress.update(
                task,
                completed=len(record.kills),
                description=f"seed {seed}: {last.target}, {last.moment}",
            )

        record = suite.run(kills, seed, told)
    if as_json:
        print(json.dumps(plain(record), indent=2))
    else:
        show(record, Console())
    return contract.DONE if record.sound else contract.FAILED


def plain(record: Record) -> dict[str, object]:
    """For programs."""
    fields = asdict(record)
    found = fields.pop("found")
    return {**fields, **found, "sound": record.sound}


def show(record: Record, console: Console) -> None:
    """The tables, and what went wrong."""
    console.print(_table("target", "who was killed", ((k.target, k) for k in record.kills)))
    console.print(_table("moment", "when", ((k.moment, k) for k in record.kills)))
    found = record.found
    console.print(
        f"seed {record.seed}: {len(record.kills)} kills in {record.seconds:.0f} s; "
        f"{record.requests} requests acknowledged, {record.resent} sent again after a lost answer; "
        f"{record.events} events, {record.episodes} episodes, {record.facts} facts, "
        f"{record.given} contexts compared {record.compared} times: "
        f"[bold]{found.lost} lost, {found.doubled} doubled[/bold]"
    )
    for fault in found.faults:
        console.print(f"wrong: {fault}", style="red", markup=False)
    if found.faults:
        again = f"./dev crash --seed {record.seed} --kills {len(record.kills)}"
        console.print(f"to see it again: {again}", style="red")


def _table(name: str, title: str, kills: Iterable[tuple[str, Kill]]) -> Table:
    """Kills by one of their sides."""
    sides: defaultdict[str, list[Kill]] = defaultdict(list)
    for side, kill in kills:
        sides[side].append(kill)
    table = Table(title=title)
    for column in (
        name,
        "kills",
        "met",
        "answers again, s",
        "slowest",
        "whole again, s",
        "slowest",
    ):
        table.add_column(column, justify="left" if column == name else "right")
    for side, found in sorted(sides.items()):
        answers = [kill.answers_s for kill in found]
        live = [kill.live_s for kill in found]
        table.add_row(
            side,
            str(len(found)),
            str(sum(kill.met for kill in found)),
            *(f"{value:.2f}" for value in (median(answers), max(answers), median(live), max(live))),
        )
    return table
