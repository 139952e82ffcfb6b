"""The report as a chart in a file. The only module that imports matplotlib, which is optional."""

from __future__ import annotations

from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bridge.cli.report import number
from memory_manager.errors import Rejected

if TYPE_CHECKING:
    from pathlib import Path

    from memory_manager.model import Json

#: Colours that are told apart with any eyes, on paper too (Okabe and Ito's).
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"


def needed() -> None:
    """Refuse in one line when the library is not there.

    Raises:
        Rejected: it is not.
    """
    if find_spec("matplotlib") is None:
        raise Rejected(
            "--plot: needs matplotlib; run ./dev setup plot "
            "(or: pip install 'opencode-graph-memory[plot]')"
        )


def draw(report: dict[str, Json], before: dict[str, Json] | None, path: Path) -> None:
    """Write the chart; the ending of `path` says as what.

    Raises:
        Rejected: the file can't be written.
    """
    from matplotlib.figure import Figure

    rows, width = _rows(report), (number(report, "bucket_s") or 1.0) / 86_400
    times = [_time(number(row, "at")) for row in rows]
    figure = Figure(figsize=(10, 9), layout="constrained")
    events, backlog, batches, tokens = figure.subplots(4, 1, sharex=True)
    events.bar(times, _all(rows, "appended"), width, color=_BLUE, align="edge", label="events")
    if before is not None:
        shifted = _all(_rows(before), "appended")
        events.step(times, shifted[: len(times)], where="post", color=_GREY, label="before")
    events.set_ylabel("events")
    seen = [row for row in rows if number(row, "pending") is not None]
    at = [_time(number(row, "at")) for row in seen]
    backlog.plot(at, _all(seen, "pending"), color=_ORANGE, marker=".", label="pending, most")
    backlog.set_ylabel("events that wait")
    below = [0.0] * len(rows)
    for state, colour in (
        ("completed", _GREEN),
        ("skipped", _GREY),
        ("error", _ORANGE),
        ("gave_up", _RED),
    ):
        counts = _all(rows, state)
        batches.bar(times, counts, width, below, color=colour, align="edge", label=state)
        below = [one + other for one, other in zip(below, counts, strict=True)]
    batches.set_ylabel("batches")
    tokens.bar(times, _all(rows, "tokens"), width, color=_BLUE, align="edge", label="tokens")
    tokens.set_ylabel("tokens")
    for part in (events, backlog, batches, tokens):
        part.set_ylim(bottom=0)
        part.grid(visible=True, axis="y", alpha=0.3)
        part.spines[["top", "right"]].set_visible(False)
        part.legend(loc="upper left", frameon=False, fontsize="small")
    figure.autofmt_xdate()
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise Rejected(f"--plot: {path} can't be written: {error.strerror}") from error


def _rows(report: dict[str, Json]) -> list[dict[str, Json]]:
    buckets = report.get("buckets")
    found = buckets if isinstance(buckets, list) else []
    return [row for row in found if isinstance(row, dict)]


def _all(rows: list[dict[str, Json]], name: str) -> list[float]:
    return [number(row, name) or 0.0 for row in rows]


def _time(seconds: float | None) -> datetime:
    return datetime.fromtimestamp(seconds or 0.0).astimezone()
