"""Telling what happened in a session, as the raw events that OpenCode would report."""

from __future__ import annotations

from dataclasses import dataclass, field

from memory_manager.model import EventKind, RawEvent

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

_DIFF = """Index: {path}
===================================================================
--- {path}
+++ {path}
@@ -{line},4 +{line},7 @@
 {context}
-{old}
+{new}
"""


@dataclass(slots=True)
class Session:
    """Writes one session's events, a little later each."""

    group: str
    name: str
    at: float
    directory: str = "/work/checkout"
    events: list[RawEvent] = field(default_factory=list)

    def _add(self, kind: EventKind, content: str, wait: float, **metadata) -> None:
        self.at += wait
        number = len(self.events)
        self.events.append(
            RawEvent(
                f"evt_{self.name}_{number}", self.group, self.name, kind, self.at, content,
                {"type": str(kind), "directory": self.directory, **metadata},
            )
        )  # fmt: skip

    def ask(self, text: str) -> None:
        self._add(EventKind.PROMPT, text, 40, agent="build", model="claude-sonnet", branch="main")

    def edit(self, path: str, new: str, old: str = "pass", context: str = "import time") -> None:
        diff = _DIFF.format(
            path=path, new=new.replace("\n", "\n+"), old=old, context=context, line=7
        )
        self._add(
            EventKind.FILE_EDIT, f"Modified: {path}", 25, path=path, change="modified", diff=diff,
            tool="edit", branch="main",
        )  # fmt: skip

    def run(self, command: str, output: str = "", status: int = 0) -> None:
        self._add(
            EventKind.COMMAND, f"$ {command}", 20, command=command, exit=status, output=output,
            tool="bash",
        )  # fmt: skip

    def fail(self, message: str, name: str = "ToolError") -> None:
        self._add(EventKind.ERROR, f"Error: {message}", 5, severity="high", name=name)

    def say(self, text: str) -> None:
        self._add(EventKind.MESSAGE, text, 15, model="claude-sonnet")

    def note(self, text: str) -> None:
        self._add(EventKind.NOTE, text, 10, source="remember")

    def done(self, task: str, minutes: float = 4.0) -> None:
        tokens = {"input": 5200, "output": 810, "cache": {"read": 41_000, "write": 900}}
        self._add(
            EventKind.SUCCESS, f"Completed: {task}", 30, task=task, duration=minutes * 60,
            tokens=tokens,
        )  # fmt: skip
