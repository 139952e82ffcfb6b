"""Which project a directory is, and one spelling for each path in it.

An override, else the remote, else the first commit, else the place. Blocking: files are read and
Git may be run, so call it in a thread. Nothing on disk makes it raise.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from memory_manager import paths, repository

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memory_manager.repository import Repository

#: What `group_of` gives.
_GROUP = re.compile(r"g_[0-9a-f]{24}")
#: Seconds that Git may take to find the first commit.
GIT_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Project:
    """One project, as it looks from one directory."""

    #: Its partition of the memory.
    group: str
    #: What a person calls it: the last part of the remote, or the folder's name.
    name: str
    #: The real top folder, the worktree's own in a worktree.
    root: str
    #: What the caller registers for `group`, so that it stands when identities change.
    aliases: tuple[str, ...] = ()

    def spelling(self, path: str, directory: str = "") -> str:
        """The project's spelling of `path`; see `canonical`."""
        return canonical(path, self.root, directory)

    def paths_in(self, text: str, directory: str = "") -> tuple[str, ...]:
        """What `text` mentions that looks like a path, in the project's spelling.

        A relative one may be meant from the working directory or from the root: both are given.
        """
        found: dict[str, None] = {}
        for mentioned in paths.mentioned(text):
            for base in dict.fromkeys((directory, self.root)):
                found[canonical(mentioned, self.root, base)] = None
        return tuple(found)


def identify(
    directory: str,
    named: str = "",
    *,
    known: Callable[[Sequence[str]], str | None] | None = None,
    host: str = "",
    timeout: float = GIT_TIMEOUT,
) -> Project:
    """The project that `directory` belongs to.

    Args:
        directory: absolute; need not exist.
        named: `OPENCODE_MEM_PROJECT` or `--group`, which overrides everything: a name, or a group
            id as `export` and `status` give it.
        known: the group that the first known one of these aliases is registered for. With it a
            project keeps its group when a commit or a remote comes later; without it, the group is
            that of the strongest identity.
        host: whose directories these are (default: this machine's name).
        timeout: seconds that Git may take.
    """
    root, found = _top(directory)
    if name := named.strip():
        return Project(name if _GROUP.fullmatch(name) else group_of(f"name:{name}"), name, root)
    lookup = known or _nobody
    url = repository.remote(found) if found else ""
    strongest = f"remote:{url}" if url else ""
    if strongest and (group := lookup([strongest])):
        return Project(group, _name(url, root), root, (strongest,))
    commit = ""
    if found and (known or not url):
        commit = repository.root_commit(found, timeout)
    place = f"place:{host or os.uname().nodename}:{root}"
    identities = [name for name in (strongest, commit and f"commit:{commit}", place) if name]
    group, inherited = _inherited(identities, lookup)
    aliases = (identities[0], *inherited)
    return Project(group or group_of(identities[0]), _name(url, root), root, aliases)


def canonical(path: str, root: str, directory: str = "") -> str:
    """The project's spelling of `path`: relative to the root when it lies in it, else absolute.

    Symbolic links are resolved, and a path in another worktree of the same repository is spelled
    as in this one.

    Args:
        path: as someone wrote it.
        root: the project's real root, as in `Project`.
        directory: what a relative path is relative to (default: the root).
    """
    wanted = paths.normalise(path.replace("\0", ""), "", directory or root or "/")
    if not wanted.startswith("/"):
        return wanted
    real = _real(wanted)
    top = repository.find(os.path.dirname(real), root)  # noqa: PTH120 - strings, as in repository.py
    base = root
    if root and top is not None and top.top != root:
        own = repository.find(root)
        if own is not None and own.common and own.common == top.common:
            base = top.top
    return paths.normalise(real, base)


def group_of(identity: str) -> str:
    """`g_<hex>` of an identity."""
    digest = blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=12)
    return f"g_{digest.hexdigest()}"


def _inherited(
    identities: list[str], lookup: Callable[[Sequence[str]], str | None]
) -> tuple[str | None, tuple[str, ...]]:
    """The group of the strongest identity that is known, and the mark of what was taken over.

    A weaker identity is known only if the project had nothing stronger when it was registered:
    then this is that project, with a remote or a commit by now. It is taken over once: another
    remote with the same first commit is a fork, and another repository at the same place is new.
    """
    first, *weaker = identities
    if group := lookup([first]):
        return group, ()
    for identity in weaker:
        mark = f"taken:{identity}"
        if lookup([mark]) is None and (group := lookup([identity])):
            return group, (mark,)
    return None, ()


def _nobody(_aliases: Sequence[str]) -> None:
    return None


def _top(directory: str) -> tuple[str, Repository | None]:
    real = _real(directory.replace("\0", "") or "/")
    found = repository.find(real)
    return (found.top if found else real), found


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return os.path.normpath(path)


def _name(url: str, root: str) -> str:
    return (url or root).rstrip("/").rpartition("/")[2] or "project"
