"""What the bridge and its flush worker say to each other, a JSON object a line. Pure.

The bridge owns the spool's state and names a batch; the worker reads its range itself, so nothing
heavy passes through the bridge's event loop.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import Literal

from memory_manager.errors import Corrupt, InvalidRequest, MemoryFault, Rejected, Unavailable

#: Longest line between the two, in bytes: a report names the paths that a batch touched.
LINE_LIMIT = 8 * 1024 * 1024

_KINDS: dict[str, type[MemoryFault]] = {
    "unavailable": Unavailable,
    "invalid": InvalidRequest,
    "rejected": Rejected,
    "corrupt": Corrupt,
}


type Work = Literal["flush", "summary"]


@dataclass(frozen=True, slots=True)
class Order:
    """Flush this batch, or write the summary alone of one that was flushed without.

    Its range stands in the spool.
    """

    id: int
    batch: int
    work: Work = "flush"


@dataclass(frozen=True, slots=True)
class Beat:
    """The worker is alive and busy with this order."""

    id: int


@dataclass(frozen=True, slots=True)
class Flushed:
    """The range is in the graph, or there was nothing in it worth keeping (`skipped`).

    `summary` is "" where a summary would say no more than the episodes do.
    """

    id: int
    episodes: int = 0
    entities: int = 0
    facts: int = 0
    paths: tuple[str, ...] = ()
    skipped: bool = False
    summary: str = ""
    tags: tuple[str, ...] = ()
    tags_version: int = 0


@dataclass(frozen=True, slots=True)
class Gone:
    """There is nothing to sum up: the range's events have been purged, all or some."""

    id: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The range is not in the graph, or not all of it; trying the same range again is harmless."""

    id: int
    kind: str
    reason: str

    def fault(self) -> MemoryFault:
        """The failure as one of the memory's errors."""
        return _KINDS.get(self.kind, Unavailable)(self.reason)


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has imported what it needs and waits for orders."""

    pid: int


type Report = Beat | Flushed | Failed | Gone | Ready


def failed(id_: int, fault: MemoryFault) -> Failed:
    """A failure, to send."""
    kind = next((name for name, type_ in _KINDS.items() if isinstance(fault, type_)), "")
    return Failed(id_, kind, str(fault))


def order_line(order: Order) -> bytes:
    """An order, to send."""
    return _line([order.id, order.batch, order.work])


def order_from(line: bytes) -> Order:
    """An order, received."""
    return Order(*json.loads(line))


def report_line(report: Report) -> bytes:
    """A report, to send."""
    match report:
        case Ready(pid):
            return _line(["ready", pid])
        case Beat(id_):
            return _line(["beat", id_])
        case Failed(id_, kind, reason):
            return _line(["failed", id_, kind, reason])
        case Gone(id_):
            return _line(["gone", id_])
        case Flushed():
            return _line(["flushed", *astuple(report)])


def report_from(line: bytes) -> Report:
    """A report, received.

    Raises:
        Unavailable: the line is none; the worker is not what it should be.
    """
    try:
        name, *fields = json.loads(line)
        match name:
            case "ready":
                return Ready(*fields)
            case "beat":
                return Beat(*fields)
            case "failed":
                return Failed(*fields)
            case "flushed":
                id_, episodes, entities, facts, paths, skipped, summary, tags, version = fields
                counts = (episodes, entities, facts, tuple(paths), skipped)
                return Flushed(id_, *counts, summary, tuple(tags), version)
            case "gone":
                return Gone(*fields)
            case _:
                fault = f"{name!r} is no report"
    except (ValueError, TypeError) as error:
        fault = str(error)
    raise Unavailable(f"the flush worker said something unintelligible: {fault}")


def _line(fields: list[object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"
