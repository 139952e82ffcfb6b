"""What the sweep's work came to. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlushReport:
    """What flushing one or more batches came to."""

    batches: int = 0
    episodes: int = 0
    skipped: int = 0
    failed: int = 0
    errors: tuple[str, ...] = ()

    def plus(self, other: FlushReport) -> FlushReport:
        """Both together."""
        return FlushReport(
            self.batches + other.batches,
            self.episodes + other.episodes,
            self.skipped + other.skipped,
            self.failed + other.failed,
            self.errors + other.errors,
        )


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What a page of a backfill came to. `next` is the next page's `after`, None at the end.

    `gone` of the batches have lost their events, `failed` can be asked for again; `left` come
    after this page.
    """

    done: int = 0
    gone: int = 0
    failed: int = 0
    left: int = 0
    next: int | None = None
