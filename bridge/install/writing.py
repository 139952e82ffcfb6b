"""Writes a configuration so that there is always a whole one: the old or the new."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from memory_manager.errors import Rejected

#: Behind a file's name: what it was before we touched it first.
BACKUP = ".before-opencode-mem"


@dataclass(frozen=True, slots=True)
class Change:
    """A file before and after. None: there is none."""

    path: Path
    before: str | None
    after: str | None


def carry_out(change: Change, *, keep: bool) -> None:
    """Make the change; symbolic links, mode and owner stay.

    Args:
        change: what to do.
        keep: leave a copy of the old file beside it, unless there is one.

    Raises:
        Rejected: the file can't be written, or is no longer what it was.
    """
    path = Path(os.path.realpath(change.path))
    try:
        if _now(path) != (None if change.before is None else change.before.encode()):
            raise Rejected(f"{change.path} was changed by somebody else just now; try again")
        if keep and change.before is not None and not backup(change.path).exists():
            _write(backup(change.path), change.before, path.stat())
        if change.after is None:
            path.unlink()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, change.after, None if change.before is None else path.stat())
    except OSError as error:
        raise Rejected(f"{change.path} can't be written: {error.strerror}") from error


def drop_backup(path: Path) -> bool:
    """Remove the copy when the file is again what the copy is; whether a copy is left."""
    copy = backup(path)
    held = _now(copy)
    if held is None:
        return False
    if held != _now(path):
        return True
    copy.unlink(missing_ok=True)
    return False


def backup(path: Path) -> Path:
    """The copy's name."""
    return path.with_name(path.name + BACKUP)


def _now(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(path: Path, text: str, like: os.stat_result | None) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            if like is None:
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            else:
                with suppress(OSError):  # another owner's file in our own folder
                    os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
