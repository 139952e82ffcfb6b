"""`import opencode`: the history that OpenCode has already, session by session."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.asking import Bridge
from bridge.cli.options import EPILOG, AsJson
from bridge.cli.periods import moment
from bridge.cli.show import plain, print_json, say, table, working
from memory_manager.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_manager.model import Json

app = typer.Typer(
    help="Take in what happened before there was memory.", no_args_is_help=True, epilog=EPILOG
)

#: Seconds that one piece may take; a piece that the bridge has no room for is asked for again.
_PIECE_S, _TRIES, _AGAIN_S = 300.0, 20, 0.5
_NEXT = """\
opencode-mem flush     makes memory of it now (by itself it happens within minutes)
opencode-mem open      shows it"""


@dataclass(slots=True)
class _Project:
    """What came of one project."""

    group: str
    project: str
    sessions: int = 0
    messages: int = 0
    inserted: int = 0
    known: int = 0
    ignored: int = 0

    def add(self, answer: dict[str, Json]) -> None:
        """One piece more."""
        for name in ("messages", "inserted", "known", "ignored"):
            value = answer.get(name)
            setattr(self, name, getattr(self, name) + (value if isinstance(value, int) else 0))


@app.command("opencode", epilog=EPILOG)
def opencode(
    since: Annotated[
        str | None, typer.Option(help="Only sessions used since: 30d (ago), or 2026-11-01.")
    ] = None,
    project: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Only the project of this folder.")
    ] = None,
    database: Annotated[
        Path | None, typer.Option(metavar="FILE", help="OpenCode's database.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="From the beginning, as if never imported.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing, only count.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import the sessions that OpenCode has: read-only, each event once, and resumable.

    Stop it whenever you like: the same command goes on where it was.
    """
    from bridge.history.database import location

    path = (database or location(os.environ)).absolute()
    asked: dict[str, Json] = {"database": str(path)}
    if since is not None:
        asked["since"] = moment(since, time.time(), "--since")
    if project is not None:
        asked["directory"] = str(project.resolve())
    bridge = Bridge.from_environment()
    if database is not None and not path.is_file():
        raise InvalidRequest(f"--database: no file {path}")
    sessions = _listed(bridge, asked) if path.is_file() else []
    projects: dict[str, _Project] = {}
    stopped = False
    try:
        with working("importing sessions", len(sessions)) as tell:
            for number, session in enumerate(sessions, 1):
                _import(bridge, session, projects, str(path), again=again, dry_run=dry_run)
                tell(number, None)
    except KeyboardInterrupt:
        stopped = True
    if as_json:
        rows: list[Json] = [asdict(each) for each in projects.values()]
        print_json(
            {
                "database": str(path),
                "dry_run": dry_run,
                "stopped": stopped,
                "opted_out": _opted_out(sessions),
                "projects": rows,
            }
        )
    else:
        _show(projects.values(), path, _opted_out(sessions), dry_run=dry_run)
    if stopped:
        raise typer.Abort


def _listed(bridge: Bridge, asked: dict[str, Json]) -> list[dict[str, Json]]:
    sessions: list[dict[str, Json]] = []
    params = dict(asked)
    while True:
        page = bridge.asked("import_sessions", params, deadline=_PIECE_S)
        rows = page.get("sessions")
        sessions += [
            row for row in (rows if isinstance(rows, list) else []) if isinstance(row, dict)
        ]
        if page.get("next") is None:
            return sessions
        params["after"] = page["next"]


def _import(
    bridge: Bridge,
    session: dict[str, Json],
    projects: dict[str, _Project],
    database: str,
    *,
    again: bool,
    dry_run: bool,
) -> None:
    if session.get("opted_out"):
        return
    group = str(session.get("group"))
    known = projects.setdefault(group, _Project(group, str(session.get("project") or group)))
    known.sessions += 1
    params: dict[str, Json] = {"session": session.get("session"), "database": database}
    params |= {"dry_run": dry_run, "again": again}
    while True:
        answer = _piece(bridge, params)
        known.add(answer)
        if answer.get("done") is not False:
            return
        params["again"] = False


def _piece(bridge: Bridge, params: dict[str, Json]) -> dict[str, Json]:
    for _ in range(_TRIES - 1):
        try:
            return bridge.asked("import_session", params, deadline=_PIECE_S)
        except Unavailable:
            # The disk is behind, or OpenCode holds its database.
            time.sleep(_AGAIN_S)
    return bridge.asked("import_session", params, deadline=_PIECE_S)


def _opted_out(sessions: Iterable[dict[str, Json]]) -> int:
    return sum(1 for session in sessions if session.get("opted_out"))


def _show(projects: Iterable[_Project], path: Path, opted_out: int, *, dry_run: bool) -> None:
    found = sorted(projects, key=lambda each: -each.inserted)
    numbers = ("sessions", "messages", "new", "known")
    rows = [
        [
            plain(each.project, 40),
            *map(str, (each.sessions, each.messages, each.inserted, each.known)),
        ]
        for each in found
    ]
    if rows:
        table(["project", *numbers], rows, right=numbers)
    else:
        say(f"OpenCode has no history here to import ({plain(str(path), 200)})")
    if opted_out:
        say(f"{opted_out} sessions of projects that have opted out were left alone")
    new = sum(each.inserted for each in found)
    if dry_run and rows:
        say(f"{new} events would be imported; nothing was stored")
    elif new:
        say(f"{new} events were imported. What to type next:\n{_NEXT}")
    elif rows:
        say("nothing new: all of it is in memory")
