"""The token that opens HTTP: a file that only its owner can read, made once."""

from __future__ import annotations

import os
import re
import secrets
import stat
from typing import TYPE_CHECKING

from memory_manager.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

NAME = "http-token"
_BYTES, _LONGEST = 32, 512
_TOKEN = re.compile(r"[!-~]{32,512}")


def token_in(folder: Path) -> str:
    """The token of this data folder; the first time, a new one.

    Raises:
        Unavailable: the file is not ours alone, holds no token, or can't be read or written.
    """
    path = folder / NAME
    try:
        if not path.is_symlink() and not path.exists():
            _make(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, encoding="ascii") as file:  # noqa: PTH123 - a descriptor, so that what is checked is what is read
            found = os.fstat(descriptor)
            token = file.read(_LONGEST + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"the token file {path} can't be used: {error}; delete it") from None
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
        raise Unavailable(f"the token file {path} is not this user's own; delete it")
    if found.st_mode & 0o077:
        raise Unavailable(
            f"the token file {path} can be read by others (mode {found.st_mode & 0o777:o}); "
            "delete it, a new one is made"
        )
    if not _TOKEN.fullmatch(token):
        raise Unavailable(f"the token file {path} holds no token; delete it, a new one is made")
    return token


def _make(path: Path) -> None:
    # Whole or not at all: a crash in between leaves a file that nobody looks at.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(
        unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        os.write(descriptor, secrets.token_urlsafe(_BYTES).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    unfinished.replace(path)
