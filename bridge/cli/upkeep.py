"""`audit`, `reindex`, `tags backfill`: long work, asked for in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.asking import Bridge
from bridge.cli.options import EPILOG, AsJson, Project
from bridge.cli.show import plain, print_json, say, table, working
from memory_manager import contract

if TYPE_CHECKING:
    from memory_manager.model import Json

tags_app = typer.Typer(help="Tags of sessions.", no_args_is_help=True, epilog=EPILOG)

#: Seconds that one page may take.
_PAGE_S = 600.0
#: Missing episodes that are shown to a person; programs get all.
_SHOWN = 50


def audit(
    repair: Annotated[
        bool, typer.Option("--repair", help="Flush again what has episodes missing.")
    ] = False,
    project: Project = None,
    as_json: AsJson = False,
) -> None:
    """Compare the spool with the graph: events and summaries of completed batches have episodes.

    Exit status 1 when something is missing (and was not repaired).
    """
    bridge = Bridge.from_environment()
    sums = dict.fromkeys(
        ("checked_batches", "checked_events", "unverifiable", "repaired_batches"), 0
    )
    missing: list[Json] = []
    failed: list[Json] = []
    with working("auditing", _completed(bridge)) as tell:
        params: dict[str, Json] = {"group": project, "repair": repair}
        while True:
            page = bridge.asked("audit", params, deadline=_PAGE_S)
            for name in sums:
                sums[name] += _number(page, name)
            missing += _list(page, "missing")
            failed += _list(page, "failed")
            tell(sums["checked_batches"], None)
            if page.get("next") is None:
                break
            params["after"] = page["next"]
    if as_json:
        print_json({**sums, "missing": missing, "failed": failed})
    else:
        _show_audit(sums, missing, failed)
    if failed or (missing and not repair):
        raise typer.Exit(contract.FAILED)


def _completed(bridge: Bridge) -> int | None:
    """How many batches there are to compare, in every project."""
    batches = bridge.asked("raw_events_status", {"limit": 1}).get("batches")
    count = batches.get("completed") if isinstance(batches, dict) else None
    return count if isinstance(count, int) else None


def _show_audit(sums: dict[str, int], missing: list[Json], failed: list[Json]) -> None:
    rows = [
        [plain(each.get(name), 60) for name in ("group", "session", "batch", "event_id")]
        for each in missing[:_SHOWN]
        if isinstance(each, dict)
    ]
    if rows:
        table(["project", "session", "batch", "event"], rows, right=("batch",))
    if len(missing) > _SHOWN:
        say(f"… and {len(missing) - _SHOWN} more (--json shows all)")
    for why in failed:
        say(f"not repaired: {plain(why, 300)}")
    say(
        f"{sums['checked_events']} events of {sums['checked_batches']} completed batches: "
        f"{len(missing)} without their episode, {sums['unverifiable']} no longer in the spool"
    )
    if sums["repaired_batches"]:
        say(f"{sums['repaired_batches']} batches were flushed again")
    elif missing and not failed:
        say("opencode-mem audit --repair brings them back")


def reindex(project: Project = None, as_json: AsJson = False) -> None:
    """Build the graph's indices, search words and vectors anew."""
    bridge = Bridge.from_environment()
    sums = dict.fromkeys(("groups", "episodes", "entities", "facts"), 0)
    with working("reindexing") as tell:
        params: dict[str, Json] = {"group": project, "limit": 1}
        while True:
            page = bridge.asked("reindex", params, deadline=3600)
            for name in sums:
                sums[name] += _number(page, name)
            tell(sums["groups"], sums["groups"] + _number(page, "left"))
            if page.get("next") is None:
                break
            params["after"] = page["next"]
    if as_json:
        print_json({**sums})
    else:
        say(
            f"{sums['groups']} projects: {sums['episodes']} episodes, "
            f"{sums['entities']} entities, {sums['facts']} facts"
        )


@tags_app.command("backfill", epilog=EPILOG)
def backfill(
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many batches.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give the batches of earlier versions their summary and tags."""
    bridge = Bridge.from_environment()
    sums = dict.fromkeys(("done", "gone", "failed"), 0)
    left = 0
    with working("tagging") as tell:
        params: dict[str, Json] = {}
        while limit is None or sum(sums.values()) < limit:
            params["limit"] = 50 if limit is None else min(50, limit - sum(sums.values()))
            page = bridge.asked("tags_backfill", params, deadline=_PAGE_S)
            for name in sums:
                sums[name] += _number(page, name)
            left = _number(page, "left")
            tell(sum(sums.values()), sum(sums.values()) + left)
            if page.get("next") is None:
                break
            params["after"] = page["next"]
    if as_json:
        print_json({**sums, "left": left})
    else:
        say(
            f"{sums['done']} batches tagged, {sums['gone']} no longer in the spool, "
            f"{sums['failed']} failed, {left} left"
        )
    if sums["failed"]:
        raise typer.Exit(contract.FAILED)


def _number(page: dict[str, Json], name: str) -> int:
    value = page.get(name)
    return value if isinstance(value, int) else 0


def _list(page: dict[str, Json], name: str) -> list[Json]:
    value = page.get(name)
    return value if isinstance(value, list) else []
