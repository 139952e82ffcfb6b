"""Which tests passed and failed, from the output of a test runner. Linear-time."""

# ruff: noqa: SIM905 - long lists of words read best as one string
from __future__ import annotations

import re

_SCAN, _MOST_FAILED, _MOST_PASSED = 131_072, 50, 30

#: marker without which the pattern need not be tried ("tick": any tick or cross), pattern; groups: (name, verdict) by name
_FORMATS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (marker, re.compile(pattern, re.MULTILINE))
    for marker, pattern in (
        # pytest: the short summary, then -v.
        ("::", r"^(?P<v>FAILED|ERROR|PASSED) (?P<n>[^\s:]{1,200}::[^\s]{1,200})"),
        ("::", r"^(?P<n>[^\s:]{1,200}::[^\s]{1,200})[ \t]{1,80}(?P<v>PASSED|FAILED|ERROR)\b"),
        # Go.
        ("--- ", r"^[ \t]{0,16}--- (?P<v>FAIL|PASS): (?P<n>[^\s]{1,200})"),
        # Rust.
        (" ... ", r"^test (?P<n>[\w:]{1,200})(?: - should panic)? \.\.\. (?P<v>ok|FAILED)"),
        # Jest, Vitest, Mocha, node:test, Bun.
        (
            "tick",
            (
                r"^[ \t]{0,16}(?P<v>[\u2713\u2714\u2717\u2715\u2716\u221a\u00d7])[ \t]{1,4}"
                r"(?P<n>[^\n]{1,200}?)(?:[ \t]{1,4}\(?\d{1,7}(?:\.\d{1,6})?[ \t]?m?s\)?)?[ \t]{0,8}$"
            ),
        ),
        ("(", r"^\((?P<v>pass|fail)\) (?P<n>[^\n]{1,200}?)(?: \[[\d.]{1,12}m?s\])?$"),
        (
            ".",
            r"^[ \t]{0,4}(?P<v>PASS|FAIL)[ \t]{1,4}(?P<n>[\w./@-]{1,200}\.(?:[cm]?[jt]sx?|vue|svelte))\b",
        ),
        # unittest.
        (" (", r"^(?P<v>FAIL|ERROR): (?P<n>\w{1,120} \([\w.]{1,200}\))"),
        (" ... ", r"^(?P<n>\w{1,120} \([\w.]{1,200}\)) \.\.\. (?P<v>ok|FAIL|ERROR)"),
        # Gradle, Maven.
        (" > ", r"^(?P<n>[A-Z][\w.$]{0,150} > [^\n]{1,150}?) (?P<v>PASSED|FAILED)$"),
        (
            "[ERROR]",
            r"^\[(?P<v>ERROR)\][ \t]{1,8}(?P<n>[A-Z]\w{0,100}(?:Test|Tests|IT)\.\w{1,100})",
        ),
        # CTest, TAP.
        (
            "Test",
            (
                r"^[ \t]{0,4}\d{1,5}/\d{1,5} Test[ \t]{1,4}#\d{1,5}: (?P<n>[^\s]{1,150})[ .]{1,100}"
                r"(?:\*\*\*)?(?P<v>Passed|Failed)"
            ),
        ),
        (
            "ok ",
            r"^(?P<v>not ok|ok) \d{1,6}(?: -)? (?P<n>[^\n#]{1,150}?)[ \t]{0,4}(?:#[^\n]{0,200})?$",
        ),
    )
)
_GOOD = frozenset("PASSED PASS ok pass Passed \u2713 \u2714 \u221a".split())
_TICKS = re.compile("[\u2713\u2714\u2717\u2715\u2716\u221a\u00d7]")
#: A passing "✓" or "ok" line that is no test's: build steps, check lists.
_SENTENCE = re.compile(r"[.!]$")


def results(output: str) -> dict[str, bool]:
    """Each test's name and whether it passed; one that did both in one run has failed.

    Failures first, bounded: at most 50 failed and 30 passed ones.
    """
    text = output if len(output) <= _SCAN else output[: _SCAN // 2] + "\n" + output[-_SCAN // 2 :]
    passed: dict[str, bool] = {}
    failed: dict[str, bool] = {}
    for marker, pattern in _FORMATS:
        if not (_TICKS.search(text) if marker == "tick" else marker in text):
            continue
        for match in pattern.finditer(text):
            name, verdict = match["n"].strip(), match["v"]
            if verdict in _GOOD:
                if len(passed) < _MOST_PASSED * 4 and not _SENTENCE.search(name):
                    passed[name] = True
            elif len(failed) < _MOST_FAILED:
                failed[name] = False
    kept = [name for name in passed if name not in failed][:_MOST_PASSED]
    return failed | dict.fromkeys(kept, True)


def file_of(test: str) -> str:
    """The file in a test's name (`tests/test_a.py::test_b`, `src/a.test.ts`), or ""."""
    head = test.partition("::")[0]
    return head if "." in head and ("::" in test or "/" in head) and " " not in head else ""
