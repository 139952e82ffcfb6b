"""`status`, `stats`, `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.asking import Bridge
from bridge.cli.options import AsJson
from bridge.cli.show import ago, plain, print_json, sections, size, states, table
from memory_manager import contract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memory_manager.model import Json

#: What `status` shows under which heading, in this order; the rest stands under "more".
_BRIDGE = ("degradation", "version", "pid", "socket", "url", "data", "disk", "clients")


def status(as_json: AsJson = False) -> None:
    """How the bridge is: degradation, spool, engines."""
    answer = Bridge.from_environment().asked("status", start=False)
    if as_json:
        print_json(answer)
        return
    sections(status_sections(answer))


def status_sections(answer: dict[str, Json]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Headings with names and values; nothing that the bridge said is left out."""
    left = dict(answer)
    bridge = _taken(left, _BRIDGE)
    parts = _taken(left, ("cache", "worker"))
    engines = left.pop("engines", None)
    if isinstance(engines, dict):
        parts += [(name, _engine(about)) for name, about in engines.items()]
    spool: list[tuple[str, str]] = []
    waiting = left.pop("spool", None)
    if isinstance(waiting, dict):
        for name, value in waiting.items():
            spool.append((name.removesuffix("_s").replace("_", " "), _spooled(name, value)))
    found = [("Bridge", bridge), ("Spool", spool), ("Parts", parts), ("More", _flat(left))]
    return [(heading, rows) for heading, rows in found if rows]


def _taken(left: dict[str, Json], names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, plain(left.pop(name), 200)) for name in names if name in left]


def _spooled(name: str, value: Json) -> str:
    if name == "batches":
        return states(value)
    return ago(value) if name.endswith("_s") else plain(value)


def stats(as_json: AsJson = False) -> None:
    """Sizes: events, episodes, entities and facts for each project, and the disk."""
    answer = Bridge.from_environment().asked("stats", deadline=120)
    if as_json:
        print_json(answer)
        return
    projects, disk = answer.get("projects"), answer.get("disk")
    counts = ("sessions", "events", "pending", "episodes", "entities", "facts")
    rows = [
        [
            plain(each.get("name") or each.get("group"), 40),
            *(plain(each.get(name)) for name in counts),
        ]
        for each in (projects if isinstance(projects, list) else [])
        if isinstance(each, dict)
    ]
    if rows:
        table(["project", *counts], rows, right=counts)
    if isinstance(disk, dict):
        sections([("Disk", [(name, size(value)) for name, value in disk.items()])])


def doctor(
    start: Annotated[bool, typer.Option("--start", help="Start the bridge if none runs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check that each part really works; every failure comes with its mend."""
    from bridge.cli.show import working
    from bridge.doctor import CHECKS, examine

    with working("checking", len(CHECKS)) as tell:
        findings = examine(lambda done: tell(done, None), start=start)
    broken = [finding for finding in findings if finding.verdict == "fail"]
    if as_json:
        rows: list[Json] = [finding.json() for finding in findings]
        print_json({"ok": not broken, "checks": rows})
    else:
        table(
            ["", "check", "seen"],
            [[str(each.verdict), each.name, plain(each.seen, 200)] for each in findings],
        )
        mends = [(each.name, each.mend) for each in findings if each.mend]
        if mends:
            typer.echo()
            sections([("To mend", mends)])
    if broken:
        raise typer.Exit(contract.FAILED)


def _engine(about: Json) -> str:
    if not isinstance(about, dict):
        return plain(about)
    return plain(f"{about.get('state')} (pid {about.get('pid')})")


def _flat(value: Json, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [row for key, inner in value.items() for row in _flat(inner, f"{prefix}{key} ")]
    return [(plain(prefix), plain(value, 200))]
