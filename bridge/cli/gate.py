"""`raw-events-gate`: exit 1 when the spool is worse than it may be."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.asking import Bridge
from bridge.cli.options import AsJson
from bridge.cli.periods import duration
from bridge.cli.show import plain, print_json, table
from memory_manager import contract

if TYPE_CHECKING:
    from memory_manager.model import Json


@dataclass(frozen=True, slots=True)
class Threshold:
    """One figure and its limit; `least` says which way it may not go."""

    name: str
    value: float | None
    limit: float
    least: bool = False

    @property
    def broken(self) -> bool:
        """Whether it is beyond its limit. A figure that nothing has been measured for is not."""
        if self.value is None:
            return False
        return self.value < self.limit if self.least else self.value > self.limit


def success(report: Json) -> float | None:
    """The share of ended batches that ended well, of a report's totals.

    None when none ended, or when it is not known any more how many ended well.
    """
    totals = report.get("totals") if isinstance(report, dict) else None
    if not isinstance(totals, dict):
        return None
    if "completed" in totals and totals["completed"] is None:
        return None
    well = sum(_count(totals.get(name)) for name in ("completed", "skipped"))
    ill = sum(_count(totals.get(name)) for name in ("error", "gave_up"))
    return well / (well + ill) if well + ill else None


def gate(
    max_pending: Annotated[int, typer.Option(min=0, help="Events that may wait.")] = 10_000,
    max_oldest_age: Annotated[str, typer.Option(help="How long one may wait.")] = "1h",
    max_error_batches: Annotated[int, typer.Option(min=0, help="Batches in `error`.")] = 5,
    max_gave_up: Annotated[int, typer.Option(min=0, help="Batches that were given up.")] = 0,
    min_flush_success: Annotated[
        float, typer.Option(min=0, max=1, help="Share of batches that ended well.")
    ] = 0.95,
    since: Annotated[str, typer.Option(help="Over this long, for the share.")] = "24h",
    require_live: Annotated[
        bool, typer.Option("--require-live", help="The degradation word must be `live`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the spool with thresholds; exit status 1 names each that is broken."""
    bridge = Bridge.from_environment()
    oldest, window = duration(max_oldest_age, "--max-oldest-age"), duration(since, "--since")
    status = bridge.asked("raw_events_status", {"limit": 1})
    now = time.time()
    report = bridge.asked("raw_events_report", {"since": now - window, "until": now, "buckets": 1})
    batches = status.get("batches")
    states: dict[str, Json] = batches if isinstance(batches, dict) else {}
    found = [
        Threshold("pending", _count(status.get("pending")), max_pending),
        Threshold("oldest age (s)", _count(status.get("oldest_age_s")), oldest),
        Threshold("error batches", _count(states.get("error")), max_error_batches),
        Threshold("gave_up batches", _count(states.get("gave_up")), max_gave_up),
        Threshold("flush success", success(report), min_flush_success, least=True),
    ]
    found.append(Threshold("disk takes nothing", float(status.get("disk", "ok") != "ok"), 0))
    if require_live:
        found.append(Threshold("degraded", float(status.get("degradation") != "live"), 0))
    broken = [threshold for threshold in found if threshold.broken]
    if as_json:
        rows: list[Json] = [{**asdict(each), "broken": each.broken} for each in found]
        print_json({"ok": not broken, "thresholds": rows})
    else:
        table(
            ["", "figure", "is", "limit"],
            [
                [
                    "fail" if each.broken else "ok",
                    each.name,
                    plain(None if each.value is None else round(each.value, 3)),
                    f"{'≥' if each.least else '≤'} {each.limit:g}",
                ]
                for each in found
            ],
            right=("is",),
        )
    if broken:
        raise typer.Exit(contract.FAILED)


def _count(value: Json) -> float:
    return value if isinstance(value, int | float) else 0
