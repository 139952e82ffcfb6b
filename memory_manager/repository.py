"""Git repositories, read from their files: where one begins, which remote it has, its first commit.

Nothing here raises for what is on disk: a broken, foreign or unreadable repository is one that
says less about itself. Only `root_commit` runs Git. Paths are strings: this runs for every path of every
hook, and pathlib is ten times slower.
"""
# ruff: noqa: PTH111, PTH112, PTH113, PTH118, PTH120, PTH123

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

#: Most bytes read of a configuration or a pointer file.
_LIMIT = 1024 * 1024

#: Repositories on this machine that a remote may lead through.
_HOPS = 4

_SECTION = re.compile(r'^\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_ENTRY = re.compile(r"^([A-Za-z][\w-]*)\s*=\s*(.*)$")

#: `host:path`, with a user or without; a slash before the colon makes it a local path.
_SCP = re.compile(r"^(?:[^@/\[\s]+@)?(\[[^\]/]+\]|[^:/\s]{2,}):(?!//)(.+)$", re.DOTALL)
_URL = re.compile(r"^([a-z][a-z0-9+.-]*)://([^/?#]*)(.*)$", re.IGNORECASE | re.DOTALL)

#: Hosts that are another host's door for networks that only let HTTPS through.
_DOORS = {"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com"}


@dataclass(frozen=True, slots=True)
class Repository:
    """`top` is the working tree's root; worktrees of one repository share `common`.

    `common` is "" when the repository is broken: then only its place is known.
    """

    top: str
    common: str


def find(directory: str, below: str = "") -> Repository | None:
    """The repository that a real, absolute path is in; the innermost, so a submodule is its own.

    Args:
        directory: where to begin.
        below: where to end, unseen: the root of a project that is known already.
    """
    folder = directory
    while folder != below:
        try:
            git = f"{folder.rstrip('/')}/.git"
            if os.path.lexists(git):
                return Repository(folder, _common(_git_dir(git)))
            if _bare(folder):
                return Repository(folder, folder)
        except (OSError, ValueError):
            return None
        parent = os.path.dirname(folder)
        if parent == folder:
            break
        folder = parent
    return None


def remote(repository: Repository) -> str:
    """The normalised remote: origin, else the first by name; "" when there is none.

    A remote on this machine is followed to its own, so that a clone of a clone is the same project.
    """
    seen: set[str] = set()
    here: Repository | None = repository
    while here is not None and here.common and here.common not in seen and len(seen) < _HOPS:
        seen.add(here.common)
        urls = remotes(_read(f"{here.common}/config"))
        url = urls.get("origin") or next((urls[name] for name in sorted(urls)), "")
        there = local_path(url)
        if there is None:
            return normalise_remote(url)
        here = _at(os.path.realpath(os.path.join(here.top, there))) if there else None
    return ""


def _at(path: str) -> Repository | None:
    """The repository that is at `path`, not one around it."""
    found = find(path)
    return found if found is not None and path in (found.top, found.common) else None


def remotes(config: str) -> dict[str, str]:
    """The first URL of each remote in the text of a Git configuration. Pure."""
    urls: dict[str, str] = {}
    name = None
    for line in re.sub(r"\\\r?\n", "", config).splitlines():
        text = line.strip()
        section = _SECTION.match(text)
        if section:
            is_remote = section[1].lower() == "remote" and section[2] is not None
            name = re.sub(r"\\(.)", r"\1", section[2]) if is_remote else None
            text = text[section.end() :].strip()
        entry = _ENTRY.match(text)
        if entry and name is not None and entry[1].lower() == "url":
            value = _value(entry[2])
            if value:
                urls.setdefault(name, value)
    return urls


def local_path(url: str) -> str | None:
    """The path that a remote on this machine has ("" when there is no URL); None: it is elsewhere."""
    if not url:
        return ""
    match = _URL.match(url)
    if match:
        return unquote(match[3]) if match[1].lower() == "file" else None
    if "::" in url.partition("/")[0] or _SCP.match(url):
        return None
    return os.path.expanduser(url)


def normalise_remote(url: str) -> str:
    """`host/path` of a remote URL: one spelling for ssh, https, git@ and git://. Pure.

    User, password, port, `.git` and the host's case don't count; the path's case does.
    """
    url = url.strip()
    match, scp = _URL.match(url), _SCP.match(url)
    if match:
        host, path = match[2].rpartition("@")[2], re.split(r"[?#]", match[3])[0]
    elif scp and "::" not in url.partition("/")[0]:
        host, path = scp[1], scp[2]
    else:
        return url
    if not host.endswith("]"):
        host = re.sub(r":\d*$", "", host)
    if not match:
        host = re.sub(r"^\[(?:[^@]*@)?([^\]]*?)(?::\d+)?\]$", r"\1", host)
    host = host.lower().rstrip(".")
    parts = [part for part in unquote(path).split("/") if part not in ("", ".")]
    clean = "/".join(parts)
    clean = clean.removesuffix(".git").rstrip("/")
    return f"{_DOORS.get(host, host)}/{clean}" if clean else host


def root_commit(repository: Repository, timeout: float) -> str:
    """The repository's first commit (the oldest, if several); "" when Git can't say in time."""
    if not repository.common or os.path.lexists(f"{repository.common}/shallow"):
        # The first commit of a shallow clone is wherever it was cut off.
        return ""
    # GIT_DIR and its like are set inside Git's own hooks, and name another repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    # In a container the folder is often another user's; nothing that runs a program is read here.
    command = ["git", "-c", "safe.directory=*", "--no-replace-objects"]
    command += ["--git-dir", repository.common, "rev-list", "--max-parents=0", "HEAD"]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the folder is an option's value
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            cwd="/",
            env=env,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    commits = done.stdout.decode("ascii", "replace").split() if done.returncode == 0 else []
    return commits[-1] if commits and re.fullmatch(r"[0-9a-f]{40,64}", commits[-1]) else ""


def _git_dir(git: str) -> str:
    """The folder behind a `.git`, which is a file in worktrees and submodules."""
    if os.path.isdir(git):
        return git
    named = _read(git).strip()
    if not named.startswith("gitdir:"):
        return ""
    target = named.removeprefix("gitdir:").strip()
    return os.path.normpath(os.path.join(os.path.dirname(git), target)) if target else ""


def _common(git_dir: str) -> str:
    """What all worktrees share, "" for what is no repository."""
    if not git_dir or not os.path.isfile(f"{git_dir}/HEAD"):
        return ""
    shared = _read(f"{git_dir}/commondir").strip()
    folder = os.path.join(git_dir, shared) if shared else git_dir
    return os.path.realpath(folder) if os.path.isdir(folder) else ""


def _bare(folder: str) -> bool:
    return (
        os.path.isfile(f"{folder}/HEAD")
        and os.path.isdir(f"{folder}/objects")
        and os.path.isdir(f"{folder}/refs")
        and PurePosixPath(folder).name != ".git"
    )


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_LIMIT).decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        return ""


def _value(text: str) -> str:
    """A value of a Git configuration: quotes, escapes and comments resolved."""
    out: list[str] = []
    quoted = False
    letters = iter(text)
    for letter in letters:
        if letter == "\\":
            escaped = next(letters, "")
            out.append({"n": "\n", "t": "\t", "b": "\b"}.get(escaped, escaped))
        elif letter == '"':
            quoted = not quoted
        elif letter in "#;" and not quoted:
            break
        else:
            out.append(letter)
    return "".join(out).strip()
