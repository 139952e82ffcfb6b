"""Errors in command output: their class and a message that is the same in every run.

Tracebacks and panics of Python, JavaScript, Go, Rust and Java, compiler and linter lines, what
shells and build tools say. Works line by line on a bounded part of the output.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from memory_manager.extract.files import is_file_name, is_own
from memory_manager.extract.steady import ANSI, steady
from memory_manager.paths import normalise

_SCAN, _LINE, _MOST, _FILES = 65_536, 400, 8, 6
#: How far from an error's line its frames may stand.
_REACH = 80


@dataclass(frozen=True, slots=True)
class Failure:
    """One error. `files`: the project's own files it occurred in, innermost first."""

    kind: str
    message: str
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The canonical name."""
        return f"{self.kind}: {self.message}" if self.message else self.kind


_RULE = re.compile(r"([A-Z]{1,4}\d{2,5}) (?:\[\*\] )?(.+)|(.+ \([a-z][\w-]{1,30}\))$")
_NAMED = re.compile(
    r"(?:E[ \t]{1,8}|Uncaught |Unhandled |Caused by: |\[ERROR\][ \t]{1,4}|Exception in thread \"[^\"]{0,80}\" |"
    r"error: Uncaught (?:\(in promise\) )?|FAILED [^\s]{1,300} - )?"
    r"((?:[A-Za-z_$][\w$]{0,80}[.:]{1,2}){0,8}[A-Za-z_][\w]{0,80}?"
    r"(?:Error|Exception|Warning|Interrupt|Exit|Failure|Failed|Timeout|Fault|NotFound|DoesNotExist)|Error|AssertionError)"
    r"(?: \[[A-Z_0-9]{1,60}\])?(?::[ \t]{0,4}(.*)|[ \t]*)$"
)
_PY_FRAME = re.compile(r"[ \t]{0,12}File \"([^\"\n]{1,300})\", line \d")
_PYTEST_AT = re.compile(r"([^\s:]{1,250}\.py):\d{1,7}: (?:in \w|[A-Z]\w*)")
_JS_FRAME = re.compile(
    r"[ \t]{1,12}at .{0,200}?\(?(?:file://)?((?:/|\.{0,2}/|[\w@])[^\s():]{0,250}):\d{1,7}:\d{1,7}\)?$"
)
_JAVA_FRAME = re.compile(
    r"[ \t]{1,12}at ([\w.$]{1,200})\.[\w$<>]{1,100}\((\w{1,100}\.(?:java|kt|scala)):\d"
)
_GO_FRAME = re.compile(r"[ \t]{1,8}([^\s:]{1,250}\.go):\d{1,7}")
_RUST_AT = re.compile(r"[ \t]{0,12}--> ([^\s:]{1,250}):\d{1,7}:\d")
_COMPILER = re.compile(
    r"(?:\[[\w:.-]{1,30}\] )?([^\s:()\"']{1,250}):\d{1,7}(?::\d{1,7})?:?(?: -)?[ \t]{1,4}(?:(?:fatal )?(error)\b[: ]{0,2})?(.+)$"
)
_TSC = re.compile(r"([^\s:()\"']{1,250})\(\d{1,7},\d{1,7}\): error (TS\d{1,6}): (.+)$")
_TS_CODE = re.compile(r"(TS\d{1,6}): (.+)")
_RUSTC = re.compile(r"error(?:\[(E\d{4})\])?: (.+)$")
_PANIC_OLD = re.compile(
    r"thread '[^']{0,100}' (?:\(\d{1,12}\) )?panicked at '(.{0,300})', ([^\s:]{1,250}):\d"
)
_PANIC_NEW = re.compile(
    r"thread '[^']{0,100}' (?:\(\d{1,12}\) )?panicked at ([^\s:]{1,250}):\d{1,7}:\d{1,7}:$"
)
_GO_TEST = re.compile(r"[ \t]{0,16}--- FAIL: ([^\s]{1,200})")
_GO_LOG = re.compile(r"[ \t]{2,24}(\w[\w.-]{0,100}_test\.go):\d{1,7}: (.+)$")
_SHELL = re.compile(
    r"(?:[\w./-]{1,60}: )?(?:line \d{1,6}: )?(?:\d{1,6}: )?([^:\n]{1,120}): (command not found|not found|No such file or directory|Permission denied|Is a directory)$"
)
_SAID = re.compile(
    r"(?:npm (?:ERR!|error) (?:code )?|(?:error|ERROR|Error|fatal|FATAL|ERR)[:!] ?|\[ERROR\] |make(?:\[\d\])?: \*\*\* )(.{3,})$"
)
_TRIGGER = re.compile(
    r"Error|Exception|error|panic|FAIL|fatal|not found|No such file|denied|\*\*\*|Interrupt|Timeout|"
    r"Failure|Failed|Warning|Exit|ERR|Fault|NotFound|DoesNotExist|:\d{1,7}:"
)

type _Reader = Callable[[list[str], int, str], Failure | None]


def failures(output: str, directory: str = "") -> tuple[Failure, ...]:
    """The distinct errors that `output` tells of, the one that matters most first."""
    text = (
        output if len(output) <= _SCAN else output[: _SCAN // 4] + "\n" + output[-_SCAN * 3 // 4 :]
    )
    lines = [line[:_LINE].rstrip("\r") for line in ANSI.sub("", text).split("\n")]
    found: dict[str, Failure] = {}
    weaker: dict[str, Failure] = {}
    for index, line in enumerate(lines):
        if not line or not _TRIGGER.search(line):
            continue
        for reader, weak in _READERS:
            failure = reader(lines, index, directory)
            if failure is None:
                continue
            kept = weaker if weak else found
            known = kept.get(failure.name)
            if known is None and not weak and _chained(lines, index):
                # Python: what was raised last is what the program failed with.
                found = {failure.name: failure} | found
            elif known is None:
                kept[failure.name] = failure
            else:
                files = tuple(dict.fromkeys((*known.files, *failure.files)))[:_FILES]
                kept[failure.name] = Failure(known.kind, known.message, files)
            break
        if len(found) >= _MOST:
            break
    return tuple((found or weaker).values())[:_MOST]


def _own(paths: list[str], directory: str) -> tuple[str, ...]:
    clean = (normalise(path.removeprefix("file://"), directory) for path in paths)
    return tuple(dict.fromkeys(path for path in clean if is_own(path) and is_file_name(path)))[
        :_FILES
    ]


def _chained(lines: list[str], index: int) -> bool:
    window = lines[max(0, index - _REACH) : index]
    return any(
        line.startswith(("During handling of the above", "The above exception was the direct"))
        for line in window
    )


def _frames_before(lines: list[str], index: int) -> list[str]:
    """Files of the Python frames above an error's line, innermost first."""
    found: list[str] = []
    for line in reversed(lines[max(0, index - _REACH) : index]):
        match = _PY_FRAME.match(line) or _PYTEST_AT.match(line)
        if match:
            found.append(match.group(1))
        elif line.startswith(
            ("Traceback (most recent", "____", "During handling", "The above exception")
        ):
            break
    return found


def _frames_after(lines: list[str], index: int) -> list[str]:
    """Files of the JavaScript, Java or Go frames (or pytest's place line) below it."""
    found: list[str] = []
    for line in lines[index + 1 : index + _REACH]:
        match = _JS_FRAME.match(line) or _GO_FRAME.match(line)
        java = None if match else _JAVA_FRAME.match(line)
        if match:
            found.append(match.group(1))
        elif java:
            # The package is the folder; where its source root is, the frame does not tell.
            folder = java.group(1).rpartition(".")[0].replace(".", "/")
            found.append(f"{folder}/{java.group(2)}" if folder else java.group(2))
        elif _PYTEST_AT.match(line):
            found.append(_PYTEST_AT.match(line).group(1))  # type: ignore[union-attr]
            break
        elif (
            line
            and not line[:1].isspace()
            and not line.startswith(("E  ", "goroutine", "main.", ">"))
        ):
            break
    return found


def _named(lines: list[str], index: int, directory: str) -> Failure | None:
    line = lines[index].rstrip()
    match = _NAMED.match(line if line.startswith("E ") else line.lstrip())
    if match is None or (
        line[:1].isspace() and not line.lstrip().startswith(("Caused", "Uncaught"))
    ):
        return None
    kind = re.split(r"[.:]", match.group(1))[-1]
    message = steady(match.group(2) or "", directory)
    paths = _frames_before(lines, index) + _frames_after(lines, index)
    if line.startswith("FAILED "):
        paths.insert(0, line[7:].partition("::")[0])
    if kind == "Error" and not message and not paths:
        return None
    return Failure(kind, message, _own(paths, directory))


def _tsc(lines: list[str], index: int, directory: str) -> Failure | None:
    match = _TSC.match(lines[index])
    if match is None:
        return None
    return Failure(
        match.group(2), steady(match.group(3), directory), _own([match.group(1)], directory)
    )


def _compiler(lines: list[str], index: int, directory: str) -> Failure | None:
    match = _COMPILER.match(lines[index])
    if match is None or not is_file_name(match.group(1)):
        return None
    path, error, message = match.groups()
    if message.startswith(("warning", "note", "in ")) or (
        error is None and not _says_error(message)
    ):
        return None
    code = _TS_CODE.match(message)
    rule = None if error else _RULE.match(message)
    kind, said = "CompileError", message
    if code:
        kind, said = code.group(1), code.group(2)
    elif rule:
        kind, said = rule.group(1) or "LintError", rule.group(2) or rule.group(3)
    return Failure(kind, steady(said, directory), _own([path], directory))


def _says_error(message: str) -> bool:
    """A compiler's or linter's line without the word "error": Go's, Ruff's, golangci-lint's."""
    return (
        " " in message.strip()
        and message != "too many errors"
        and not message.startswith(("ok", "PASS", "{", "(", "//", "#"))
    )


def _rustc(lines: list[str], index: int, directory: str) -> Failure | None:
    match = _RUSTC.match(lines[index])
    if match is None:
        return None
    places = [_RUST_AT.match(line) for line in lines[index + 1 : index + 6]]
    paths = [place.group(1) for place in places if place]
    if not paths and not match.group(1):
        return None
    return Failure(
        match.group(1) or "CompileError", steady(match.group(2), directory), _own(paths, directory)
    )


def _panic(lines: list[str], index: int, directory: str) -> Failure | None:
    line = lines[index]
    if line.startswith("panic: "):
        paths = _frames_after(lines, index)
        return Failure("panic", steady(line[7:], directory), _own(paths, directory))
    old, new = _PANIC_OLD.match(line), _PANIC_NEW.match(line)
    if old:
        return Failure("panic", steady(old.group(1), directory), _own([old.group(2)], directory))
    if new:
        message = lines[index + 1] if index + 1 < len(lines) else ""
        return Failure("panic", steady(message, directory), _own([new.group(1)], directory))
    return None


def _test_log(lines: list[str], index: int, directory: str) -> Failure | None:
    match = _GO_LOG.match(lines[index])
    if match is None:
        return None
    return Failure("TestFailure", steady(match.group(2), directory))


def _shell(lines: list[str], index: int, directory: str) -> Failure | None:
    match = _SHELL.match(lines[index])
    if match is None:
        return None
    return Failure(match.group(2), steady(match.group(1).strip(), directory))


def _said(lines: list[str], index: int, directory: str) -> Failure | None:
    match = _SAID.match(lines[index]) or _GO_TEST.match(lines[index])
    if match is None:
        return None
    kind = "TestFailure" if "--- FAIL" in lines[index] else "error"
    return Failure(kind, steady(match.group(1), directory))


#: Readers in the order they are asked, and whether what they find counts only when nothing else is.
_READERS: tuple[tuple[_Reader, bool], ...] = (
    (_tsc, False), (_named, False), (_panic, False), (_rustc, False), (_compiler, False),
    (_test_log, False), (_shell, True), (_said, True),
)  # fmt: skip
