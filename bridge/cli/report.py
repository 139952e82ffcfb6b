"""`raw-events-report`: backlog, flushes and tokens over a period, alone or beside the one before."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.asking import Bridge
from bridge.cli.options import AsJson
from bridge.cli.periods import moment
from bridge.cli.show import ago, bar, plain, print_json, say, table
from memory_manager.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from memory_manager.model import Json

_DAY = 86_400
#: What a chart may be written as.
FORMATS = (".svg", ".png", ".pdf")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report: its name, where it stands in the totals, how it is written."""

    name: str
    path: tuple[str, ...]
    shown: Callable[[float], str]


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def _rate(value: float) -> str:
    return f"{value:.2f}"


FIGURES = (
    Figure("events", ("appended",), _whole),
    Figure("batches completed", ("completed",), _whole),
    Figure("batches skipped", ("skipped",), _whole),
    Figure("batches in error", ("error",), _whole),
    Figure("batches given up", ("gave_up",), _whole),
    Figure("episodes", ("episodes",), _whole),
    Figure("flushes an hour", ("flushes_per_hour",), _rate),
    Figure("flush, median", ("flush_s", "median"), ago),
    Figure("flush, 95 %", ("flush_s", "p95"), ago),
    Figure("tokens", ("tokens", "total"), _whole),
    Figure("tokens in", ("tokens", "input"), _whole),
    Figure("tokens out", ("tokens", "output"), _whole),
    Figure("tokens from cache", ("tokens", "cache_read"), _whole),
    Figure("batches with tags", ("tagged",), _share),
    Figure("summaries", ("summaries", "count"), _whole),
    Figure("summary length, median", ("summaries", "median"), _whole),
)


def report(
    since: Annotated[str, typer.Option(help="From: 7d (ago), or a time.")] = "7d",
    until: Annotated[str, typer.Option(help="To: now, 1d (ago), or a time.")] = "now",
    buckets: Annotated[int, typer.Option(min=1, max=1000, help="Parts of the period.")] = 24,
    compare: Annotated[
        bool, typer.Option("--compare", help="Beside the period of the same length before it.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a chart: .svg, .png or .pdf.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Backlog over time, flushes, tokens, tags and summaries."""
    now = time.time()
    first, last = moment(since, now, "--since"), moment(until, now, "--until")
    if first >= last:
        raise InvalidRequest("--since: not before --until")
    if plot is not None and plot.suffix.lower() not in FORMATS:
        raise InvalidRequest(f"--plot: {plot.name[:60]!r} ends in none of {', '.join(FORMATS)}")
    draw = _drawer() if plot is not None else None
    bridge = Bridge.from_environment()
    found = _asked(bridge, first, last, buckets)
    before = _asked(bridge, first - (last - first), first, buckets) if compare else None
    if plot is not None and draw is not None:
        draw(found, before, plot)
    if as_json:
        print_json(found if before is None else {**found, "previous": before})
        return
    say(f"{_at(first, _DAY)} to {_at(last, _DAY)}")
    table(*_compared(found, before), right=("period", "before", "change"))
    say("")
    _table_of_buckets(found)
    if plot is not None:
        say(f"\nchart: {plot}")


def _asked(bridge: Bridge, since: float, until: float, buckets: int) -> dict[str, Json]:
    params: dict[str, Json] = {"since": since, "until": until, "buckets": buckets}
    return bridge.asked("raw_events_report", params)


def _drawer() -> Callable[[dict[str, Json], dict[str, Json] | None, Path], None]:
    # Before anything is asked: whoever lacks the library hears of it at once.
    from bridge.cli.chart import draw, needed

    needed()
    return draw


def _compared(
    found: dict[str, Json], before: dict[str, Json] | None
) -> tuple[list[str], list[list[str]]]:
    rows: list[list[str]] = []
    for figure in FIGURES:
        value = number(found.get("totals"), *figure.path)
        row = [figure.name, "-" if value is None else figure.shown(value)]
        if before is not None:
            earlier = number(before.get("totals"), *figure.path)
            row += ["-" if earlier is None else figure.shown(earlier), change(earlier, value)]
        rows.append(row)
    return ["", "period", *(["before", "change"] if before is not None else [])], rows


def change(earlier: float | None, later: float | None) -> str:
    """How much more or less, in per cent of the earlier figure."""
    if earlier is None or later is None:
        return "-"
    if earlier == later:
        return "="
    return f"{(later - earlier) / earlier:+.0%}" if earlier else "new"


def number(value: Json, *path: str) -> float | None:
    """The number at this place of an answer, None when there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _table_of_buckets(found: dict[str, Json]) -> None:
    buckets = found.get("buckets")
    rows = [
        each for each in (buckets if isinstance(buckets, list) else []) if isinstance(each, dict)
    ]
    length = number(found, "bucket_s") or _DAY
    most = max((number(each, "appended") or 0.0 for each in rows), default=0.0)
    columns = ["from", "events", "", "pending", "oldest", "flushed", "failed", "median", "tokens"]
    table(
        columns,
        [
            [
                _at(number(each, "at") or 0.0, length),
                _whole(number(each, "appended") or 0.0),
                bar(number(each, "appended") or 0.0, most),
                plain(each.get("pending")),
                ago(each.get("oldest_age_s")),
                _whole(sum(number(each, name) or 0.0 for name in ("completed", "skipped"))),
                _whole(sum(number(each, name) or 0.0 for name in ("error", "gave_up"))),
                ago(number(each, "flush_s", "median")),
                _whole(number(each, "tokens") or 0.0),
            ]
            for each in rows
        ],
        right=("events", "pending", "oldest", "flushed", "failed", "median", "tokens"),
    )


def _at(seconds: float, length: float) -> str:
    """A moment as precise as a part of `length` seconds needs it, in local time."""
    moment_ = datetime.fromtimestamp(seconds).astimezone()
    return moment_.strftime("%Y-%m-%d %H:%M:%S" if length < 60 else "%Y-%m-%d %H:%M")  # noqa: PLR2004 - a minute
