"""`./dev bench opencode`: what memory costs a turn of the real OpenCode, and what a fault costs it.

Two OpenCodes, one with the plugin and one without, take the same turns in turn, on this machine and
at this hour, with a model that answers at once. Targets are the project's, not guarantees.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bridge.bench import homes
from bridge.bench.driving import OpenCode
from bridge.bench.measure import ms, p99
from bridge.bench.scripted import Model
from bridge.bench.work import QUIET
from bridge.sandbox import SCRIPT, sandbox
from memory_manager import contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox import Sandbox
    from memory_manager.model import Json

#: Of the repository; the plugin is no part of the Python package.
_PLUGIN = SCRIPT.parents[1] / "deploy" / "opencode-server" / "plugin" / "graphiti-memory.ts"
#: Turns that only warm up; turns of one chat; turns after each fault.
_WARM, _CHAT, _AFTER = 3, 20, 4
#: The targets, in ms.
_MEDIAN, _P99 = 20.0, 100.0


@dataclass(frozen=True, slots=True)
class Added:
    """With and without the plugin, in milliseconds of a turn."""

    what: str
    without: float
    without_p99: float
    ours: float
    ours_p99: float

    @property
    def reached(self) -> bool:
        """Whether what is added stays within the targets."""
        return self.ours - self.without <= _MEDIAN and self.ours_p99 - self.without_p99 <= _P99


@dataclass(frozen=True, slots=True)
class Fault:
    """Turns that were taken under a fault, and those of them that failed."""

    what: str
    turns: int
    failed: int


@dataclass(slots=True)
class _Side:
    opencode: OpenCode
    model: Model
    session: str = ""
    turns: int = 0
    failed: int = 0

    def turn(self) -> tuple[float, float]:
        """Seconds from the person's message to the model's first request, and to the end."""
        if self.turns % _CHAT == 0:
            self.session = self.opencode.session()
        self.turns += 1
        asked = len(self.model.chats(self.session))
        began = time.perf_counter()
        text = f"What does total_{self.turns % 50} in src/pay/total_{self.turns % 50}.py return?"
        mark = self.opencode.send(self.session, text)
        last = self.opencode.finished(self.session, mark)
        ended = self.opencode.at(self.opencode.heard("session.idle", self.session, mark))
        requests = self.model.chats(self.session)[asked:]
        if not requests or last.get("info", {}).get("error"):
            self.failed += 1
            return ended - began, ended - began
        return requests[0].arrived - began, ended - began


def run(*, as_json: bool, quick: bool) -> int:
    """Measure, print the tables (or JSON); 0 when every target was reached, else 1."""
    program, why = homes.find_opencode()
    if not program:
        print(f"opencode-mem: {why}", file=sys.stderr)
        return contract.UNAVAILABLE
    console = Console(stderr=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ogm-b-")))
        model = stack.enter_context(Model())
        box = stack.enter_context(sandbox(QUIET))
        box.start()
        box.until_live()
        console.print("[dim]starting OpenCode with and without the plugin …[/dim]")
        options: Json = {"python": sys.executable, "script": str(SCRIPT)}
        ours, base = (
            _Side(stack.enter_context(_opencode(program, folder / name, box, model, plugin)), model)
            for name, plugin in (("with", [str(_PLUGIN), options]), ("without", None))
        )
        _seed(box, ours.opencode.project)
        rounds = 20 if quick else 200
        console.print(f"[dim]measuring: {rounds} turns of each, alternating …[/dim]")
        rows = _compared(ours, base, rounds)
        console.print("[dim]measuring: turns under faults …[/dim]")
        faults = [_under(what, harm, box, ours) for what, harm in _FAULTS.items()]
    failed = ours.failed + base.failed
    if as_json:
        told = {"added": [asdict(row) | {"reached": row.reached} for row in rows]}
        print(json.dumps(told | {"faults": [asdict(each) for each in faults]}, indent=2))
    else:
        _show(rows, faults)
    return contract.DONE if not failed and all(row.reached for row in rows) else contract.FAILED


def _opencode(program: str, folder: Path, box: Sandbox, model: Model, plugin: Json) -> OpenCode:
    home, project = folder / "home", folder / "shop"
    home.mkdir(parents=True)
    homes.make_repository(project, folder.name)
    homes.configure(home, model.url, plugin)
    names = ("OPENCODE_MEM_", "PYTHONPATH")
    ours = {name: value for name, value in box.environment.items() if name.startswith(names)}
    return OpenCode(program, home, project, ours).start()


def _seed(box: Sandbox, project: Path) -> None:
    events: list[Json] = [
        {
            "event_id": f"seed-{number}",
            "session_id": f"seed-{number // 20}",
            "kind": "message",
            "content": f"total_{number % 50} in src/pay/total_{number % 50}.py returns {number}.",
        }
        for number in range(200)
    ]
    with box.line() as line:
        line.call("ingest", events=events, cwd=str(project))
        line.call("flush")


def _compared(ours: _Side, base: _Side, rounds: int) -> list[Added]:
    for _ in range(_WARM):
        ours.turn()
        base.turn()
    mine: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for number in range(rounds):
        # Neither side always goes first.
        for side, times in ((ours, mine), (base, theirs))[:: 1 if number % 2 else -1]:
            times.append(side.turn())
    return [
        _added(what, [times[place] for times in theirs], [times[place] for times in mine])
        for place, what in enumerate(("to the first request", "to the end"))
    ]


def _added(what: str, without: list[float], ours: list[float]) -> Added:
    return Added(what, ms(median(without)), ms(p99(without)), ms(median(ours)), ms(p99(ours)))


def _under(
    what: str, harm: Callable[[Sandbox], Callable[[], None]], box: Sandbox, side: _Side
) -> Fault:
    failed = side.failed
    mend = harm(box)
    try:
        for _ in range(_AFTER):
            side.turn()
    finally:
        mend()
    return Fault(what, _AFTER, side.failed - failed)


def _pid(box: Sandbox, part: str) -> int:
    with box.line() as line:
        status = line.call("status")
    if not isinstance(status, dict) or not isinstance(status["engines"], dict):
        raise TypeError("the bridge's status is none")
    about = status["engines"].get(part, status)
    pid = about["pid"] if isinstance(about, dict) else None
    if not isinstance(pid, int):
        raise TypeError(f"{part} has no process")
    return pid


def _killed(part: str) -> Callable[[Sandbox], Callable[[], None]]:
    def harm(box: Sandbox) -> Callable[[], None]:
        os.kill(_pid(box, part), signal.SIGKILL)

        def mend() -> None:
            box.start()
            box.until_live()

        return mend

    return harm


def _stopped(box: Sandbox) -> Callable[[], None]:
    pid = _pid(box, "bridge")
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


_FAULTS: dict[str, Callable[[Sandbox], Callable[[], None]]] = {
    "Valkey killed": _killed("valkey"),
    "FalkorDB killed": _killed("falkordb"),
    "the bridge killed": _killed("bridge"),
    "the bridge hanging": _stopped,
}


def _show(rows: list[Added], faults: list[Fault]) -> None:
    console = Console()
    table = Table(
        title=f"a turn of OpenCode in ms, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}",
        caption=f"targets: added ≤ {_MEDIAN:.0f} at the median, ≤ {_P99:.0f} at p99",
    )
    for name in ("what", "without", "p99", "with", "p99", "added", "at p99", ""):
        table.add_column(name, justify="left" if name == "what" else "right")
    for row in rows:
        table.add_row(
            row.what,
            *(f"{value:.1f}" for value in (row.without, row.without_p99, row.ours, row.ours_p99)),
            f"{row.ours - row.without:+.1f}",
            f"{row.ours_p99 - row.without_p99:+.1f}",
            "[green]yes[/green]" if row.reached else "[red]no[/red]",
        )
    console.print(table)
    table = Table(title="turns under faults")
    for name in ("fault", "turns", "failed"):
        table.add_column(name, justify="left" if name == "fault" else "right")
    for each in faults:
        colour = "red" if each.failed else "green"
        table.add_row(each.what, str(each.turns), f"[{colour}]{each.failed}[/{colour}]")
    console.print(table)
