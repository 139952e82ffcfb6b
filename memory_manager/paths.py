"""One spelling for each path. Pure: symbolic links are `project.py`'s business.

A path inside the project is written relative to its root with forward slashes (`src/app.py`);
one outside keeps its absolute form.
"""

from __future__ import annotations

import posixpath
import re

#: A word that may be a path.
_WORD = re.compile(r"[^\s\"'`()<>{}\[\],;|=*?!]+")
_NAME = re.compile(r"[\w@+~.-]*\.[A-Za-z]\w{0,9}", re.ASCII)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_QUOTED = re.compile(r"[`\"']([^`\"'\n]{1,512}\.[A-Za-z]\w{0,9})[`\"']")
#: Characters of a text that are searched for paths, and of one path.
_SCANNED, _LONGEST = 32_768, 512


def normalise(path: str, root: str, directory: str = "") -> str:
    """The project's spelling of `path`.

    Args:
        path: as someone wrote it: absolute, relative, `./`, `..`, backslashes.
        root: the project's absolute root ("" when unknown).
        directory: what a relative path is relative to (default: the root).
    """
    clean = path.strip().replace("\\", "/") if "\\" in path else path.strip()
    if not clean:
        return ""
    if not clean.startswith("/"):
        clean = posixpath.join(directory or root or "", clean)
    clean = posixpath.normpath(clean)
    if clean.startswith("//"):
        clean = clean[1:]
    base = posixpath.normpath(root) if root else ""
    if base and base != "/":
        if clean == base:
            return "."
        if clean.startswith(base + "/"):
            return clean[len(base) + 1 :]
    return clean


def mentioned(text: str, limit: int = 64) -> tuple[str, ...]:
    """What in `text` looks like a path, as written, each once, in order, at most `limit`.

    That is a word with a slash, a name with an extension, or either in quotes (then with spaces).
    Linear in the text, whatever it holds.
    """
    scanned = text[:_SCANNED]
    found = dict.fromkeys(match.group(1) for match in _QUOTED.finditer(scanned))
    for match in _WORD.finditer(scanned):
        if len(found) >= limit:
            break
        word = match.group()
        if len(word) > _LONGEST or _URL.match(word):
            continue
        word = _bare(word)
        if _is_path(word):
            found.setdefault(word)
    return tuple(list(found)[:limit])


def _bare(word: str) -> str:
    """`word` without line and column numbers and the sentence's punctuation at its end."""
    while True:
        bare = word.rstrip(".:")
        head, colon, digits = bare.rpartition(":")
        if not (colon and digits.isdigit()):
            return bare
        word = head


def _is_path(word: str) -> bool:
    if "/" in word or "\\" in word:
        return bool(word.strip("./\\"))
    return _NAME.fullmatch(word) is not None
