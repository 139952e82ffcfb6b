"""Shell commands: one canonical spelling for each, and what its exit status says.

Two runs of one command must have one name, so what varies between runs without changing what is
asked goes: `cd x &&`, environment assignments, wrappers (`uv run`, `timeout 60`), output filters
(`| tail -20`, `2>&1`), verbosity flags of test runners, temporary paths, here-documents.
"""

# ruff: noqa: SIM905 - long lists of words read best as one string
from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

_SCAN, _LONGEST_ARGUMENT, _NAME = 8192, 60, 200

_PIECE = re.compile(
    r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|(?:\d|&)?>{1,2}&?|<|&&|\|\||[;|&\n]|[^'\"\\;|&<>\n\d]+|.",
    re.DOTALL,
)
_WORD = re.compile(r"(?:[^\s\"'\\]|\\.|\"(?:[^\"\\]|\\.)*\"|'[^']*'|[\"'\\])+", re.DOTALL)
_HEREDOC = re.compile(r"<<-?\s*[\"']?([A-Za-z_]\w{0,40})[\"']?")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_TEMPORARY = re.compile(r"(?:/private)?(?:/tmp|/var/tmp|/var/folders)/[^\s\"']*")
_DIGEST = re.compile(r"\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64}\b")

_QUIET = frozenset("cd export set source . pushd popd unset ulimit umask true : shopt".split())
_FILTERS = frozenset(
    "tail head grep egrep rg tee cat less more sed awk sort uniq wc jq cut tr column fold".split()
)
_WRAPPERS = frozenset("sudo time nice nohup env command exec stdbuf unbuffer".split())
_RUNNERS_OF_OTHERS = {
    ("uv", "run"), ("poetry", "run"), ("pipenv", "run"), ("pdm", "run"), ("rye", "run"),
    ("hatch", "run"), ("pnpm", "exec"), ("npm", "exec"), ("yarn", "exec"), ("bundle", "exec"),
    ("mise", "exec"), ("python", "-m"), ("python3", "-m"),
}  # fmt: skip
_LOOKING = frozenset(
    "ls pwd cat head tail wc which tree stat date whoami env printenv clear sleep file du df less "
    "more type realpath dirname basename hostname uname grep rg egrep find fd".split()
)
#: Words after `git` and `gh …` that only show something.
_SHOWING = frozenset(
    "status log diff show blame reflog describe rev-parse ls-files shortlog view list checks".split()
)
#: Programs for which exit status 1 is an answer ("no", "different"), not a failure.
_ANSWERS = frozenset("grep rg egrep diff cmp test [ [[ pgrep which type command fd".split())
_VERBOSITY = frozenset(
    "-v -vv -vvv -q -qq -s -x -l --verbose --quiet --no-header --silent --nocapture --failfast "
    "--exitfirst --no-cov --forceExit --bail -race=false".split()
)
_VERBOSITY_WITH_VALUE = re.compile(
    r"(?:--tb|--color|--colour|--timeout|-timeout|-count|--maxfail|--durations|--reporter|"
    r"--parallel|-parallel|--workers|--maxWorkers|--jobs|-v)=|-[jn]\d+$|-r[fEsxXpPwaA]{1,4}$"
)
_VERBOSITY_THEN_VALUE = frozenset(
    "-n -p --tb --color --maxfail --timeout -timeout -count --durations --reporter -j".split()
)
_TESTERS = frozenset(
    "pytest py.test tox nox unittest jest vitest mocha ava rspec phpunit ctest bats playwright "
    "cypress gotestsum nextest behave cargo-nextest".split()
)
_TEST_WORD = re.compile(r"(?:^|[:/_.-])(?:tests?|check|verify|spec|e2e)(?:$|[:/_.-])")


class Outcome(StrEnum):
    """What a run came to."""

    PASSED = "passed"
    FAILED = "failed"
    #: Not known (no status), or a status that says nothing (`grep` without a match).
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, read. `name` is canonical."""

    name: str
    #: The words of each part that counts, wrappers gone.
    parts: tuple[tuple[str, ...], ...]
    #: It runs tests (as far as its words tell).
    tests: bool
    #: It only looks at the project as it is: files, the git status. Nothing to remember.
    looking: bool
    #: It only shows something (looking included): that it passed is no fact.
    showing: bool
    #: Its exit status can be another program's (`pytest | tail`, `make || true`).
    masked: bool


def read(line: str, directory: str = "") -> Command:
    """Reads a command line; `directory` (the session's) disappears from its arguments."""
    return _read(line[:_SCAN], directory)


@lru_cache(maxsize=512)
def _read(line: str, directory: str) -> Command:
    text = _without_heredocs(line.replace("\\\n", " "))
    parts: list[tuple[str, tuple[str, ...]]] = []
    masked = writes = False
    for joint, piece, redirected in _pieces(text):
        words = _unwrapped(tuple(_WORD.findall(piece)), directory)
        writes = writes or redirected
        masked = masked or joint in {"|", "||"}
        if not words or words[0] in _QUIET:
            continue
        if joint == "|" and (words[0] in _FILTERS and parts):
            continue
        if joint in {"||", ";", "\n"} and parts and words[0] in {"true", "echo", ":"}:
            masked = True
            if joint == "||" or "$?" in piece:
                continue
        parts.append((joint, words))
    if not parts:
        whole = " ".join(text.split())[:_NAME] or "(empty)"
        return Command(whole, (), tests=False, looking=True, showing=True, masked=False)
    name = _spell(parts[0][1])
    for joint, words in parts[1:]:
        name += ("; " if joint in {";", "\n", "&"} else f" {joint} ") + _spell(words)
        if len(name) > _NAME:
            break
    return Command(
        name=name if len(name) <= _NAME else name[: _NAME - 1] + "…",
        parts=tuple(words for _, words in parts),
        tests=any(_is_test(words) for _, words in parts),
        looking=not writes and all(_is_looking(words) for _, words in parts),
        showing=not writes and all(_is_showing(words) for _, words in parts),
        masked=masked,
    )


def outcome(command: Command, status: int | None, *, shows_failure: bool) -> Outcome:
    """What a run with this exit status came to.

    `shows_failure`: the output tells of failed tests; believed where the status is unknown or
    can be another program's.
    """
    if status is None:
        return Outcome.FAILED if shows_failure else Outcome.UNKNOWN
    if status == 0:
        failed = shows_failure and command.masked
        return Outcome.FAILED if failed else Outcome.PASSED
    last = command.parts[-1] if command.parts else ("",)
    if status == 1 and (last[0] in _ANSWERS or last[:2] == ("git", "diff")):
        return Outcome.UNKNOWN
    return Outcome.FAILED


def _without_heredocs(text: str) -> str:
    if "<<" not in text:
        return text
    kept: list[str] = []
    until = ""
    for line in text.split("\n"):
        if until:
            if line.strip() == until:
                until = ""
            continue
        match = _HEREDOC.search(line)
        if match:
            until = match.group(1)
            line = line[: match.start()] + line[match.end() :]  # noqa: PLW2901
        kept.append(line)
    return "\n".join(kept)


def _pieces(text: str) -> list[tuple[str, str, bool]]:
    """(what joins it to the one before, its text, whether it writes a file) for each part."""
    found: list[tuple[str, str, bool]] = []
    joint, piece, target = "", "", ""
    writes = skipping = False
    for match in _PIECE.finditer(text):
        token = match.group()
        if token in {"&&", "||", ";", "|", "&", "\n"}:
            if piece.strip():
                found.append((joint, piece, writes))
                joint = token
            elif token in {"|", "||"} or not joint:
                joint = token
            piece, target, writes, skipping = "", "", False, False
        elif token.endswith((">", ">&")) and len(token) <= 4:  # noqa: PLR2004
            target, skipping = "", True
        elif skipping:
            # The target of a redirection is its first word; what follows it stays.
            word, space, rest = (token if target else token.lstrip()).partition(" ")
            target += word
            if space:
                piece += " " + rest
                skipping = False
            writes = writes or _is_file(target)
        else:
            piece += token
    if piece.strip():
        found.append((joint, piece, writes))
    return found[:40]


def _is_file(target: str) -> bool:
    """Whether a redirection to this writes a file (half of `/dev/null` does not yet)."""
    return not (target.isdigit() or "/dev/null".startswith(target) or target == "-")


def _unwrapped(words: tuple[str, ...], directory: str) -> tuple[str, ...]:
    """The words without environment assignments and wrappers; the program by its bare name."""
    rest = words[:200]
    while rest and (wrapping := _wrapping(rest)):
        rest = rest[wrapping:]
    if not rest:
        return ()
    rest = (_program(rest[0].lstrip("(")), *rest[1:])
    if rest[:2] == ("git", "-C"):
        rest = ("git", *rest[3:])
    if directory:
        prefix = directory.rstrip("/") + "/"
        rest = tuple(word.replace(prefix, "") for word in rest)
    return tuple(word for word in rest if word)


def _wrapping(words: tuple[str, ...]) -> int:
    """How many words at the beginning only wrap the command that follows."""
    first = words[0]
    if _ASSIGNMENT.match(first) or first in _WRAPPERS:
        return 1
    if first in {"timeout", "gtimeout"}:
        count = 1
    elif (_program(first), *words[1:2]) in _RUNNERS_OF_OTHERS:
        count = 2
    elif first in {"npx", "bunx", "uvx"}:
        count = 1
    else:
        return 0
    while count < len(words) and (words[count].startswith("-") or words[count][:1].isdigit()):
        count += 1
    return count


def _program(word: str) -> str:
    if "/bin/" in word or word.startswith(("/usr/", "bin/")):
        return word.rsplit("/", 1)[-1]
    return word


def _spell(words: tuple[str, ...]) -> str:
    if words[:2] == ("git", "commit"):
        return "git commit"
    if _is_test(words):
        words = _without_verbosity(words)
    return " ".join(_spell_word(word) for word in words[:40])


def _spell_word(word: str) -> str:
    word = _TEMPORARY.sub("<tmp>", " ".join(word.split()))
    if len(word) > _LONGEST_ARGUMENT:
        quote = word[0] if word[0] in "\"'" else ""
        word = word[: _LONGEST_ARGUMENT - 1] + "…" + quote
    return _DIGEST.sub("<hash>", word)


def _without_verbosity(words: tuple[str, ...]) -> tuple[str, ...]:
    kept: list[str] = []
    skip = False
    for index, word in enumerate(words):
        if skip:
            skip = False
        elif index and word in _VERBOSITY_THEN_VALUE:
            skip = True
        elif not index or (word not in _VERBOSITY and not _VERBOSITY_WITH_VALUE.match(word)):
            kept.append(word)
    return tuple(kept)


def _is_test(words: tuple[str, ...]) -> bool:
    first = words[0].rsplit("/", 1)[-1]
    if first in _TESTERS or _TEST_WORD.search(first):
        return True
    verbs = [word for word in words[1:5] if not word.startswith("-")]
    return first in {
        "go", "cargo", "npm", "pnpm", "yarn", "bun", "deno", "mvn", "./mvnw", "mvnw", "gradle",
        "gradlew", "make", "just", "task", "mise", "dotnet", "mix", "swift", "zig", "rake", "dev",
        "turbo", "nx", "bazel",
    } and any(_TEST_WORD.search(verb) for verb in verbs[:2])  # fmt: skip


def _is_looking(words: tuple[str, ...]) -> bool:
    if words[0] == "git":
        return words[1:2] in {("status",), ("ls-files",)}
    return words[0] in _LOOKING and not any(
        word in {"-delete", "-exec", "-execdir"} for word in words
    )


def _is_showing(words: tuple[str, ...]) -> bool:
    return (_is_looking(words) or words[0] in {"echo", "printf"}) or (
        words[0] in {"git", "gh", "glab"} and not _SHOWING.isdisjoint(words[1:3])
    )
