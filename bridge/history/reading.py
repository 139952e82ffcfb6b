"""One session of OpenCode's database with its subagents, page by page: what it tells, and how far it was read.

Reading begins again at the turn that was not at its end: the stream that follows it knows nothing
of what came before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.history.marks import Mark
from bridge.history.replaying import Replay, created, incomplete
from memory_manager.stream import Stream
from memory_manager.stream_values import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bridge.history.database import History, MessageRow, SessionRow
    from memory_manager.model import Json
    from memory_manager.stream import Told

#: Messages of a page, and characters after which it has enough.
PAGE, _LARGE = 40, 2 * 1024 * 1024
#: Milliseconds without a word after which a turn is taken for over, and after which an answer
#: that has no end will never have one.
_QUIET_MS, _DEAD_MS = 60_000, 24 * 3600 * 1000
#: Later than anything.
_END = 2**62
#: Turns whose deleted files are remembered, and messages whose time is.
_TURNS = 1000


@dataclass(frozen=True, slots=True)
class Tree:
    """A session that a person began, and those that its subagents did."""

    root: SessionRow
    sessions: tuple[SessionRow, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all its sessions."""
        return tuple(session.id for session in self.sessions)

    @property
    def updated(self) -> int:
        """When one of them was last touched, in ms."""
        return max(session.updated for session in self.sessions)


def trees(sessions: Iterable[SessionRow]) -> list[Tree]:
    """The sessions by whom they serve, newest first. One whose parent is gone stands alone."""
    known = {session.id: session for session in sessions}
    members: dict[str, list[SessionRow]] = {}
    for session in known.values():
        root, seen = session, {session.id}
        while root.parent in known and root.parent not in seen:
            root = known[root.parent]
            seen.add(root.id)
        members.setdefault(root.id, []).append(session)
    found = [Tree(known[root], tuple(those)) for root, those in members.items()]
    return sorted(found, key=lambda tree: tree.updated, reverse=True)


@dataclass(frozen=True, slots=True)
class Page:
    """What some messages told. `mark`: where reading may begin again once that is kept."""

    told: tuple[Told, ...]
    messages: int
    mark: Mark
    last: bool = False


@dataclass(slots=True)
class Reading:
    """Reads one tree from a mark to its end."""

    history: History
    tree: Tree
    #: Where it begins.
    begin: Mark
    now_ms: int
    #: Behind this message (when it was begun, its id).
    position: tuple[int, str] = (0, "")
    stream: Stream = field(default_factory=Stream)
    _replay: Replay = field(default_factory=Replay)
    _gone: dict[str, frozenset[str]] = field(default_factory=dict)
    _begun: dict[str, int] = field(default_factory=dict)
    #: When the first answer without an end was begun.
    _open: int = _END

    def pages(self, size: int = PAGE) -> Iterator[Page]:
        """Everything, in pieces. Blocking."""
        self.position = (self.begin.created, self.begin.message)
        stamp = max(self.history.newest(self.tree.ids), self.tree.updated)
        told: list[Told] = []
        for session in sorted(self.tree.sessions, key=_age):
            began = self._heard([(created(session), session.created)])
            # What began before is known, or was before anybody listened.
            told += began if session.created >= self.position[0] else []
        while rows := self.history.messages(self.tree.ids, self.position, size):
            count = self._add(rows)
            told += self._until(self.position[0])
            yield Page(_each(told), count, self._so_far())
            told = []
        told += self._until(_END)
        quiet = self.now_ms - stamp > _QUIET_MS
        if quiet:
            for session in self.tree.sessions:
                told += self.stream.finish(session.id, stamp / 1000)
        done = quiet and self._open == _END
        mark = Mark(*self.position, stamp, self.begin.since) if done else self._so_far()
        yield Page(_each(told), 0, mark, last=True)

    def _add(self, rows: Sequence[MessageRow]) -> int:
        """Take in these messages, or as many of them as are enough for one page."""
        count = size = 0
        for row in rows:
            parts = self.history.parts(row.id)
            if row.gone:
                self._gone[row.id] = frozenset(row.gone)
            if row.info.get("role") == "user":
                self._begun[row.id] = row.created
            elif incomplete(row) and self.now_ms - row.created < _DEAD_MS:
                self._open = min(self._open, row.created)
            gone = self._gone.get(text(row.info, "parentID"), frozenset())
            self._replay.add(row, parts, gone)
            self.position = (row.created, row.id)
            count, size = count + 1, size + sum(part.size for part in parts)
            if size > _LARGE:
                break
        for known in (self._gone, self._begun):
            while len(known) > _TURNS:
                del known[next(iter(known))]
        return count

    def _until(self, at: int) -> list[Told]:
        return self._heard((each.event, each.at) for each in self._replay.until(at))

    def _heard(self, events: Iterable[tuple[Json, int]]) -> list[Told]:
        told: list[Told] = []
        for event, at in events:
            for item in self.stream.tell(event, at / 1000):
                # Whoever is told keeps it, or reads from the mark on again.
                self.stream.keep(item)
                told.append(item)
        return told

    def _so_far(self) -> Mark:
        """Before the turn that is not at its end, and before whatever is not told yet."""
        begun = self._begun.get(self.stream.turn_of(self.tree.root.id))
        if begun is None:
            # Nobody has answered what was asked since.
            begun = min(self._begun.values(), default=_END)
        oldest = self._replay.oldest
        first = min(begun, self._open, _END if oldest is None else oldest)
        created, message = (first, "") if first <= self.position[0] else self.position
        return Mark(created, message, since=self.begin.since)


def _each(told: Iterable[Told]) -> tuple[Told, ...]:
    return tuple({item.key or id(item): item for item in told}.values())


def next_page(pages: Iterator[Page]) -> Page | None:
    """The next one; None: that was all. Blocking."""
    return next(pages, None)


def _age(session: SessionRow) -> int:
    return session.created
