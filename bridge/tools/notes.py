"""`recall` and `remember`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from bridge.tools import arguments
from bridge.tools.text import Section, counted, fenced, line, when
from memory_manager.errors import InvalidRequest, MemoryFault
from memory_manager.extract.words import choices
from memory_manager.reporting import bulk, from_store
from memory_manager.spool.events import new_event_id

if TYPE_CHECKING:
    from bridge.flush.sweep import Sweep
    from bridge.parts import Parts
    from bridge.tools.looking import Asked, Look
    from memory_manager.model import Hit, Json, RawEvent

#: Tokens of an answer when nobody says, and at most.
BUDGET, MOST_BUDGET = 2000, 8000
_LIMIT, _MOST_HITS = 10, 50
#: Fewer hits than these are never asked for: the same question shares its cached answer.
_CANDIDATES = 16
#: Seconds that `remember` waits for the graph to have it.
_FLUSH_S = 2.0
#: Characters of a note: far more than a sentence, far less than a file.
_LONGEST = 16_000
#: How a note begins that is a choice and does not say so itself.
_KINDS = {
    "note": "",
    "decision": "Decision: ",
    "preference": "From now on, ",
}


def budget(asked: Asked) -> int:
    """Tokens that the answer may take."""
    return arguments.size(asked.args, "budget", BUDGET, MOST_BUDGET, 150)


class Notes:
    """Asks the memory, and adds to it."""

    def __init__(self, parts: Parts, sweep: Sweep, look: Look) -> None:
        self._parts = parts
        self._sweep = sweep
        self._look = look

    async def recall(self, asked: Asked) -> str:
        """What is known about a question, best first."""
        query = arguments.required(asked.args, "query", "text", "question")
        limit = arguments.size(asked.args, "limit", _LIMIT, _MOST_HITS)
        at = arguments.moment(asked.args, "at", asked.now)
        recalled = await self._look.recalled(asked, query, max(_CANDIDATES, limit), at)
        named = await self._look.namer(asked)
        lines = [f"{_stated(hit)} — {named(hit.session)}" for hit in recalled.hits[:limit]]
        title = "What memory knows, best first"
        if at is not None:
            title += f", as of {when(at)}"
        hidden = max(0, len(recalled.hits) - limit)
        return fenced([Section(title, lines, hidden)], budget(asked)) or (
            "Memory knows nothing about that in this project."
        )

    async def remember(self, asked: Asked) -> str:
        """Store a note: on disk at once, in the graph within moments."""
        content = arguments.required(asked.args, "content", "text", "note")
        kind = (arguments.words(asked.args, "kind") or "note").lower()
        if kind not in _KINDS:
            raise InvalidRequest(f"kind: none of {', '.join(_KINDS)}")
        if len(content) > _LONGEST:
            raise InvalidRequest(
                f"content: longer than {_LONGEST:,} characters; remember what matters of it"
            )
        counter: Counter[str] = Counter()
        event, new = await self._stored(asked, noted(kind, content), counter)
        graphed = await self._flushed(event) if new else True
        said = f"Remembered, as a {kind}." if new else "That is remembered already."
        if taken := sum(counter.values()):
            said += (
                f" {counted(taken, 'passage')} of it looked like a secret or was marked private, "
                "and was not stored."
            )
        return said if graphed else f"{said} It can be found now, and is in the graph soon."

    async def _stored(
        self, asked: Asked, content: str, counter: Counter[str]
    ) -> tuple[RawEvent, bool]:
        parts = self._parts
        params: dict[str, Json] = {
            "content": content,
            "source": "agent",
            "metadata": {"session_id": asked.session},
            "event_id": asked.event_id or new_event_id(),
        }
        (standing,) = await parts.passages.of_ingest([params], asked.project)
        made: list[RawEvent] = []

        def make(rules: Counter[str]) -> list[RawEvent]:
            made[:] = from_store(
                params,
                asked.project,
                asked.now,
                rules,
                minted=str(params["event_id"]),
                at=asked.now,
                standing=standing,
            )
            counter.update(rules)
            return made

        receipt = await parts.tailing.append(make, bulk(params))
        return made[0], bool(receipt.inserted)

    async def _flushed(self, event: RawEvent) -> bool:
        """Whether the graph has it by now; if not, the flush goes on behind the answer."""
        done, landed = asyncio.Event(), False

        async def flush() -> None:
            nonlocal landed
            try:
                landed = not (await self._sweep.flush(event.group, event.session)).failed
            except MemoryFault:
                self._sweep.news()  # it stays pending, and is tried again
            finally:
                done.set()

        self._parts.background(flush(), "flush what was remembered")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_S):
                await done.wait()
        return landed


def noted(kind: str, content: str) -> str:
    """The note's text: a choice that does not say that it is one is told to be one."""
    if kind == "note" or choices(content):
        return content
    return _KINDS[kind] + content


def _stated(hit: Hit) -> str:
    kind = hit.source.lower().replace("_", " ") if hit.kind == "fact" else hit.kind
    until = f" (until {when(hit.invalid_at)})" if hit.invalid_at is not None else ""
    return f"{when(hit.at)} [{line(kind, 8)}] {line(hit.text)}{until}"
