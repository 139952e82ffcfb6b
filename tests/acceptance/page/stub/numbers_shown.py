"""Made-up numbers for the diagnostics: they move a little, so that there is something to see."""

from __future__ import annotations

import os
import time
from math import sin

from metrics import catalog


def _counter(declared, value, **tags):
    return {"name": declared.name, "tags": tags, "value": value}


def _spread(declared, count, p50, **tags):
    return {
        "name": declared.name, "tags": tags, "count": count, "p50": p50,
        "p95": round(p50 * 2.4, 2), "p99": round(p50 * 3.9, 2), "max": round(p50 * 7.5, 2),
    }  # fmt: skip


def metrics(world):
    """As the method of this name."""
    now = time.time()
    asked = int(now - world.began)
    waiting = len(world.pending)
    wave = 1 + 0.2 * sin(now / 7)
    return {
        "since": world.began - 6 * 3600,
        "counters": [
            _counter(catalog.CACHE_HIT, 412 + asked // 2),
            _counter(catalog.CACHE_MISS, 133 + asked // 9),
            _counter(catalog.CACHE_OUTDATED, 21),
            _counter(catalog.HOOK_COUNT, 545 + asked, hook="chat:start", outcome="injected"),
            _counter(catalog.HOOK_COUNT, 1904 + 3 * asked, hook="file:write", outcome="accepted"),
            _counter(catalog.FLUSHED_EPISODES, 2210 + asked // 3),
            _counter(catalog.REDACTIONS, 4, rule="aws"),
        ],
        "gauges": [
            _counter(catalog.SPOOL_PENDING, waiting),
            _counter(catalog.DEGRADATION, 0),
            _counter(catalog.BOUND_USE, round(0.11 * wave, 3), bound="tail"),
        ],
        "distributions": [
            _spread(catalog.QUERY_DURATION, 545, round(1.4 * wave, 2)),
            _spread(catalog.HOOK_DURATION, 545, round(2.1 * wave, 2), hook="chat:start", outcome="injected"),
            _spread(catalog.FLUSH_DURATION, 61, round(88 * wave, 1), outcome="completed"),
            _spread(catalog.FLUSH_DURATION, 2, 410.0, outcome="error"),
            _spread(catalog.INJECTED_TOKENS, 412, 633),
        ],
    }  # fmt: skip


def status(world):
    """As the method of this name."""
    pending = list(world.pending.values())
    oldest = max((time.time() - event.at for event in pending), default=0.0)
    return {
        "degradation": "live", "socket": "/run/user/1000/opencode-mem/bridge.sock",
        "pid": os.getpid(), "version": "0.3.0", "url": None, "data": "~/.local/share/opencode-mem",
        "clients": 2,
        "engines": {
            "falkordb": {"pid": 4121, "state": "up", "memory_bytes": 182_400_000},
            "valkey": {"pid": 4122, "state": "up", "memory_bytes": 9_300_000},
        },
        "worker": 4130, "cache": "ok", "disk": "ok",
        "spool": {
            "pending": len(pending), "oldest_age_s": round(oldest, 3),
            "batches": {"completed": 61, "skipped": 7}, "sessions": 8,
        },
        "tail": {"events": 318, "evicted": 0},
    }  # fmt: skip
