"""OpenCode's own events, live or from its database, as hook calls and raw events. Pure.

One `Stream` follows the sessions of one OpenCode: what a single event does not say (whose turn it
was, what the turn cost, whether a tool or a command changed a file) stands in the few events
before it. Whatever state is lost, ids stay the same, so telling something twice is harmless; and
whatever was told is told again until somebody says that it is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from memory_manager import stream_told as told
from memory_manager.model import EventKind
from memory_manager.stream_told import Call, Item, Told
from memory_manager.stream_turns import LONGEST_TEXT, Session, completed, prompted, retried
from memory_manager.stream_values import files_of, inner, is_added, kind_of, seconds, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory_manager.model import Json
    from memory_manager.stream_turns import Message
    from memory_manager.stream_values import Object

__all__ = ["GONE", "WANTED", "Call", "Item", "Stream", "Told"]

#: Events that say something; a client need not send others.
WANTED = frozenset(
    {
        "session.created",
        "session.deleted",
        "session.error",
        "session.idle",
        "session.status",
        "message.updated",
        "message.part.updated",
    }
)
#: A patch names the files that changed. Whoever passes it on says here which are there no longer.
GONE = "gone"
#: Sessions that are followed, and characters of theirs that wait to be told; the oldest go.
_SESSIONS, _WAITING = 500, 16 * 1024 * 1024
#: Sessions between a subagent and the person.
_DEEPEST = 16


class Stream:
    """Turns events into what they tell; keeps a bounded little for each session."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._waiting = 0

    def seen(self, payload: Json) -> None:
        """A tool's hook was called and kept: its part, which comes later, is no news."""
        if not isinstance(payload, dict):
            return
        given = inner(payload, "input") or payload
        session, call = text(given, "sessionID"), text(given, "callID")
        if session and call:
            self._wrote(session, text(given, "tool"), payload)
            self._session(session).keep(told.call_key(session, call))

    def keep(self, item: Told) -> None:
        """It is on disk and need not be told again."""
        if item.session in self._sessions:
            self._sessions[item.session].keep(item.key)

    def family(self, session: str, parent: str) -> None:
        """Another session has started this one: nobody else may have said so."""
        if session:
            self._session(session).parent = parent
            if parent:
                self._session(parent)

    def turn_of(self, session: str) -> str:
        """The person's message whose turn this session was last seen in; "" for none."""
        known = self._sessions.get(session)
        return known.turn.prompt if known is not None and known.turn is not None else ""

    def tell(self, event: Json, at: float) -> tuple[Told, ...]:
        """What this event tells; `at` is when it came, for those that do not say when it was."""
        if not isinstance(event, dict):
            return ()
        kind = kind_of(event)
        if kind not in WANTED:
            return ()
        properties = inner(event, "properties") or inner(event, "data")
        info = inner(properties, "info")
        session = text(properties, "sessionID") or text(info, "sessionID")
        session = session or (text(info, "id") if kind.startswith("session.") else "")
        if session:
            return tuple(self._new(session, self._told(kind, session, event, properties, at)))
        if kind != "session.error":
            return ()
        # Of no session: a plugin or a provider that could not be loaded.
        return tuple(told.error(properties.get("error"), _own_id(event), "", at))

    def finish(self, session: str, at: float) -> tuple[Told, ...]:
        """The turn is over though no event says so: for what is read from the database."""
        return tuple(self._new(session, self._idle(session, at)))

    def _new(self, session: str, items: Iterator[Told]) -> Iterator[Told]:
        known = self._sessions.get(session)
        for item in items:
            if known is None or item.key not in known.kept:
                yield item

    def _told(
        self, kind: str, session: str, event: Object, properties: Object, at: float
    ) -> Iterator[Told]:
        info = inner(properties, "info")
        match kind:
            case "session.created" | "session.deleted":
                yield self._life(session, kind.removeprefix("session."), info, at)
            case "session.error":
                yield from self._failed(session, properties.get("error"), _own_id(event), at)
            case "session.status":
                self._retried(session, inner(properties, "status"), at)
            case "session.idle":
                yield from self._idle(session, at)
            case "message.updated":
                yield from self._message(session, info, at)
            case _:
                part = inner(properties, "part")
                yield from self._part(session, part, seconds(properties.get("time"), at))

    def _session(self, name: str) -> Session:
        known = self._sessions.setdefault(name, Session())
        self._sessions.move_to_end(name)
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return known

    def _family(self, name: str) -> Iterator[Session]:
        """The session, what has started it, and so on."""
        for _ in range(_DEEPEST):
            known = self._sessions.get(name)
            if known is None:
                return
            yield known
            name = known.parent

    def _life(self, session: str, change: str, info: Object, at: float) -> Told:
        parent = text(info, "parentID")
        if change == "deleted":
            self._sessions.pop(session, None)
        else:
            self.family(session, parent)
            at = seconds(inner(info, "time").get("created"), at)
        about: Object = {"change": change, "directory": text(info, "directory"), "parent": parent}
        return told.item(f"{session}:{change}", session, EventKind.SESSION, at, "", about)

    def _message(self, session: str, info: Object, at: float) -> Iterator[Told]:
        known, name = self._session(session), text(info, "id")
        message = known.met(name, info, at)
        if message.role != "assistant" or not name:
            return
        ended = inner(info, "time").get("completed")
        if not message.helper:
            yield from self._answers(session, known, text(info, "parentID"), at)
        if ended is None:
            known.writing = name
            if known.turn is not None and not message.helper:
                known.turn.over = False
            return
        known.writing = ""
        yield from self._answered(session, known, message, info, seconds(ended, at))

    def _answers(self, session: str, known: Session, prompt: str, at: float) -> Iterator[Told]:
        """Somebody begins to answer this message: by now all of its parts are known."""
        if prompt and not known.belongs(prompt):
            yield from completed(session, known, at)
            known.begin(prompt)
        if known.turn is not None:
            for name, info in known.aside.items():
                known.turn.uses(name, info)
            known.aside.clear()
        yield from prompted(session, known, prompt)

    def _answered(
        self, session: str, known: Session, message: Message, info: Object, at: float
    ) -> Iterator[Told]:
        """An answer is complete, or has failed."""
        name, problem, turn = text(info, "id"), info.get("error"), known.turn
        yield from retried(session, known, name, problem)
        if problem and problem != known.lone:
            yield from told.error(problem, f"{name}:error", session, at)
        known.lone = None
        if message.helper:
            known.aside[name] = info
            if not problem:
                about: Object = {"message_id": name}
                key = f"{name}:{EventKind.COMPACTION}"
                yield told.item(key, session, EventKind.COMPACTION, at, "", about)
            return
        if turn is not None:
            turn.aborted |= told.is_abort(problem)
            if problem or info.get("finish"):
                turn.over, turn.ended = True, at
        # What a subagent uses, the person's turn uses.
        *_, first = self._family(session)
        if first.turn is not None:
            first.turn.uses(name, info)

    def _part(self, session: str, part: Object, at: float) -> Iterator[Told]:
        known = self._session(session)
        message = known.messages.get(text(part, "messageID"))
        match text(part, "type"):
            case "tool":
                yield from self._tool(session, part, at)
            case "patch":
                if others := known.new_in(text(part, "id"), texts(part, "files")):
                    gone = frozenset(texts(part, GONE))
                    yield told.changed(session, text(part, "id"), others, gone, at)
            case "compaction" if message is not None:
                message.goes_on = True
                if known.turn is not None and part.get("overflow") is True:
                    known.turn.again = True
            case "text" if message is not None and message.role == "user":
                message.hears(part)
                self._bound(len(text(part, "text")))
            case "text" if message is not None and not message.helper and not is_added(part):
                times = inner(part, "time")
                if times.get("end") is not None:
                    key, at = f"{text(part, 'id')}:message", seconds(times.get("end"), at)
                    said = text(part, "text")[:LONGEST_TEXT]
                    yield told.item(key, session, EventKind.MESSAGE, at, said, message.about)
            case _:
                return

    def _tool(self, session: str, part: Object, at: float) -> Iterator[Told]:
        state = inner(part, "state")
        at = seconds(inner(state, "time").get("end"), at)
        match text(state, "status"):
            case "completed":
                call = told.called(session, part, at)
                self._wrote(session, text(part, "tool"), call.payload)
                yield call
            case "error":
                yield from told.failed(session, part, at)
            case _:
                return

    def _wrote(self, session: str, tool: str, payload: Object) -> None:
        """The files of a step are also those that its subagents wrote."""
        self._session(session)
        for path in files_of(tool, payload):
            for known in self._family(session):
                known.wrote(path)

    def _failed(self, session: str, error: Json, event: str, at: float) -> Iterator[Told]:
        known = self._session(session)
        if known.turn is not None:
            known.turn.aborted |= told.is_abort(error)
        if known.writing:
            # The answer that failed tells the same error, in the database too: one id for both.
            yield from told.error(error, f"{known.writing}:error", session, at)
        else:
            known.lone = error
            yield from told.error(error, event, session, at)

    def _retried(self, session: str, status: Object, at: float) -> None:
        """A provider that is asked again: whether that was an error, the answer's end tells."""
        known = self._session(session)
        if known.writing and status.get("type") == "retry":
            first = known.retried
            if first is None or first[0] != known.writing:
                known.retried = (known.writing, text(status, "message"), at)

    def _idle(self, session: str, at: float) -> Iterator[Told]:
        known = self._session(session)
        for name, message in list(known.messages.items()):
            # Nobody answers these: the turn was stopped before, or nobody was asked to.
            if message.role == "user" and message.texts:
                yield from prompted(session, known, name)
        yield from completed(session, known, at)

    def _bound(self, more: int) -> None:
        self._waiting += more
        if self._waiting > _WAITING:
            sizes = [(name, known.size) for name, known in self._sessions.items()]
            self._waiting = sum(size for _, size in sizes)
            for name, size in sizes[:-1]:
                if self._waiting <= _WAITING // 2:
                    break
                del self._sessions[name]
                self._waiting -= size


def _own_id(event: Object) -> str:
    name = text(event, "id")
    return f"{name}:{EventKind.ERROR}" if name else ""
