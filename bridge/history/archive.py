"""OpenCode's history as the bridge uses it: put together, and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.history.catching_up import CatchingUp
from bridge.history.database import location
from bridge.history.importing import Importing
from bridge.history.marks import Marks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from bridge.params import Params
    from bridge.parts import Parts
    from memory_manager.model import Json
    from memory_manager.spool.reading import SpoolReader


class Archive:
    """Catches up with what was missed, and imports what was before."""

    def __init__(  # noqa: PLR0913 - what it stands between
        self,
        parts: Parts,
        folder: Path,
        environment: Mapping[str, str],
        open_reader: Callable[[], SpoolReader],
        *,
        news: Callable[[], None],
        family: Callable[[str, str], None],
    ) -> None:
        """`folder` is for the marks; the environment says where OpenCode's database is."""
        database = location(environment)
        self._marks = Marks(folder / "history.sqlite3")
        self._catching_up = CatchingUp(
            parts, database, self._marks, open_reader, news=news, family=family
        )
        importing = Importing(parts, database, self._marks, open_reader, news)
        self.table: Mapping[str, Callable[[Params], Awaitable[Json]]] = importing.table

    async def catch_up(self, directory: str, worktree: str = "") -> None:
        """See `CatchingUp.catch_up`: long, and never raises a fault."""
        await self._catching_up.catch_up(directory, worktree)

    def close(self) -> None:
        """Release the files."""
        self._marks.close()
