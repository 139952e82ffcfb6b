"""`raw-events-status`, `raw-events-retry`; with the report and the gate, which have files of their own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.asking import Bridge
from bridge.cli.gate import gate
from bridge.cli.options import AsJson
from bridge.cli.report import report
from bridge.cli.show import ago, coloured, plain, print_json, say, states, table
from memory_manager.errors import InvalidRequest

if TYPE_CHECKING:
    from memory_manager.model import Json

__all__ = ["gate", "report", "retry", "status"]


def status(
    session: Annotated[str | None, typer.Argument(help="Only this session.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Sessions at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """What is pending, how old it is, and the batches by state, for each session."""
    answer = Bridge.from_environment().asked(
        "raw_events_status", {"session": session, "limit": limit}
    )
    sessions = answer.get("sessions")
    if session and not sessions:
        raise InvalidRequest(f"session: no session {session[:80]!r} in the spool")
    if as_json:
        print_json(answer)
        return
    now = time.time()
    rows = [_row(each, now) for each in (sessions if isinstance(sessions, list) else [])]
    columns = [
        "session",
        "project",
        "pending",
        "oldest",
        "batches",
        "tries",
        "retry",
        "what is wrong",
    ]
    if rows:
        table(columns, rows, right=("pending", "oldest", "tries"))
    if more := answer.get("more"):
        say(f"… and {more} more sessions (--limit)")
    say(
        f"pending={answer.get('pending')} oldest={ago(answer.get('oldest_age_s'))} "
        f"batches={states(answer.get('batches'))}"
    )
    for name, well in (("degradation", "live"), ("disk", "ok")):
        if (word := answer.get(name)) not in {well, None}:
            say(f"{name}={coloured(plain(word, 200))}")


def _row(each: Json, now: float) -> list[str]:
    if not isinstance(each, dict):
        return ["-"] * 8
    retry_at = each.get("retry_at")
    return [
        plain(each.get("session"), 40),
        plain(each.get("project") or each.get("group"), 30),
        plain(each.get("pending")),
        ago(each.get("oldest_age_s")) if each.get("pending") else "-",
        states(each.get("batches")),
        plain(each.get("attempts") or None),
        "-" if not isinstance(retry_at, int | float) else f"in {ago(max(0.0, retry_at - now))}",
        plain(each.get("error"), 100),
    ]


def retry(
    session: Annotated[str | None, typer.Argument(help="Only this session.")] = None,
    named: Annotated[
        str | None, typer.Option("--session", metavar="SESSION", help="The same.")
    ] = None,
    only_error: Annotated[
        bool, typer.Option("--only-error", help="Batches in `error`, no others (the default).")
    ] = False,
    gave_up: Annotated[
        bool, typer.Option("--gave-up", help="Batches that were given up, too.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many, earliest first.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make failed batches due at once: the same ranges, all attempts before them again."""
    if session and named and session != named:
        raise InvalidRequest(f"--session: {named[:60]!r} is not {session[:60]!r}; name one session")
    if only_error and gave_up:
        raise InvalidRequest("--gave-up: contradicts --only-error; give one of them")
    answer = Bridge.from_environment().asked(
        "raw_events_retry",
        {
            "session": session or named,
            "only_error": only_error,
            "gave_up": gave_up,
            "limit": limit,
        },
    )
    if as_json:
        print_json(answer)
        return
    count = answer.get("retried")
    say("nothing to retry" if not count else f"{count} batches are due again")
