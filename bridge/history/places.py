"""Whose a session of OpenCode's database is: of the project of its folder, though that be gone."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from memory_manager.optout import opted_out

if TYPE_CHECKING:
    from bridge.history.database import SessionRow
    from bridge.projects import Projects
    from memory_manager.project import Project


async def project_of(session: SessionRow, projects: Projects) -> Project:
    """The project that the session belongs to.

    A worktree that was removed belongs to its repository, and its files are spelled as in it.
    """
    folder, main = session.directory, session.worktree
    if await asyncio.to_thread(_is_gone, folder, main):
        return replace(await projects.of(main), root=folder.rstrip("/"))
    return await projects.of(folder)


async def is_opted_out(session: SessionRow) -> bool:
    """Whether the session's project wants no memory."""
    return await asyncio.to_thread(opted_out, session.directory, session.worktree)


def _is_gone(folder: str, main: str) -> bool:
    # Outside of a repository OpenCode says "/", which is nobody's main folder.
    if not main.startswith("/") or main == "/" or "\0" in folder + main:
        return False
    return not os.path.isdir(folder) and os.path.isdir(main)  # noqa: PTH112 - names of any shape
