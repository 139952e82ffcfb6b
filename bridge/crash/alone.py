"""`python -m bridge.crash.alone WORK SPOOL`: one piece of work on a spool by itself, to be killed in.

Says `begin` when everything is imported and the work itself begins, and `end` when it is done. Each
piece may be done again, by another process, until it ends well.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from memory_manager.append import appended
from memory_manager.spool import redact
from memory_manager.spool.store import Spool

#: Rows of one transaction of a purge; few, so that there are many moments.
_ROWS = 40


def append(path: Path) -> None:
    """A write without a bridge: the request line on standard input."""
    request = sys.stdin.read()
    os.environ["SPOOL_URL"] = f"sqlite:///{path}"
    redact.warm()
    _begin()
    appended(request)


def migrate(path: Path) -> None:
    """An old file is brought up to date, and made able to shrink."""
    _begin()
    spool = Spool.open(path)
    spool.settle()
    spool.checkpoint()
    spool.close()


def purge(path: Path) -> None:
    """Everything that was flushed before now goes, bit by bit, and the file shrinks."""
    spool = Spool.open(path)
    _begin()
    while spool.purge(PURGED_AT, 0.0, _ROWS):
        pass
    spool.checkpoint()
    spool.close()


#: The time at which a purge takes place: the same in every run.
PURGED_AT = 1_790_000_000.0


def _begin() -> None:
    _say("begin")


def _say(word: str) -> None:
    print(word, flush=True)


WORKS = {"append": append, "migration": migrate, "purge": purge}

if __name__ == "__main__":
    WORKS[sys.argv[1]](Path(sys.argv[2]))
    _say("end")
