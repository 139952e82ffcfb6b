"""What a run of kills came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.crash.check import Findings


@dataclass(frozen=True, slots=True)
class Kill:
    """One strike. Seconds from it until the bridge answered, and until every part was back."""

    number: int
    target: str
    moment: str
    #: Whether the moment was met; if not, it was struck all the same.
    met: bool
    answers_s: float
    live_s: float


@dataclass(slots=True)
class Record:
    """What a run came to."""

    seed: int
    kills: list[Kill] = field(default_factory=list)
    requests: int = 0
    events: int = 0
    episodes: int = 0
    facts: int = 0
    resent: int = 0
    #: Messages that were given a context, which stays theirs.
    given: int = 0
    compared: int = 0
    seconds: float = 0.0
    found: Findings = field(default_factory=Findings)

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or wrong."""
        return not self.found.faults
