"""When to strike: each moment of the work is waited for from outside, in the spool's file and the graph.

Nothing in the product knows of it. Between seeing a moment and the signal lie one or two
milliseconds, and a random delay spreads the strikes over what follows.
"""

from __future__ import annotations

import re
import socket
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bridge.crash import spool_file

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from bridge.crash.clients import Clients

#: Seconds between looks, and how long a moment is waited for; then the strike comes without it.
_LOOK_S, _PATIENCE_S = 0.0003, 15.0
_COUNT = re.compile(rb"^:(\d+)\r$", re.MULTILINE)


class Moment(StrEnum):
    """What is under way when the signal comes."""

    #: A client waits for an answer.
    APPEND = "append"
    #: A batch was claimed a moment ago.
    CLAIM = "claim"
    #: A batch is being written: the graph has more nodes than at its claim.
    WRITE = "write"
    #: A batch was completed a moment ago: the cursor moved, nobody was told yet.
    COMPLETE = "complete"
    #: Any time.
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Watch:
    """Waits for moments of one bridge."""

    spool: Path
    graph: Path
    clients: Clients
    chance: random.Random

    def until(self, moment: Moment) -> bool:
        """Return when it has come, or with False when it did not in time."""
        match moment:
            case Moment.APPEND:
                left = self.chance.uniform(0.1, 0.9) * self.clients.waiting
                came = _until(lambda: self.clients.waiting <= left and self.clients.under_way)
                time.sleep(self.chance.uniform(0, 0.004))
            case Moment.RANDOM:
                came = True
                time.sleep(self.chance.uniform(0, 0.8))
            case _:
                came = self._flushing(moment)
                time.sleep(self.chance.choice((0.0, self.chance.uniform(0, 0.03))))
        return bool(came)

    def _flushing(self, moment: Moment) -> bool:
        with spool_file.reading(self.spool) as db:
            before = _running(db)
            claimed = _until(lambda: _running(db).keys() - before.keys())
            if not claimed or moment is Moment.CLAIM:
                return bool(claimed)
            claim = max(claimed)
            if moment is Moment.COMPLETE:
                return bool(_until(lambda: claim not in _running(db)))
            group = _running(db).get(claim, "")
            nodes = self._nodes(group)
            return bool(_until(lambda: self._nodes(group) > nodes or claim not in _running(db)))

    def _nodes(self, group: str) -> int:
        """Nodes of the group's graph; 0 when it can't be asked."""
        words = (b"GRAPH.RO_QUERY", group.encode(), b"MATCH (n) RETURN count(n)")
        request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
        try:
            with closing(socket.socket(socket.AF_UNIX)) as line:
                line.settimeout(1.0)
                line.connect(str(self.graph))
                line.sendall(request)
                found = _COUNT.search(line.recv(4096))
        except OSError:
            return 0
        return int(found[1]) if found else 0


def _running(db: sqlite3.Connection) -> dict[tuple[int, int], str]:
    try:
        return spool_file.running(db)
    except sqlite3.OperationalError:
        return {}


def _until[T](condition: Callable[[], T]) -> T | None:
    end = time.monotonic() + _PATIENCE_S
    while not (given := condition()):
        if time.monotonic() > end:
            return None
        time.sleep(_LOOK_S)
    return given
