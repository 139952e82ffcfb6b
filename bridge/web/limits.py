"""How often somebody may knock. Pure; times are seconds of a monotonic clock.

On the loopback interface nobody can be told apart by address, so there is one bucket for those who
show the token and others for those who don't: a stranger's flood does not slow the owner, and no
number of wrong tokens locks out the right one.
"""

from __future__ import annotations

from dataclasses import dataclass, field


class Bucket:
    """So many at once, and so many a second."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = 0.0

    def wait(self, now: float) -> float:
        """0.0 when there was one left, which is taken; else seconds until there is."""
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (1.0 - self._left) / self._rate


@dataclass(frozen=True, slots=True)
class Limits:
    """The buckets of one door."""

    #: Requests with the token or the cookie.
    owner: Bucket = field(default_factory=lambda: Bucket(5000.0, 10_000.0))
    #: Requests that need none: the page's files, the probes, the document.
    stranger: Bucket = field(default_factory=lambda: Bucket(200.0, 400.0))
    #: Wrong tokens, cookies and codes.
    failed: Bucket = field(default_factory=lambda: Bucket(5.0, 20.0))
