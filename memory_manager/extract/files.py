"""Paths: the ones an event is about, and the ones a text names. Linear-time on any text."""

# ruff: noqa: SIM905 - long lists of words read best as one string
from __future__ import annotations

import posixpath
import re

from memory_manager.paths import normalise

#: What can be a path: a bounded run without the characters that end one in prose and in output.
_TOKEN = re.compile(r"[^\s\"'`<>|()\[\]{},;:=*?!#&$\\^]{3,256}")
_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>]{1,512}")
_SCAN = 32_768
_LONGEST = 255

_EXTENSIONS = frozenset(
    "astro bash bat c cc cfg clj cmake conf cpp cs css csv cu cxx dart ex exs fish go gradle "
    "graphql h hpp hs html ini ipynb java jl js json json5 jsonc jsonl jsx kt kts less lock lua m "
    "md mdx mjs cjs mm mod mts cts nix php pl plist properties proto ps1 py pyi pyx r rb rs rst sass "
    "scala scss sh sql sum svelte svg swift tcl tf toml ts tsx txt vue xml yaml yml zig zsh".split()
)
_NAMES = frozenset(
    "Containerfile Dockerfile Gemfile Jenkinsfile Justfile Makefile Procfile Rakefile justfile "
    "makefile".split()
)
#: Folders of code that is not the project's own.
_FOREIGN = ("node_modules/", "site-packages/", "dist-packages/", ".venv/", "venv/", ".cargo/")


def is_file_name(path: str) -> bool:
    """Whether the last part of `path` is a file of a kind that projects have."""
    name = path.rsplit("/", 1)[-1]
    stem, dot, extension = name.rpartition(".")
    return bool(dot and stem and extension.lower() in _EXTENSIONS) or name in _NAMES


def named_in(text: str, directory: str = "", limit: int = 16) -> tuple[str, ...]:
    """The files that `text` names, normalised, each once, in order, at most `limit`."""
    bare = text[:_SCAN]
    if "://" in bare:
        bare = _URL.sub(" ", bare)
    found: dict[str, None] = {}
    for match in _TOKEN.finditer(bare):
        token = match.group()
        if "." not in token and token not in _NAMES and "/" not in token:
            continue
        token = token.rstrip(".")
        if len(token) > _LONGEST or token[:1] in "-@" or token[:2] == "//":
            continue
        if not is_file_name(token):
            continue
        found[normalise(_bare(token), directory)] = None
        if len(found) >= limit:
            break
    return tuple(found)


def _bare(token: str) -> str:
    """Without the `a/` and `b/` that git writes before the names in a diff."""
    return token[2:] if token.startswith(("a/", "b/")) and token.count("/") > 1 else token


def is_own(path: str) -> bool:
    """Whether `path` is one of the project's own files (not a library's, not outside)."""
    return (
        bool(path)
        and not path.startswith(("/", "..", "~"))
        and not any(folder in path for folder in _FOREIGN)
    )


def parent(path: str) -> str:
    """The directory of `path`; "." for the project's root."""
    return posixpath.dirname(path) or "."
