"""Every metric and event of the product, written once. Pure.

Callers name a constant (`catalog.HOOK_COUNT`), never a string. The docs table, the dashboard and
the monitors are compared with this module by tests. A tag never carries a path, a session, a query
or a message: its values are listed here, or are short identifiers that the code itself chooses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

type Tags = Mapping[str, str]

type AlertType = Literal["error", "warning", "info", "success"]
ALERT_TYPES: frozenset[str] = frozenset(get_args(AlertType.__value__))

#: Above this a float no longer holds every integer; a sum of such values could become infinite.
LARGEST_VALUE = 2**53

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag key, and the values it may have; none listed: any short identifier of the code."""

    key: str
    values: tuple[str, ...] = ()

    def allows(self, value: object) -> bool:
        if not isinstance(value, str):
            return False
        if self.values:
            return value in self.values
        return _IDENTIFIER.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Declared:
    """One entry of the catalogue. It is always sent with all of its tags, so that series add up."""

    name: str
    unit: str
    description: str
    tags: tuple[Tag, ...] = ()

    kind: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Counter(Declared):
    """How often something happened; values add up."""

    kind: ClassVar[str] = "counter"


@dataclass(frozen=True, slots=True)
class Distribution(Declared):
    """One sample of a quantity; percentiles are taken over all senders."""

    kind: ClassVar[str] = "distribution"


@dataclass(frozen=True, slots=True)
class Gauge(Declared):
    """How much there is now; the newest value counts."""

    kind: ClassVar[str] = "gauge"


@dataclass(frozen=True, slots=True)
class Event(Declared):
    """A Datadog event; the name is its title."""

    kind: ClassVar[str] = "event"


HOOK = Tag(
    "hook",
    ("chat:start", "file:write", "error", "completion", "context:replay", "unknown"),
)
HOOK_OUTCOME = Tag(
    "outcome",
    ("injected", "cached", "empty", "accepted", "duplicate", "disabled", "invalid", "failed"),
)
INVALIDATION_OUTCOME = Tag("outcome", ("ok", "failed"))
GRAPH_PART = Tag("part", ("episodes", "entities", "facts"))
FLUSH_OUTCOME = Tag("outcome", ("completed", "error", "skipped", "gave_up"))
BATCH_STATE = Tag("state", ("started", "completed", "error", "skipped", "gave_up"))
ENGINE = Tag("engine", ("falkordb", "valkey"))
PROCESS = Tag("process", ("bridge", "worker", "falkordb", "valkey"))
OPERATION = Tag("operation")
RULE = Tag("rule")
BOUND = Tag("bound")
WHERE = Tag("where")
ERROR_NAME = Tag("error_name")

# Names that dashboards already rely on: kept to the letter.
CACHE_HIT = Counter("opencode.memory.cache_hit", "lookup", "Questions answered from the cache.")
CACHE_MISS = Counter(
    "opencode.memory.cache_miss", "lookup", "Questions the cache had no valid answer for."
)
TOKENS_USED = Counter(
    "opencode.tokens.used", "token", "Tokens that OpenCode reported for completed tasks."
)
QUERY_DURATION = Distribution(
    "opencode.memory.query_duration", "ms", "Time to answer one question, cached or not."
)
OPENCODE_ERROR = Event(
    "OpenCode Error",
    "",
    "An error that OpenCode reported, with how often it was seen and what fixed it last time.",
    (ERROR_NAME,),
)

GAVE_UP = Event(
    "OpenCode Memory Batch Gave Up",
    "",
    "A batch of raw events that could not be stored in all its attempts and waits for a hand.",
    (ERROR_NAME,),
)

HOOK_COUNT = Counter(
    "opencode.memory.hook_count", "call", "Hook calls by outcome.", (HOOK, HOOK_OUTCOME)
)
HOOK_DURATION = Distribution(
    "opencode.memory.hook_duration", "ms", "Time of one hook call.", (HOOK, HOOK_OUTCOME)
)

CACHE_BYPASS = Counter(
    "opencode.memory.cache_bypass", "lookup", "Questions answered without asking the cache."
)
CACHE_OUTDATED = Counter(
    "opencode.memory.cache_outdated",
    "lookup",
    "Cached answers not given out because something they depend on has changed; misses too.",
)
INVALIDATIONS = Counter(
    "opencode.memory.invalidations",
    "invalidation",
    "Attempts to outdate cached answers after a write.",
    (INVALIDATION_OUTCOME,),
)

SPOOL_PENDING = Gauge(
    "opencode.memory.spool_pending", "event", "Raw events on disk and not yet flushed."
)
SPOOL_OLDEST_AGE = Gauge(
    "opencode.memory.spool_oldest_age", "second", "Age of the oldest raw event not yet flushed."
)
SPOOL_WRITABLE = Gauge(
    "opencode.memory.spool_writable", "flag", "1 while the disk takes events, 0 while it does not."
)
PURGED = Counter(
    "opencode.memory.purged", "event", "Flushed raw events that retention removed from disk."
)
TAIL_EVENTS = Gauge(
    "opencode.memory.tail_events", "event", "Raw events in the tail that every question reads."
)

BATCHES = Gauge("opencode.memory.batches", "batch", "Batches by state.", (BATCH_STATE,))
FLUSH_DURATION = Distribution(
    "opencode.memory.flush_duration", "ms", "Time to flush one batch.", (FLUSH_OUTCOME,)
)
FLUSHED_EPISODES = Counter(
    "opencode.memory.flushed_episodes", "episode", "Episodes that flushes wrote to the graph."
)

GRAPH_SIZE = Gauge(
    "opencode.memory.graph_size", "item", "What the graphs of all projects hold.", (GRAPH_PART,)
)
GRAPH_QUERY_DURATION = Distribution(
    "opencode.memory.graph_query_duration", "ms", "Time of one graph operation.", (OPERATION,)
)

INJECTED_TOKENS = Distribution(
    "opencode.memory.injected_tokens", "token", "Size of one context given to the agent."
)
PROMPT_CACHE_RATIO = Distribution(
    "opencode.memory.prompt_cache_ratio",
    "fraction",
    "Share of a turn's input tokens that the provider read from its prompt cache, 0 to 1.",
)
REDACTIONS = Counter(
    "opencode.memory.redactions", "secret", "Secrets removed before anything reached disk.", (RULE,)
)

EVICTIONS = Counter(
    "opencode.memory.evictions", "item", "Items that left a full in-memory structure.", (BOUND,)
)
BOUND_USE = Gauge(
    "opencode.memory.bound_use", "fraction", "How full an in-memory structure is, 0 to 1.", (BOUND,)
)

MEMORY = Gauge(
    "opencode.memory.resident_memory",
    "byte",
    "Resident memory of one of our processes.",
    (PROCESS,),
)
DEGRADATION = Gauge(
    "opencode.memory.degradation", "level", "0 live, 1 no-cache, 2 no-graph, 3 spool-only."
)
ENGINE_RESTARTS = Counter(
    "opencode.memory.engine_restarts", "restart", "Embedded servers started again.", (ENGINE,)
)
ERRORS = Counter(
    "opencode.memory.errors", "error", "Failures that were caught and degraded around.", (WHERE,)
)

#: The whole catalogue by name, in the order of this file.
CATALOGUE: Mapping[str, Declared] = MappingProxyType(
    {entry.name: entry for entry in tuple(globals().values()) if isinstance(entry, Declared)}
)


def validate(metric: object, tags: Tags | None = None) -> str | None:
    """What is wrong with sending `metric` with these tags; None when nothing is."""
    if not isinstance(metric, Declared) or CATALOGUE.get(metric.name) is not metric:
        return f"{metric!r:.80} is not declared in metrics.catalog"
    given = tags or {}
    for tag in metric.tags:
        if tag.key not in given:
            return f"{metric.name}: the tag {tag.key!r} is missing"
        if not tag.allows(given[tag.key]):
            allowed = ", ".join(tag.values) or "short identifiers"
            return f"{metric.name}: {tag.key}={given[tag.key]!r:.80} is not allowed ({allowed})"
    if len(given) > len(metric.tags):
        extra = sorted({str(key) for key in given} - {tag.key for tag in metric.tags})
        return f"{metric.name}: undeclared tags {', '.join(extra)}"
    return None


def number(value: object) -> float | None:
    """The value as a plain finite number from 0 to `LARGEST_VALUE`; None when it is not one.

    Nothing in the catalogue can be negative: a negative value is a bug or a clock set back.
    """
    plain: float
    if isinstance(value, int):
        plain = int(value)
    elif isinstance(value, float):
        plain = float(value)
    else:
        return None
    return plain if 0 <= plain <= LARGEST_VALUE else None


def table() -> str:
    """The catalogue as a Markdown table, one line for each entry."""
    rows = ["| name | kind | unit | tags | what it says |", "|---|---|---|---|---|"]
    for entry in CATALOGUE.values():
        tags = "; ".join(
            f"`{tag.key}`: " + (", ".join(tag.values) or "an identifier") for tag in entry.tags
        )
        cells = (f"`{entry.name}`", entry.kind, entry.unit, tags, entry.description)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"
