"""What coding sessions report while the bridge is being killed: drawn from a seed, round by round.

The same seed gives the same requests with the same ids, so that a failure can be repeated. Every
event is unlike every other: none is folded into the one before it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from memory_manager import reporting
from memory_manager.project import Project, identify

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from memory_manager.model import Json, RawEvent

CWD = "/work/shop"
PROJECTS = ("crash-shop", "crash-tools")
#: The first event's time, in seconds since the epoch; hooks bring none, the bridge's clock counts.
_BEGAN = 1_750_000_000.0
#: Sessions that go on at a time, the rounds that one lasts, and its turns in a round.
_OPEN, _ROUNDS, _TURNS = 4, 3, 2
#: Shares: of events that come by hook, of requests that are sent again though they were answered.
_BY_HOOK, _AGAIN = 0.4, 0.15
#: Requests of the past that a late repeat may be of; places that a request may arrive too early.
_REMEMBERED, _DISORDER = 200, 8


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request, and the events that are on disk once it is answered.

    `timed` is False where the bridge's clock says when it happened; `binding` is False where the
    answer does not acknowledge the record (a question is answered before it is recorded).
    """

    method: str
    params: dict[str, Json]
    events: tuple[RawEvent, ...]
    timed: bool = True
    binding: bool = True


@dataclass(slots=True)
class _Session:
    name: str
    project: Project
    turn: int = 0
    rounds: int = 0


@dataclass(slots=True)
class Workload:
    """`rounds` without end; draws from `chance` alone."""

    chance: random.Random
    _sessions: list[_Session] = field(default_factory=list)
    _past: list[Delivery] = field(default_factory=list)
    _number: int = 0

    def rounds(self) -> Iterator[list[Delivery]]:
        """What the clients send between two kills, in the order in which they send it."""
        while True:
            told: list[Delivery] = []
            for session in self._going_on():
                for _ in range(_TURNS):
                    told += self._turn(session)
            yield self._disordered(told)

    def _going_on(self) -> list[_Session]:
        self._sessions = [session for session in self._sessions if session.rounds < _ROUNDS]
        while len(self._sessions) < _OPEN:
            self._number += 1
            named = self.chance.choice(PROJECTS)
            self._sessions.append(_Session(f"ses_{self._number}", identify(CWD, named)))
        for session in self._sessions:
            session.rounds += 1
        return self._sessions

    def _disordered(self, told: list[Delivery]) -> list[Delivery]:
        """Late and twice, as deliveries are."""
        places = {
            id(one): place + self.chance.uniform(0, _DISORDER) for place, one in enumerate(told)
        }
        told = sorted(told, key=lambda one: places[id(one)])
        self._past = (self._past + told)[-_REMEMBERED:]
        again = [one for one in self._past if one.binding and self.chance.random() < _AGAIN]
        for one in again[: len(told) // 4]:
            told.insert(self.chance.randint(0, len(told)), one)
        return told

    def _turn(self, session: _Session) -> list[Delivery]:
        """Asked, looked, broken, mended, done, in some or other of these."""
        session.turn += 1
        items = _turn(session.name, session.turn, self.chance)
        told: list[Delivery] = []
        together: list[Json] = []
        for item in items:
            hook = _as_hook(item) if self.chance.random() < _BY_HOOK else None
            if hook is None:
                together.append(item)
                if len(together) < self.chance.randint(1, 8):
                    continue
                told.append(ingest(session.project, together))
                together = []
            else:
                told.append(_hook(session.project, *hook))
        if together:
            told.append(ingest(session.project, together))
        if self.chance.random() < 1 / 4:
            told.append(_stored(session, self.chance))
        return told


def ingest(project: Project, items: list[Json]) -> Delivery:
    """Raw events as the stream brings them."""
    params: dict[str, Json] = {"events": items, **_where(project)}
    events = reporting.from_ingest(items, params, project, _now(), Counter())
    return Delivery("ingest", params, tuple(events))


def _hook(project: Project, name: str, payload: dict[str, Json]) -> Delivery:
    params: dict[str, Json] = {"name": name, "payload": payload, **_where(project)}
    told = reporting.hooked(name, params, project, minted="", at=_BEGAN)
    events = reporting.from_hook(told, project, _now(), Counter())
    binding = name != "chat:start"
    return Delivery("hook", params, tuple(events), timed=False, binding=binding)


def _stored(session: _Session, chance: random.Random) -> Delivery:
    name = f"{session.name}-note-{session.turn}"
    params: dict[str, Json] = {
        "content": f"We decided: {chance.choice(_THINGS)} stays at {name}",
        "metadata": {"session_id": session.name},
        "event_id": name,
        "at": _at(session.turn, 50),
        "wait": chance.random() < 1 / 8,
        **_where(session.project),
    }
    events = reporting.from_store(
        params, session.project, _now(), Counter(), minted=name, at=_BEGAN
    )
    return Delivery("store", params, tuple(events))


def _where(project: Project) -> dict[str, Json]:
    return {"cwd": CWD, "project": project.name}


def _now() -> float:
    # Only asked whether a time lies in the future.
    return _BEGAN * 2


def _at(turn: int, step: int) -> float:
    return _BEGAN + turn * 60 + step


_THINGS = ("money in cents", "the coupon's rate", "the retry's pause", "the cart's lock")
_ERRORS = ("KeyError", "ValueError", "TimeoutError", "AssertionError")


def _turn(session: str, turn: int, chance: random.Random) -> list[dict[str, Json]]:
    number = int(session.rpartition("_")[2]) * 100 + turn
    path = f"src/{chance.choice(('pay', 'cart', 'mail'))}/part{number % 17}.py"
    test = f"tests/test_part{number % 17}.py"
    error = chance.choice(_ERRORS)
    failed = f"E   {error}: 'coupon{number % 7}'\n{path}:{number}: {error}\n1 failed in 0.{number}s"
    tool: dict[str, Json] = {"tool": "bash", "command": f"pytest {test}"}
    steps: list[tuple[str, str, dict[str, Json]]] = [
        ("prompt", f"why does coupon{number % 7} fail in {path}? question {number}", {}),
        ("command", f"Ran: pytest {test}", {**tool, "exit": 1, "output": failed}),
        ("error", f"Error: {error}: 'coupon{number % 7}' in {path}", {"name": error, "severity": "high"}),
        ("tool", f"Used webfetch: page {number}", {"tool": "webfetch", "output": f"page {number}"}),
        ("file_edit", f"Modified: {path}", {"path": path, "change": "modified",
         "diff": f"+def part_{number}(cart):\n+    return cart.total * {number}"}),
        ("command", f"Ran: pytest {test}", {**tool, "exit": 0, "output": f"1 passed in 0.{number}s"}),
        ("message", f"part_{number} in {path} takes the rate from the cart now", {}),
        ("success", f"Completed: mend coupon{number % 7} for {number}", {"tokens": number, "duration": 2}),
    ]  # fmt: skip
    kept = [step for step in steps if step[0] in {"prompt", "success"} or chance.random() < 3 / 4]
    if chance.random() < 1 / 6:
        kept.append(("compaction", "", {}))
    return [
        {"event_id": f"{session}-{turn}-{place}", "session_id": session, "kind": kind,
         "at": _at(turn, place), "content": content, "metadata": metadata}
        for place, (kind, content, metadata) in enumerate(kept)
    ]  # fmt: skip


def _as_hook(item: dict[str, Json]) -> tuple[str, dict[str, Json]] | None:
    """The hook call that reports the same, where there is one."""
    metadata, content = item["metadata"], str(item["content"])
    assert isinstance(metadata, dict)  # noqa: S101 - made above
    payload: dict[str, Json] = {"session_id": item["session_id"], "event_id": item["event_id"]}
    match item["kind"]:
        case "prompt":
            # A question's id is its message's.
            message = payload.pop("event_id")
            return "chat:start", {**payload, "message_id": message, "query": content}
        case "file_edit" | "command" | "tool":
            return "file:write", {**payload, **metadata}
        case "error":
            said = content.removeprefix("Error: ")
            return "error", {**payload, "message": said, "name": metadata["name"]}
        case "success":
            return "completion", {
                **payload,
                **metadata,
                "task": content.removeprefix("Completed: "),
            }
        case _:
            return None


def retimed(event: RawEvent, at: float) -> RawEvent:
    """The event as the bridge's clock dated it."""
    return replace(event, at=at)
