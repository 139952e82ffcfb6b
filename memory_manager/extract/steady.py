"""Messages without what differs from run to run, so that one error has one name."""

from __future__ import annotations

import re

_MESSAGE, _LAST = 200, 120

#: Colours and cursor movements of a terminal.
ANSI = re.compile(r"\x1b\[[0-9;]{0,12}[A-Za-z]")
_VOLATILE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", "<uuid>"),
        (
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?",
            "<time>",
        ),
        (r"\b\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\b", "<time>"),
        (r"(?:/private)?(?:/tmp|/var/tmp|/var/folders)/[^\s\"'`:,)\]]*", "<tmp>"),
        (r"[A-Za-z]:\\[^\s\"']*\\Temp\\[^\s\"']*", "<tmp>"),
        (r"\b0x[0-9a-fA-F]+\b", "0x…"),
        (r"\b(?=[0-9a-f]{0,63}\d)(?=\d{0,63}[a-f])[0-9a-f]{10,64}\b", "<hash>"),
        (r"\b(?:after |in )?\d{1,12}(?:\.\d{1,9})?\s?(?:ms|µs|us|ns|s|secs?|seconds?|mins?|minutes?)\b", "<duration>"),
        (r"(?i)\b(lines?|columns?|col|char) \d{1,9}(?:[-\u2013]\d{1,9})?", r"\1 N"),
        (r"(?i)\b(pid|process|thread|goroutine|port)([ =:#]{1,3})\d{1,12}\b", r"\1\2N"),
        (r"(\.[A-Za-z]\w{0,9}):\d{1,7}(?::\d{1,7})?", r"\1"),
        (r"(\w):\d{4,5}\b", r"\1:N"),
    )
)  # fmt: skip


def steady(message: str, directory: str = "") -> str:
    """`message` in one line without what differs from run to run, bounded."""
    text = ANSI.sub("", message[: _MESSAGE * 3])
    if directory:
        text = text.replace(directory.rstrip("/") + "/", "")
    for pattern, new in _VOLATILE:
        text = pattern.sub(new, text)
    text = " ".join(text.split())
    return text if len(text) <= _MESSAGE else text[: _MESSAGE - 1] + "…"


_WORDS = re.compile(r"[^\W\d_]{3}|[\u3040-\uffdc]")


def last_line(output: str, directory: str = "") -> str:
    """The last line that says something: all there is of an error that has no known form."""
    for line in reversed(output[-4096:].split("\n")):
        said = steady(line, directory)
        if _WORDS.search(said) and said not in {"FAIL", "FAILED"}:
            return said[:_LAST]
    return ""
