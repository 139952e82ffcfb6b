"""Definitions in source text, and the ones that a diff touched. Line by line, linear-time.

A symbol is named `path::name`, with the bare name (no class before a method): a diff shows
fragments, and the same method must have one name whether its class is in sight or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Lines are cut, texts are bounded: what is longer is data.
_LINE, _SCAN, _MOST = 300, 200_000, 60

_JS_WORDS = r"(?:export\s+|default\s+|declare\s+|abstract\s+|async\s+)*"
_PYTHON = (re.compile(r"\s*(?:async\s+)?(?:def|class)\s+(\w+)"),)
_SCRIPT = (
    re.compile(rf"\s*{_JS_WORDS}(?:function\b\*?|class|interface|enum|type|namespace)\s+(\w+)"),
    re.compile(
        r"\s*(?:export\s+)?(?:const|let|var)\s+(\w+)\s*(?::[^=]{1,120})?=\s*(?:async\s*)?"
        r"(?:function\b|\([^()]{0,200}\)\s*(?::[^=]{1,80})?=>|\w+\s*=>|\($)"
    ),
    re.compile(
        r"\s+(?:(?:public|private|protected|static|async|readonly|get|set|override)\s+)*"
        r"(?!(?:if|for|while|switch|catch|function|return|constructor|with|super)\b)"
        r"(#?\w+)\s*\([^()]{0,200}\)\s*(?::[^{]{1,100})?\{\s*$"
    ),
)
_GO = (re.compile(r"func\s+(?:\([^)]{0,100}\)\s*)?(\w+)"), re.compile(r"type\s+(\w+)\s"))
_RUST = (
    re.compile(
        r"\s*(?:pub(?:\([^)]{0,40}\))?\s+)?(?:(?:default|const|async|unsafe|extern|\"C\")\s+)*"
        r"(?:fn|struct|enum|trait|mod|union|type|macro_rules!)\s+(\w+)"
    ),
)
_MODIFIER = r"(?:public|protected|private|static|final|abstract|sealed|synchronized|default)\s+"
_JAVA = (
    re.compile(rf"\s*(?:{_MODIFIER})*(?:class|interface|enum|record|@interface)\s+(\w+)"),
    re.compile(rf"\s+(?:{_MODIFIER})+(?:[\w<>\[\],.?&@]{{1,80}}\s+){{0,4}}(\w+)\s*\("),
)
_C = (
    re.compile(r"\s*(?:typedef\s+)?(?:struct|enum|union|class|namespace)\s+(\w+)[^;()=]{0,80}$"),
    re.compile(
        r"(?!(?:return|else|if|for|while|switch|typedef|using|new|delete|case|goto)\b)"
        r"[A-Za-z_][\w:<>,*&]{0,80}(?:\s+[*&]*[\w:<>,*&]{1,80}){0,5}?\s+[*&]{0,3}"
        r"(?:\w{1,80}::)?(~?\w+)\s*\([^;]{0,250}$"
    ),
    re.compile(r"#\s*define\s+(\w+)\("),
)
_LANGUAGES: dict[str, tuple[re.Pattern[str], ...]] = {
    **dict.fromkeys(("py", "pyi", "pyx"), _PYTHON),
    **dict.fromkeys(("ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs"), _SCRIPT),
    **dict.fromkeys(("svelte", "vue", "astro"), _SCRIPT),
    "go": _GO,
    "rs": _RUST,
    "java": _JAVA,
    **dict.fromkeys(("c", "h", "cc", "cpp", "cxx", "hpp", "m", "mm", "cu"), _C),
}


@dataclass(frozen=True, slots=True)
class Touched:
    """What a diff did to the definitions of one file; a name stands in one of the first three."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    #: Those in sight (headers and context included) that are there after the change.
    present: tuple[str, ...] = ()


def language(path: str) -> tuple[re.Pattern[str], ...]:
    """The definition patterns for a file of this name; none for a kind we do not know."""
    return _LANGUAGES.get(path.rpartition(".")[2].lower(), ())


def defined(line: str, patterns: tuple[re.Pattern[str], ...]) -> str:
    """The name that this line defines, or ""."""
    for pattern in patterns:
        match = pattern.match(line)
        if match:
            return match.group(1)
    return ""


def definitions(path: str, content: str) -> tuple[str, ...]:
    """The names defined in a source file, each once, in order, bounded."""
    patterns = language(path)
    found: dict[str, None] = {}
    if patterns:
        for line in content[:_SCAN].split("\n"):
            name = defined(line[:_LINE], patterns)
            if name:
                found[name] = None
                if len(found) >= _MOST:
                    break
    return tuple(found)


def diff_lines(path: str, diff: str) -> list[str]:
    """The hunk lines of `diff` that are about `path`: headers of hunks, `+`, `-` and context."""
    name = path.rsplit("/", 1)[-1]
    lines = [line[: _LINE + 1].rstrip("\r") for line in diff[:_SCAN].split("\n")]
    kept: list[str] = []
    ours = inside = True
    before = ""
    for line in lines:
        if line.startswith("+++ ") and before.startswith("--- "):
            target = line[4:].split("\t")[0].strip()
            if target == "/dev/null":
                target = before[4:].split("\t", maxsplit=1)[0].strip()
            ours = target.rsplit("/", 1)[-1] == name or not target
            if kept and kept[-1] is before:
                kept.pop()
            inside = False
        elif line.startswith("@@"):
            inside = True
            if ours:
                kept.append(line)
        elif line.startswith(("Index: ", "diff --git ", "*** ")):
            inside = False
        elif ours and inside:
            kept.append(line)
        before = line
    return kept


def touched(path: str, diff: str) -> Touched:
    """The definitions of `path` that a unified diff added, changed or removed.

    A changed line counts for the nearest definition above it with less indentation, as far as the
    hunk (its header's context line included) shows one.
    """
    patterns = language(path)
    if not patterns:
        return Touched()
    plus: dict[str, None] = {}
    minus: dict[str, None] = {}
    body: dict[str, None] = {}
    seen: dict[str, None] = {}
    open_: list[tuple[int, str]] = []
    for line in diff_lines(path, diff):
        if line.startswith("@@"):
            open_ = _header(line, patterns)
            seen.update(dict.fromkeys(name for _, name in open_))
            continue
        sign, text = line[:1], line[1:]
        if not text.strip() or sign not in "+- ":
            continue
        indent = len(text) - len(text.lstrip())
        name = defined(text, patterns)
        if name:
            while open_ and open_[-1][0] >= indent:
                open_.pop()
            open_.append((indent, name))
            {"+": plus, "-": minus}.get(sign, seen)[name] = None
        elif sign != " ":
            body.update(dict.fromkeys(_enclosing(open_, indent)))
    added = [name for name in plus if name not in minus]
    removed = [name for name in minus if name not in plus and name not in seen]
    changed = [
        name for name in {**body, **minus} if name not in added and name not in removed
    ]  # fmt: skip
    present = [name for name in {**plus, **seen, **body} if name not in removed]
    return Touched(
        tuple(added[:_MOST]), tuple(changed[:_MOST]), tuple(removed[:_MOST]), tuple(present[:_MOST])
    )


def _header(line: str, patterns: tuple[re.Pattern[str], ...]) -> list[tuple[int, str]]:
    context = line[2:].partition("@@")[2].removeprefix(" ")
    name = defined(context, patterns) or defined("    " + context.strip(), patterns)
    return [(len(context) - len(context.lstrip()), name)] if name else []


def _enclosing(open_: list[tuple[int, str]], indent: int) -> list[str]:
    for depth, name in reversed(open_):
        if depth < indent:
            return [name]
    return []
