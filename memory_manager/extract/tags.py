"""Short labels for a batch: languages, areas, activities, kinds of errors, tools. Deterministic.

All but the kinds of errors come from the lists below, so that tags can be counted and compared.
"""

# ruff: noqa: SIM905 - long lists of words read best as one string
from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from memory_manager.extract import packages
from memory_manager.extract.commands import Outcome
from memory_manager.extract.draft import word
from memory_manager.extract.episodes import worth_keeping
from memory_manager.extract.recovery import followed
from memory_manager.extract.runs import Runs
from memory_manager.extract.words import choices
from memory_manager.model import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_manager.extract.runs import Run
    from memory_manager.model import RawEvent

#: Which tags there are and what they mean: change it whenever the same events get other ones.
TAGS_VERSION = 1

#: Tags of a batch, and of one sort among them.
_MOST = 12
_LANGUAGES, _AREAS, _ERRORS, _TOOLS = 3, 4, 3, 4
#: Characters of a prompt that are read.
_SCAN = 2000

_LANGUAGE = {
    suffix: language
    for language, suffixes in (
        ("python", "py pyi pyx ipynb"),
        ("typescript", "ts tsx mts cts"),
        ("javascript", "js jsx mjs cjs"),
        ("go", "go"),
        ("rust", "rs"),
        ("java", "java"),
        ("kotlin", "kt kts"),
        ("scala", "scala"),
        ("ruby", "rb"),
        ("php", "php"),
        ("csharp", "cs"),
        ("c", "c h"),
        ("cpp", "cc cpp cxx hpp hh"),
        ("swift", "swift"),
        ("dart", "dart"),
        ("elixir", "ex exs"),
        ("haskell", "hs"),
        ("lua", "lua"),
        ("zig", "zig"),
        ("shell", "sh bash zsh fish"),
        ("sql", "sql"),
        ("html", "html"),
        ("css", "css scss sass less"),
        ("vue", "vue"),
        ("svelte", "svelte"),
        ("terraform", "tf tfvars"),
    )
    for suffix in suffixes.split()
}

#: What in a path tells the area. Paths are lower case, and begin with a slash here.
_AREA: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (area, re.compile(pattern))
    for area, pattern in (
        ("tests", r"/(?:tests?|specs?|__tests__|e2e)/|/test_|[._-](?:test|spec|tests)\.|/conftest\.py"),
        ("docs", r"\.(?:md|mdx|rst|adoc)$|/docs?/|/(?:readme|changelog|contributing)(?:\.|$)"),
        ("ci", r"/\.(?:github/workflows|circleci|buildkite|ci)/|/\.gitlab-ci|/jenkinsfile|/azure-pipelines"),
        ("database", r"\.(?:sql|prisma)$|/migrations?/|/(?:schema|models)\.\w{1,5}$"),
        (
            "dependencies",
            (
                r"/(?:package(?:-lock)?\.json|pyproject\.toml|requirements[\w.-]{0,40}\.(?:txt|in)|"
                r"(?:uv|poetry|cargo|yarn|composer|gemfile|bun)\.lockb?|pnpm-lock\.yaml|go\.(?:mod|sum)|"
                r"cargo\.toml|gemfile|pipfile|setup\.(?:py|cfg)|pom\.xml|build\.gradle(?:\.kts)?)$"
            ),
        ),
        ("config", r"\.(?:toml|ya?ml|ini|cfg|conf|properties|env)$|/\.env|/[\w.-]{0,40}\.?config\.\w{1,5}$|/tsconfig"),
        ("security", r"/[^/]{0,60}(?:auth|crypt|secret|permission|csrf|sanitiz|oauth|password|redact)"),
        ("frontend", r"\.(?:css|scss|sass|less|html|tsx|jsx|vue|svelte|astro)$|/(?:components|frontend|ui)/"),
        ("api", r"/(?:api|apis|routes?|endpoints?|graphql|openapi|swagger|controllers?)(?:/|[._-])|\.(?:proto|graphql)$"),
        ("deploy", r"/(?:dockerfile|containerfile|docker-compose|compose\.ya?ml)|/(?:deploy|k8s|helm|charts|terraform)/|\.tf$"),
        ("performance", r"/(?:bench|benches|benchmarks?|perf)(?:/|[._-])"),
    )
)  # fmt: skip
#: What in a prompt tells the area or the activity.
_SAID: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (tag, re.compile(pattern, re.IGNORECASE))
    for tag, pattern in (
        ("bugfix", r"\b(?:fix(?:e[sd]|ing)?|bugs?|bugfix|broken|crash(?:e[sd]|ing)?|regression|wrong|fails?|failing)\b"),
        ("feature", r"\b(?:add|implement|introduce|support|create|build)\s+(?:an?|the|some|new|support|\w+ing|\w+s)\b"),
        ("refactor", r"\b(?:refactor(?:ed|ing)?|rename[ds]?|clean(?:ed)? up|simplify|restructure|deduplicate|split up|extract)\b"),
        ("review", r"\b(?:code review|review (?:this|the|my|our)|pull request)\b"),
        ("security", r"\b(?:security|vulnerabilit(?:y|ies)|injection|csrf|xss|authentication|authori[sz]ation)\b"),
        ("performance", r"\b(?:performance|slow|latency|throughput|speed(?: up)?|optimi[sz]e|benchmark|profil(?:e|ing))\b"),
        ("database", r"\b(?:database|sql|migrations?|postgres\w{0,3}|sqlite|mysql)\b"),
        ("docs", r"\b(?:documentation|readme|changelog)\b"),
        ("deploy", r"\b(?:deploy(?:ment|s|ed)?|kubernetes|docker|rollback)\b"),
    )
)  # fmt: skip
_ACTIVITIES = frozenset("bugfix feature refactor failure decision review".split())

_TOOL = frozenset(
    "git gh docker podman kubectl helm terraform make just cmake npm pnpm yarn bun deno node pip uv "
    "poetry cargo rustc go gradle mvn dotnet pytest jest vitest mocha playwright cypress tox nox "
    "ruff mypy pyright black eslint prettier biome tsc vite webpack psql mysql sqlite3 redis-cli "
    "alembic prisma django-admin flask rails rake bundle composer php ansible aws gcloud az curl".split()
)
#: Another name of the same tool, and the area that a tool is about.
_SAME = {"pip3": "pip", "py.test": "pytest", "docker-compose": "docker", "mvnw": "mvn", "gradlew": "gradle"}  # fmt: skip
_ABOUT = {
    **dict.fromkeys(("psql", "mysql", "sqlite3", "alembic", "prisma"), "database"),
    **dict.fromkeys(("kubectl", "helm", "terraform", "ansible"), "deploy"),
}
_DATABASE_ERROR = re.compile(r"operationalerror|integrityerror|sql|databaseerror")
#: A class of errors, not "error" or "exit status 1".
_ERROR = re.compile(r"[A-Za-z][A-Za-z0-9_]{3,39}")
_NO_CLASS = frozenset({"error", "failure", "lint", "exception"})


def tags_of(events: Iterable[RawEvent], runs: Runs | None = None) -> tuple[str, ...]:
    """The batch's tags, sorted, at most 12. A function of the set of events.

    Args:
        events: the batch.
        runs: what has been read of the events already.
    """
    runs = runs or Runs()
    given = {event.event_id: event for event in events if worth_keeping(event)}
    batch = sorted(given.values(), key=lambda event: (event.at, event.event_id))
    seen = _Seen()
    for event in batch:
        seen.event(event)
        if run := runs.of(event):
            seen.run(run)
    if followed(batch, runs).recoveries:
        seen.found["bugfix"] += 1
    return seen.tags()


class _Seen:
    """Counts what speaks for each tag."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.tools: Counter[str] = Counter()

    def event(self, event: RawEvent) -> None:
        match event.kind:
            case EventKind.FILE_EDIT:
                self._file(word(event, "path"))
                if word(event, "change") == "moved":
                    self.found["refactor"] += 1
            case EventKind.PROMPT:
                self._said(event.content)
            case EventKind.NOTE:
                self._decided(event.content)
            case EventKind.ERROR:
                self.found["failure"] += 1
            case _:
                pass

    def run(self, run: Run) -> None:
        if run.outcome is Outcome.FAILED and not (run.command and run.command.showing):
            self.found["failure"] += 1
            for error in run.errors:
                self._error(error.kind)
        if run.command is None:
            return
        if run.command.tests:
            self.found["tests"] += 1
        for words in run.command.parts:
            self._tool(words)

    def tags(self) -> tuple[str, ...]:
        activities = Counter({tag: n for tag, n in self.found.items() if tag in _ACTIVITIES})
        areas = Counter({tag: n for tag, n in self.found.items() if tag not in _ACTIVITIES})
        ranked = (
            *_first(activities, _MOST),
            *_first(self.languages, _LANGUAGES),
            *_first(areas, _AREAS),
            *_first(self.errors, _ERRORS),
            *_first(self.tools, _TOOLS),
        )
        return tuple(sorted(dict.fromkeys(ranked[:_MOST])))

    def _file(self, path: str) -> None:
        spelled = "/" + path[-300:].lower()
        if language := _LANGUAGE.get(spelled.rpartition(".")[2]):
            self.languages[language] += 1
        for area, pattern in _AREA:
            if pattern.search(spelled):
                self.found[area] += 1

    def _said(self, prompt: str) -> None:
        text = prompt[:_SCAN]
        for tag, pattern in _SAID:
            if pattern.search(text):
                self.found[tag] += 1
        self._decided(prompt)

    def _decided(self, text: str) -> None:
        if any(choice.relation != "NOTED" for choice in choices(text)):
            self.found["decision"] += 1

    def _error(self, kind: str) -> None:
        if _ERROR.fullmatch(kind) and kind.lower() not in _NO_CLASS:
            self.errors[f"error:{kind.lower()}"] += 1
        if _DATABASE_ERROR.search(kind.lower()):
            self.found["database"] += 1

    def _tool(self, words: tuple[str, ...]) -> None:
        program = words[0].rsplit("/", 1)[-1].lower()
        tool = _SAME.get(program, program)
        if tool in _TOOL:
            self.tools[tool] += 1
        if area := _ABOUT.get(tool):
            self.found[area] += 1
        if packages.installed(words):
            self.found["dependencies"] += 1
        if words[:2] == ("gh", "pr"):
            self.found["review"] += 1


def _first(counted: Counter[str], most: int) -> list[str]:
    """The most frequent ones, ties by name."""
    return sorted(counted, key=lambda tag: (-counted[tag], tag))[:most]
