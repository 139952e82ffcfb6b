"""Which groups' stamps this bridge may believe. Pure bookkeeping, no I/O.

A group is trusted on one run of one server once its stamps have been rotated there by us. So a
group is not trusted at the bridge's start (it may have crashed between a spooled write and its
invalidation), after a server's restart (which may have loaded an old snapshot), and after an
invalidation of ours that failed, timed out, was interrupted or was skipped. The last kind is owed
to the other bridges too: it is paid with the next command to reach the server, for any group.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Groups remembered. A forgotten one is rotated at its next use: it costs misses, no staleness.
MOST_GROUPS = 1024


@dataclass(frozen=True, slots=True)
class Rotation:
    """Groups to rotate before a command, and the moment (a count) at which that was decided."""

    groups: tuple[str, ...]
    moment: int


class Trust:
    """What one bridge knows about its groups."""

    def __init__(self, most: int = MOST_GROUPS) -> None:
        self._most = most
        self._moment = 0
        self._trusted: dict[str, bytes] = {}
        self._owed: dict[str, int] = {}

    def suspect(self, group: str) -> None:
        """Something written to the group may be unknown to the server."""
        self._moment += 1
        self._trusted.pop(group, None)
        self._owed.pop(group, None)
        self._owed[group] = self._moment
        if len(self._owed) > self._most:
            # Not trusted any more, so this bridge stays safe; others wait for its next use here.
            del self._owed[next(iter(self._owed))]

    def due(self, group: str, server: bytes) -> Rotation | None:
        """What must be rotated on this run of the server before `group` may be used there."""
        if self._trusted.get(group) == server and not self._owed:
            return None
        groups = dict.fromkeys(self._owed)
        if self._trusted.get(group) != server:
            groups[group] = None
        return Rotation(tuple(groups), self._moment)

    def settle(self, rotation: Rotation, server: bytes) -> None:
        """The server has done `rotation`. What was suspected after it was decided stays owed."""
        for group in rotation.groups:
            if self._owed.get(group, 0) > rotation.moment:
                continue
            self._owed.pop(group, None)
            self._trusted.pop(group, None)
            self._trusted[group] = server
        while len(self._trusted) > self._most:
            del self._trusted[next(iter(self._trusted))]
