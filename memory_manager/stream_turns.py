"""What a stream keeps of each session: who spoke, the turn that runs, what it has told. Pure.

A turn is what a person asked for and everything that was done about it: over compactions, which
go on with a message of their own or with the same one again, and with what subagents did.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from memory_manager import stream_told as told
from memory_manager.hook_payload import LONGEST_PROMPT
from memory_manager.model import EventKind
from memory_manager.stream_values import (
    added_up,
    amount,
    inner,
    is_added,
    model_of,
    remember,
    seconds,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory_manager.model import Json
    from memory_manager.stream_told import Told
    from memory_manager.stream_values import Object

#: Most messages of a session, answers of a turn, files of a step, things that were told, patches.
_MESSAGES, _ANSWERS, _FILES, _KEPT, _PATCHES = 64, 4096, 1024, 512, 32
#: Characters beyond a limit that are kept for who cuts there: a secret may stand across it.
_MARGIN = 8192
LONGEST_TEXT = 64 * 1024 + _MARGIN
_LONGEST_TYPED, _TASK = LONGEST_PROMPT + _MARGIN, 8192
#: What OpenCode says in a person's place when it goes on with what was asked before.
_GOES_ON = ("Continue if you have next steps", "Summarize the task tool output above")


@dataclass(slots=True)
class Message:
    """Who speaks; of a person's message also what was typed, until it is told."""

    role: str
    created: float
    helper: bool
    about: Object
    texts: dict[str, str] = field(default_factory=dict)
    #: OpenCode's own, to go on after a compaction or a subagent.
    goes_on: bool = False

    @property
    def typed(self) -> str:
        """What the person typed, as the hook joins it."""
        return "\n".join(said for said in self.texts.values() if said)[:_LONGEST_TYPED]

    def hears(self, part: Object) -> None:
        """A part of a person's message."""
        said = text(part, "text")
        if not is_added(part):
            self.texts[text(part, "id")] = said[:_LONGEST_TYPED]
        elif inner(part, "metadata").get("compaction_continue") or said.startswith(_GOES_ON):
            self.goes_on = True


@dataclass(slots=True)
class Turn:
    """What a person asked for, and what came of it so far."""

    prompt: str
    began: float | None
    #: What it was about, long: what is private in it and secret is taken out later.
    task: str
    digest: bytes
    ended: float = 0.0
    #: Messages that go on with it.
    others: set[str] = field(default_factory=set)
    #: Its last answer came to an end, in whichever way: a person's own command has none.
    over: bool = False
    aborted: bool = False
    #: A compaction begins with the person's message again.
    again: bool = False
    #: Tokens and cost of each answer: one is told several times.
    used: dict[str, tuple[Object, float]] = field(default_factory=dict)

    def uses(self, answer: str, info: Object) -> None:
        """What an answer cost."""
        if (tokens := inner(info, "tokens")) and (answer in self.used or len(self.used) < _ANSWERS):
            self.used[answer] = (tokens, amount(info.get("cost")))


@dataclass(slots=True)
class Session:
    """One session, as far as it was heard of."""

    parent: str = ""
    messages: OrderedDict[str, Message] = field(default_factory=OrderedDict)
    turn: Turn | None = None
    #: The answer that is being written, and that a provider did not give at once: why, and when.
    writing: str = ""
    retried: tuple[str, str, float] | None = None
    #: What compactions cost, until it is known that the turn goes on after them.
    aside: dict[str, Object] = field(default_factory=dict)
    #: Messages that say again what was asked before.
    replays: OrderedDict[str, None] = field(default_factory=OrderedDict)
    #: An error that no answer was known for.
    lone: Json = None
    #: What was told and needs no second time; files that tools wrote since the last patch; what
    #: was new in the last patches.
    kept: OrderedDict[str, None] = field(default_factory=OrderedDict)
    written: OrderedDict[str, None] = field(default_factory=OrderedDict)
    patches: OrderedDict[str, list[str]] = field(default_factory=OrderedDict)

    @property
    def size(self) -> int:
        """Characters of what is still to be told."""
        return sum(len(said) for each in self.messages.values() for said in each.texts.values())

    def keep(self, key: str) -> None:
        """It was told."""
        if key:
            remember(self.kept, key, _KEPT)

    def wrote(self, path: str) -> None:
        """A tool wrote this file."""
        remember(self.written, path, _FILES)

    def met(self, name: str, info: Object, at: float) -> Message:
        """The message of this id."""
        known = self.messages.get(name)
        if known is not None:
            return known
        helper = info.get("summary") is True or text(info, "mode") == "compaction"
        created = seconds(inner(info, "time").get("created"), at)
        about: Object = {"message_id": name, "agent": text(info, "agent"), "model": model_of(info)}
        if self.parent:
            about["parent"] = self.parent
        message = Message(text(info, "role"), created, helper, about)
        message.goes_on = name in self.replays
        self.messages[name] = message
        while len(self.messages) > _MESSAGES:
            self.messages.popitem(last=False)
        return message

    def belongs(self, prompt: str) -> bool:
        """Whether an answer to this message belongs to the turn that runs."""
        turn, asked = self.turn, self.messages.get(prompt)
        if turn is None:
            return False
        if prompt == turn.prompt or prompt in turn.others:
            return True
        if asked is None:
            return False
        if not asked.goes_on and self._is_replay(asked, turn):
            asked.goes_on = True
            remember(self.replays, prompt, _MESSAGES)
        if not asked.goes_on:
            return False
        if len(turn.others) < _MESSAGES:
            turn.others.add(prompt)
        return True

    def _is_replay(self, asked: Message, turn: Turn) -> bool:
        again = turn.again and _digest(asked.typed) == turn.digest
        turn.again = turn.again and not again
        return again

    def begin(self, prompt: str) -> None:
        """A new turn."""
        asked = self.messages.get(prompt)
        typed = asked.typed if asked else ""
        began = asked.created if asked else None
        self.turn = Turn(prompt, began, typed[:_TASK], _digest(typed))
        self.aside.clear()

    def new_in(self, part: str, files: list[str]) -> list[str]:
        """What of the files of a step no tool has named; each patch is asked about once."""
        if part not in self.patches:
            self.patches[part] = [path for path in files if path not in self.written]
            self.written.clear()
            while len(self.patches) > _PATCHES:
                self.patches.popitem(last=False)
        return self.patches[part]


def prompted(session: str, known: Session, name: str) -> Iterator[Told]:
    """What a person typed."""
    message, key = known.messages.get(name), f"{name}:{EventKind.PROMPT}"
    if message is None or message.role != "user":
        return
    if key in known.kept or message.goes_on:
        message.texts.clear()
    elif said := message.typed:
        yield told.item(key, session, EventKind.PROMPT, message.created, said, message.about)


def completed(session: str, known: Session, at: float) -> Iterator[Told]:
    """What a person asked for was done, or failed; not what was stopped, or a subagent's part."""
    turn = known.turn
    if turn is None or known.parent or turn.aborted or not turn.over:
        return
    ended = turn.ended or at
    used = list(turn.used.values())
    key = f"{turn.prompt}:{EventKind.SUCCESS}"
    payload: Object = {
        "session_id": session,
        "event_id": key,
        "message_id": turn.prompt,
        "task": turn.task or None,
        "duration": None if turn.began is None else round(max(0.0, ended - turn.began), 3),
        "tokens": added_up(tokens for tokens, _ in used) if used else None,
        "cost": round(sum(cost for _, cost in used), 6) if used else None,
    }
    yield told.Call("session.idle", payload, ended, session, key)


def retried(session: str, known: Session, answer: str, problem: Json) -> Iterator[Told]:
    """What a provider said before it was asked again, unless the answer's own error says it."""
    if known.retried is not None and known.retried[0] == answer:
        _, why, at = known.retried
        if not problem or told.is_abort(problem):
            error: Object = {"name": "APIError", "data": {"message": why or "asked again"}}
            yield from told.error(error, f"{answer}:error", session, at)


def _digest(typed: str) -> bytes:
    return blake2b(typed.encode("utf-8", "surrogatepass"), digest_size=16).digest()
