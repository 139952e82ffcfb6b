"""What a check comes to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memory_manager.model import Json


class Verdict(StrEnum):
    """How a part is."""

    OK = "ok"
    #: It works, or does without; somebody may want to know.
    WARN = "warn"
    #: It does not work.
    FAIL = "fail"
    #: It could not be looked at; `seen` says why.
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, what came of it, what was seen, and what to do about it."""

    name: str
    verdict: Verdict
    seen: str
    mend: str = ""

    def json(self) -> dict[str, Json]:
        """As programs get it."""
        return {
            "name": self.name,
            "verdict": str(self.verdict),
            "seen": self.seen,
            "mend": self.mend,
        }


def ok(name: str, seen: str) -> Finding:
    """It works."""
    return Finding(name, Verdict.OK, seen)


def warn(name: str, seen: str, mend: str) -> Finding:
    """It works all the same."""
    return Finding(name, Verdict.WARN, seen, mend)


def fail(name: str, seen: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(name, Verdict.FAIL, seen, mend)


def skip(name: str, why: str) -> Finding:
    """It was not looked at."""
    return Finding(name, Verdict.SKIP, why)
