"""Projects whose owner wants no memory: a file in the project's folder says so.

Where it stands, nothing is recorded, imported or injected.
"""

from __future__ import annotations

import os

#: Either of them, in the folder that OpenCode runs in or in the root of its worktree.
OPT_OUT_FILES = (".opencode-mem-off", ".opencode/memory-off")


def opted_out(*folders: str) -> bool:
    """Whether one of these folders says so; what is no absolute path says nothing."""
    return any(
        os.path.lexists(f"{folder.rstrip('/')}/{name}")
        for folder in folders
        if folder.startswith("/") and "\0" not in folder
        for name in OPT_OUT_FILES
    )
