"""The method `tool`: one call of the agent's tool `memory`, `{tool, args, cwd, session_id}` → `{text}`.

What can't be done is said in the text, never as an error: a wrong word of a model must not break
its turn. A further operation is a further row of `_rows`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.tools.arguments import args_of
from bridge.tools.choosing import Choosing
from bridge.tools.doings import Doings
from bridge.tools.failing import Failing
from bridge.tools.looking import Asked, Look
from bridge.tools.notes import Notes
from bridge.tools.text import line
from memory_manager.errors import InvalidRequest, MemoryFault
from memory_manager.optout import opted_out

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bridge.commands import Method
    from bridge.flush.sweep import Sweep
    from bridge.params import Params
    from bridge.parts import Parts
    from memory_manager.model import Json
    from memory_manager.spool.reading import SpoolReader

_log = logging.getLogger(__name__)

_PARTIAL = "(The graph does not answer now: this is from the latest events alone.)"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: how it is called, what it does, and what does it."""

    usage: str
    about: str
    run: Callable[[Asked], Awaitable[str]]


class Tools:
    """The operations by name, behind one method in `table`."""

    def __init__(self, parts: Parts, sweep: Sweep, open_reader: Callable[[], SpoolReader]) -> None:
        """`open_reader` gives a connection of its own to the spool."""
        self._parts = parts
        self.operations = _rows(parts, sweep, Look(parts, open_reader))
        self.table: dict[str, Method] = {"tool": self.tool}

    async def tool(self, params: Params) -> Json:
        """The text of one operation."""
        return {"text": await self._said(params)}

    async def _said(self, params: Params) -> str:
        name = _text(params, "tool").strip().lower()
        operation = self.operations.get(name)
        if operation is None:
            known = name in {"", "help"}
            return ("" if known else f"There is no operation {line(name, 20)!r}. ") + self.help()
        if why := self._off(params):
            return f"{why}: nothing is recalled or stored."
        try:
            asked = await self._asked(params)
            said = await operation.run(asked)
        except InvalidRequest as fault:
            return f"{line(str(fault))}. Call it so: {name} {operation.usage}"
        except MemoryFault as fault:
            _log.warning("Memory plugin error: the tool %s failed: %s", name, fault)
            return f"Memory can't do that now, go on without it: {line(str(fault))}"
        return said if asked.complete else f"{said}\n{_PARTIAL}"

    def _off(self, params: Params) -> str:
        if self._parts.settings.disabled:
            return "Memory is disabled (OPENCODE_MEM_DISABLED)"
        if opted_out(_text(params, "cwd")):
            return "This project has opted out of memory"
        return ""

    async def _asked(self, params: Params) -> Asked:
        cwd = _text(params, "cwd")
        named = _text(params, "group") or _text(params, "project")
        return Asked(
            args=args_of(params.get("args")),
            project=await self._parts.projects.of(cwd, named),
            cwd=cwd,
            session=_text(params, "session_id"),
            now=self._parts.now(),
            event_id=_text(params, "event_id"),
        )

    def help(self) -> str:
        """What there is."""
        rows = [f"- {name} {each.usage}: {each.about}" for name, each in self.operations.items()]
        return "\n".join([
            "What memory of this project can be asked for, as {tool, args}:",
            "- help: this list",
            *rows,
            "`limit` bounds the lines of each list, `budget` the tokens of the answer (2000).",
        ])  # fmt: skip


def _rows(parts: Parts, sweep: Sweep, look: Look) -> dict[str, Operation]:
    notes, doings = Notes(parts, sweep, look), Doings(look)
    return {
        "recall": Operation(
            "{query, limit?, at?}",
            "what is known about a question, best first; at: as of that time",
            notes.recall,
        ),
        "remember": Operation(
            "{content, kind?}",
            "store a note for later sessions; kind: note, decision or preference",
            notes.remember,
        ),
        "file": Operation(
            "{path, limit?}",
            "what changed in a file, in which sessions, which errors occurred in it, what fixed "
            "them, and which files change together with it",
            doings.file,
        ),
        "error": Operation(
            "{message, limit?}",
            "whether an error was seen before, how often, and what fixed it",
            Failing(look).error,
        ),
        "decision": Operation(
            "{about?, limit?}",
            "what was decided, when and in which session; superseded decisions are labelled",
            Choosing(look).decision,
        ),
        "changes": Operation(
            "{since?, limit?}",
            "what was done since a time (2026-11-20, 24h, yesterday); without one, since the "
            "session before this one began",
            doings.changes,
        ),
    }


def _text(params: Params, name: str) -> str:
    value = params.get(name)
    return value if isinstance(value, str) else ""
