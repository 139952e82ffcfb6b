"""One coroutine for each hook. May raise the memory's errors; `dispatch` is where they end."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, assert_never

from bridge.alerts import Alerts
from bridge.cache.protocol import CacheOutcome
from bridge.context.render import block, tokens
from bridge.context.steering import asks_something
from bridge.hooks import (
    ChatStart,
    Completion,
    ContextReplay,
    ErrorReport,
    FileWrite,
    Outcome,
    Reply,
    parse,
)
from bridge.ledger import Injection
from bridge.recall import Recall, Window
from bridge.remembered import Remembered
from memory_manager import contract, reporting
from memory_manager.errors import InvalidRequest, MemoryFault
from memory_manager.hook_payload import clipped
from memory_manager.spool.batches import Receipt
from memory_manager.spool.filters import HELPERS
from memory_manager.spool.sound import moment, sane
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from bridge.flush.sweep import Sweep
    from bridge.parts import Parts
    from memory_manager.hook_events import HookEvent
    from memory_manager.model import Json, RawEvent
    from memory_manager.project import Project
    from memory_manager.spool.private import Standing

_log = logging.getLogger(__name__)

#: Share of the deadline that the graph may take; the rest renders what there is.
_GRAPH_SHARE = 0.7
#: Seconds for which an error is news.
_NEWS_S = 600.0
#: Sessions whose last prompt is remembered, and for how many seconds unused.
_MOST_SESSIONS, _SESSION_IDLE_S = 2000, 6 * 3600.0
_TASK_CHARACTERS = 200


class Handlers:
    """The hooks, with the little state that they share."""

    def __init__(self, parts: Parts, sweep: Sweep) -> None:
        self._parts = parts
        self._sweep = sweep
        self._recall = Recall(parts)
        self._alerts = Alerts(parts)
        #: Told of a tool's hook that is on disk: the same call comes as an event too.
        self.heard: Callable[[Json], None] = _nothing
        #: Session to the first line of its last prompt.
        self.prompts: Remembered[str, str] = Remembered(
            _MOST_SESSIONS, _SESSION_IDLE_S, time.monotonic
        )

    async def handle(self, name: str, params: dict[str, Json]) -> Reply:
        """Answer one hook call.

        Raises:
            InvalidRequest: the hook is unknown or the payload malformed.
            MemoryFault: something it needs failed.
        """
        parts = self._parts
        if parts.settings.disabled:
            return Reply(Outcome.DISABLED)
        if not name:
            raise InvalidRequest(f"name: no hook {str(params.get('name'))[:60]!r}")
        payload = params.get("payload")
        directory = reporting.directory_of(params)
        project = await parts.projects.of(directory, _string(params.get("project")))
        event_id = _string(params.get("event_id")) or contract.uuid7(parts.now(), os.urandom(10))
        counted: Counter[str] = Counter()
        events = reporting.hooked(
            name,
            params,
            project,
            minted=event_id,
            at=_moment(params.get("at"), parts.now()),
            prompt=self.prompts.get(_session(payload)) or "",
            counted=counted,
        )
        parts.tailing.redacted(counted)
        hook = parse(name, payload, events)
        match hook:
            case ChatStart():
                return await self.chat_start(hook, project, directory)
            case FileWrite():
                reply = await self.file_write(hook, project)
                self.heard(payload)
                return reply
            case ErrorReport():
                return await self.error(hook, project)
            case Completion():
                return await self.completion(hook, project)
            case ContextReplay():
                blocks = parts.ledger.replay(hook.session, hook.messages, project.group)
                return Reply(Outcome.ACCEPTED, blocks=blocks)
            case _:
                assert_never(hook)

    async def chat_start(self, hook: ChatStart, project: Project, directory: str) -> Reply:
        """Ledger (asked before?), cache, graph, fresh tail; the row is committed before the reply."""
        parts = self._parts
        if hook.agent in HELPERS:
            return Reply(Outcome.EMPTY)
        message = hook.message
        if message and (standing := parts.ledger.get(hook.session, message)) is not None:
            if standing.group == project.group:
                return _given(standing)
            # OpenCode's ids are unique; who uses one in two projects is answered and not replayed.
            message = ""
        if hook.events:
            self._remember(hook.session, hook.query)
        # As they arrive: the record of it comes later.
        standings = parts.passages.soon(hook.events, project)
        try:
            reply = await self._context(hook, project, directory)
        finally:
            # Behind the answer: the reply acknowledges the question, not the record of it, and
            # the disk takes longer than all the rest.
            parts.background(self._record(hook.events, project, standings), "record a prompt")
        if message and reply.outcome is not Outcome.FAILED:
            row = Injection(
                hook.session,
                message,
                project.group,
                parts.now(),
                str(reply.outcome),
                reply.tokens,
                reply.context,
            )
            return _given(parts.ledger.put(row))
        return reply

    async def file_write(self, hook: FileWrite, project: Project) -> Reply:
        """On disk, and nothing that was cached about these paths is given out again."""
        return _acknowledged(await self._spool(hook.events, project))

    async def error(self, hook: ErrorReport, project: Project) -> Reply:
        """On disk; then, behind the reply, the Datadog event with what is known of this error."""
        made: list[RawEvent] = []
        receipt = await self._spool(hook.events, project, made=made)
        for event in made:
            # What was missed and comes late is no alarm.
            if event.event_id in receipt.new and event.at > self._parts.now() - _NEWS_S:
                self._parts.background(self._alerts.tell(event), "error event")
        return _acknowledged(receipt)

    async def completion(self, hook: Completion, project: Project) -> Reply:
        """On disk; the tokens are counted once."""
        receipt = await self._spool(hook.events, project)
        if receipt.inserted and hook.tokens:
            self._parts.metrics.count(catalog.TOKENS_USED, hook.tokens)
            if hook.cached is not None:
                self._parts.metrics.distribution(catalog.PROMPT_CACHE_RATIO, hook.cached)
        return _acknowledged(receipt)

    async def _context(self, hook: ChatStart, project: Project, directory: str) -> Reply:
        parts = self._parts
        if parts.settings.inject == "off" or not asks_something(hook.query):
            return Reply(Outcome.EMPTY)
        since = await parts.windows.compacted_at(project.group, hook.session)
        recalled = await self._recall.answer(
            project.group,
            hook.query,
            project.paths_in(hook.query, directory),
            patience=parts.settings.chat_deadline * _GRAPH_SHARE,
            window=Window(
                hook.session, since or 0.0, frozenset(event.event_id for event in hook.events)
            ),
        )
        text = block(recalled.hits, parts.settings.context_tokens)
        if not text:
            if recalled.complete:
                return Reply(Outcome.EMPTY)
            return Reply(Outcome.FAILED, note="the graph does not answer")
        size = tokens(text)
        parts.metrics.distribution(catalog.INJECTED_TOKENS, size)
        cached = recalled.cache is CacheOutcome.HIT
        return Reply(Outcome.CACHED if cached else Outcome.INJECTED, text, size)

    async def _record(
        self, events: Sequence[HookEvent], project: Project, standings: Awaitable[list[Standing]]
    ) -> None:
        try:
            await self._spool(events, project, await standings)
        except MemoryFault as fault:
            _log.warning("Memory plugin error: a prompt was not spooled: %s", fault)
            self._parts.metrics.count(catalog.ERRORS, tags={"where": "spool"})

    async def _spool(
        self,
        events: Sequence[HookEvent],
        project: Project,
        standings: Sequence[Standing] | None = None,
        made: list[RawEvent] | None = None,
    ) -> Receipt:
        """On disk. `made` is given the events as they stand there."""
        parts = self._parts
        if not events:
            return Receipt(0)
        if standings is None:
            standings = await parts.passages.of_hook(events, project)
        now = parts.now()

        def make(counted: Counter[str]) -> Sequence[RawEvent]:
            raw = reporting.from_hook(events, project, now, counted, standings=standings)
            if made is not None:
                made[:] = raw
            return raw

        size = sum(len(event.content) + _bulk(event.metadata.values()) for event in events)
        receipt = await parts.tailing.append(make, size, project.group, reporting.changed(events))
        self._sweep.news()
        return receipt

    def _remember(self, session: str, query: str) -> None:
        first = reporting.without_private(query).strip().partition("\n")[0]
        self.prompts.put(session, clipped(first, _TASK_CHARACTERS, reporting.without_secrets))


def _bulk(values: Iterable[Json]) -> int:
    return sum(len(value) if isinstance(value, str) else 64 for value in values)


def _given(row: Injection) -> Reply:
    return Reply(Outcome(row.outcome), row.block, row.tokens)


def _acknowledged(receipt: Receipt) -> Reply:
    if receipt.received and not receipt.inserted:
        return Reply(Outcome.DUPLICATE)
    return Reply(Outcome.ACCEPTED)


def _session(payload: Json) -> str:
    if isinstance(payload, dict):
        for name in ("session_id", "sessionID"):
            value = payload.get(name)
            if isinstance(value, str):
                return value
        inner = payload.get("properties")
        if isinstance(inner, dict) and isinstance(inner.get("sessionID"), str):
            return str(inner["sessionID"])
    return ""


def _moment(value: Json, now: float) -> float:
    """When the caller says that it happened, if that can be."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return now
    return sane(moment(value, now), now)


def _nothing(_payload: Json) -> None:
    return


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""
