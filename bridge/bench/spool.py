"""`./dev bench spool`: events in, events on, and what it costs to look at a million of them.

Rates against the least that the same rows can cost on this disk, in the same run. Targets are the
project's, not guarantees.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bridge.bench import backlog, streams
from bridge.bench.figures import Drain, Figure, drains_table, figures_table
from bridge.bench.measure import p99, timed
from bridge.bench.work import QUIET, flush
from bridge.sandbox import sandbox
from memory_manager import contract
from memory_manager.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.bench.streams import Flow
    from bridge.sandbox import Line, Sandbox

#: Events of one request, its clients, and those of single events.
_TOGETHER, _FEW, _MANY = 100, 2, 8


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. Events, but for `rounds`."""

    rounds: int = 5
    batched: int = 20_000
    single: int = 2000
    flushed: int = 5000
    spooled: int = 1_000_000
    real: int = 100_000
    fake: int = 1_000_000


FULL = Sizes()
QUICK = Sizes(3, 8000, 800, 2000, 100_000, 5000, 100_000)


@dataclass(slots=True)
class Results:
    """What was measured, and what could not be."""

    figures: list[Figure] = field(default_factory=list)
    drains: list[Drain] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def reached(self) -> bool:
        """Whether every target was."""
        figures = all(figure.reached for figure in self.figures)
        return figures and all(drain.reached for drain in self.drains)

    def json(self) -> str:
        """For programs."""
        return json.dumps(
            {
                "figures": [each.plain() for each in self.figures],
                "drains": [each.plain() for each in self.drains],
                "notes": self.notes,
            },
            indent=2,
        )


def run(*, as_json: bool, quick: bool) -> int:
    """Measure, print the tables (or JSON); 0 when every target was reached, else 1."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        results = measured(QUICK if quick else FULL, Steps(progress, console))
    if as_json:
        print(results.json())
    else:
        Console().print(figures_table("spool", results.figures))
        Console().print(drains_table(results.drains))
        for note in results.notes:
            Console().print(f"[yellow]{note}[/yellow]")
    return contract.DONE if results.reached else contract.FAILED


@dataclass(frozen=True, slots=True)
class Steps:
    """A bar for each step on a terminal, a line elsewhere."""

    progress: Progress
    console: Console

    @contextlib.contextmanager
    def step(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Call what it gives with how much is done."""
        task = self.progress.add_task(title, total=total)
        if self.progress.disable:
            self.console.print(f"[dim]measuring: {title} …[/dim]")
        yield lambda done: self.progress.update(task, completed=done)
        self.progress.update(task, completed=total)


def measured(sizes: Sizes, steps: Steps) -> Results:
    """Everything, one part after the other."""
    results = Results()
    moving(sizes, steps, results)
    looking(sizes, steps, results)
    draining(sizes, steps, results)
    return results


def moving(sizes: Sizes, steps: Steps, results: Results) -> None:
    """Events on into the graph; then events in, until a backlog stands."""
    with sandbox({**QUIET, "OPENCODE_MEM_PORT": "0"}) as box:
        box.start()
        box.until_live()
        flushed = _flushing(box, sizes, steps)
        _ingesting(box, sizes, steps, results)
    results.figures.append(flushed)


def _flushing(box: Sandbox, sizes: Sizes, steps: Steps) -> Figure:
    """Events a second into the graph, with entities, facts and vectors."""
    rates: list[float] = []
    with steps.step("events on, into the graph", sizes.rounds) as told:
        for number in range(sizes.rounds):
            lists = streams.batches(number * sizes.flushed, sizes.flushed, _TOGETHER)
            requests = [streams.socket_request(each) for each in lists]
            streams.flow([streams.socket_sender(box)], requests, _TOGETHER)
            rates.append(sizes.flushed / timed(lambda: flush(box)))
            told(number + 1)
    what = "flushed into FalkorDB with entities, facts, vectors"
    return Figure(what, "events/s", tuple(rates), least=300)


def _ingesting(box: Sandbox, sizes: Sizes, steps: Steps, results: Results) -> None:
    """Acknowledged events a second, many and single, by socket and by HTTP."""
    http = streams.http_of(box)
    if http is None:
        results.notes.append("the bridge does not listen for HTTP: only the socket was measured")
    many: dict[str, list[Flow]] = {"the socket": [], "HTTP": [], "bare": []}
    single: dict[str, list[Flow]] = {"the socket": [], "HTTP": [], "bare": []}
    waits: list[float] = []
    first = sizes.rounds * sizes.flushed
    with steps.step("events in", sizes.rounds) as told:
        for number in range(sizes.rounds):
            for count, size, clients, flows in (
                (sizes.batched, _TOGETHER, _FEW, many),
                (sizes.single, 1, _MANY, single),
            ):
                lists = streams.batches(first, count, size)
                flows["bare"].append(streams.bare(box.folder, lists))
                requests = [streams.socket_request(each) for each in lists]
                senders = [streams.socket_sender(box) for _ in range(clients)]
                with _pinged(box, waits if size > 1 else []):
                    flows["the socket"].append(streams.flow(senders, requests, size))
                first += count
                if http is not None:
                    lists = streams.batches(first, count, size)
                    requests = [streams.http_request(each) for each in lists]
                    sending = [streams.http_sender(*http) for _ in range(clients)]
                    flows["HTTP"].append(streams.flow(sending, requests, size))
                    first += count
            told(number + 1)
    results.figures += _rates(many, f"in lists of {_TOGETHER}, {_FEW} clients", 5000)
    results.figures += _rates(single, f"one by one, {_MANY} clients", 1000)
    waited = [time for flow in single["the socket"] for time in flow.times]
    results.figures += [
        _milliseconds("acknowledging one of those", waited),
        _milliseconds("a ping while lists come in", waits),
    ]


def _rates(flows: dict[str, list[Flow]], how: str, least: float) -> list[Figure]:
    bare = tuple(flow.rate for flow in flows["bare"])
    name = "the same rows, bare SQLite, synchronous=FULL"
    return [
        Figure(f"through {way}, {how}", "events/s", tuple(f.rate for f in found), bare, name, least)
        for way, found in flows.items()
        if found and way != "bare"
    ]


def _milliseconds(what: str, times: list[float]) -> Figure:
    """Median, from the quickest to the p99 (one stall of the disk is not the spread)."""
    ordered = sorted(times)
    kept = [value * 1000 for value in ordered if value <= p99(ordered)]
    return Figure(f"{what} (up to its p99)", "ms", tuple(kept))


@contextlib.contextmanager
def _pinged(box: Sandbox, waits: list[float]) -> Iterator[None]:
    """Ask for next to nothing all the while: what any other request would wait."""
    over = threading.Event()
    asking = threading.Thread(target=lambda: waits.extend(streams.pings(box.socket, over)))
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def looking(sizes: Sizes, steps: Steps, results: Results) -> None:
    """What an operator's question costs with very many events that wait."""
    with sandbox(QUIET) as box:
        with steps.step(f"a spool of {sizes.spooled:,}", sizes.spooled) as told:
            backlog.fill(box.folder / "data" / "spool.sqlite3", sizes.spooled, told)
        box.start()
        box.until_live()
        with steps.step("looks at it", 2), box.line() as line:
            _settled(line)
            for method in ("raw_events_status", "status"):
                results.figures += _looks(line, method, sizes)


def _looks(line: Line, method: str, sizes: Sizes) -> list[Figure]:
    times: list[float] = []
    try:
        times += [timed(lambda: line.call(method)) * 1000 for _ in range(sizes.rounds * 4)]
    except Unavailable as fault:
        if "no such method" in str(fault):
            return []
        raise
    what = f"{method} with {sizes.spooled:,} events that wait"
    return [Figure(what, "ms", tuple(times), most=100)]


def _settled(line: Line) -> None:
    """Wait until the bridge has looked through what it found at its start."""
    quick = 0
    until = time.monotonic() + 300
    while quick < 20 and time.monotonic() < until:
        quick = quick + 1 if timed(lambda: line.call("ping")) < 0.001 else 0
        time.sleep(0.02)


def draining(sizes: Sizes, steps: Steps, results: Results) -> None:
    """Memory while a backlog drains: into the real graph, and into one that forgets."""
    with sandbox(QUIET) as box:
        spool = box.folder / "data" / "spool.sqlite3"
        with steps.step(f"a backlog of {sizes.real:,}", sizes.real) as told:
            backlog.fill(spool, sizes.real, told)
        box.start()
        box.until_live()
        with box.line() as line:
            _settled(line)
        with steps.step("drains into FalkorDB", sizes.real) as told:
            results.drains.append(backlog.drain_real(box, sizes.real, told))
    with sandbox(QUIET) as box:
        spool = box.folder / "data" / "spool.sqlite3"
        with steps.step(f"a backlog of {sizes.fake:,}", sizes.fake) as told:
            backlog.fill(spool, sizes.fake, told)
        with steps.step("drains into the fake", sizes.fake) as told:
            results.drains.append(backlog.drain_fake(spool, sizes.fake, told))
