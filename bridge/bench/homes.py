"""A home and a project for the real OpenCode, in which it fetches nothing and tells nobody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memory_manager.model import Json

#: The minor version of OpenCode that is driven.
VERSION = "1.18."
#: Variables of the caller that would reach into it.
_FOREIGN = (
    "OPENCODE", "FALKORDB_", "VALKEY_", "DD_", "DATADOG_", "CACHE_TTL", "SPOOL_URL", "EMBEDDER",
    "MEMORY_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_API", "GROQ_", "LLM_", "XDG_", "GIT_",
    "BUN_", "OTEL_",
)  # fmt: skip
#: Nothing is fetched, nobody is told.
_OFFLINE = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
    "OPENCODE_DISABLE_SHARE": "1",
    "OPENCODE_DISABLE_TERMINAL_TITLE": "1",
    "DO_NOT_TRACK": "1",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
_LIMIT: dict[str, Json] = {"context": 128_000, "output": 8192}


def cache_folder() -> Path:
    """Where CI puts OpenCode, outside of the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "opencode-mem-ci"


def find_opencode() -> tuple[str, str]:
    """The program and "", or "" and why there is none."""
    named = os.environ.get("OPENCODE_BIN")
    cached = cache_folder() / "node_modules" / ".bin" / "opencode"
    said: list[str] = []
    for candidate in (named, None if named else shutil.which("opencode"), str(cached)):
        if not candidate or not os.access(candidate, os.X_OK):
            continue
        try:
            told = subprocess.run(
                [candidate, "--version"], capture_output=True, text=True, timeout=60, check=False
            )
        except (OSError, subprocess.SubprocessError) as error:
            said.append(f"{candidate}: {error}")
            continue
        version = told.stdout.strip()
        if version.startswith(VERSION):
            return candidate, ""
        said.append(f"{candidate} is {version or 'broken'}")
    why = "; ".join(said) or "no OpenCode"
    return "", f"{why}: name one of version {VERSION}x in OPENCODE_BIN (npm: opencode-ai)"


def make_repository(folder: Path, text: str) -> None:
    """A git repository; its first commit is of `text`, so that another text is another project."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(text)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")


def git(folder: Path, *words: str) -> None:
    """Run git there, as nobody."""
    who = ["-c", "user.name=n", "-c", "user.email=n@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run(
        ["git", *who, *words],
        cwd=folder,
        env={**_plain(), **_OFFLINE},
        check=True,
        capture_output=True,
    )


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def environment(home: Path, project: Path) -> dict[str, str]:
    """What OpenCode runs with there."""
    return {
        **_plain(),
        **_OFFLINE,
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "TMPDIR": str(home / "tmp"),
        # Its `run` takes the folder from here.
        "PWD": str(project),
    }


def configure(home: Path, model_url: str, plugin: Json) -> None:
    """Write OpenCode's settings, for every project; `plugin` as it stands there, None for none."""
    folder = home / ".config" / "opencode"
    # With these it has no reason to install anything before it loads a plugin.
    (folder / "node_modules").mkdir(parents=True, exist_ok=True)
    (home / "tmp").mkdir(exist_ok=True)
    needs: Json = {"dependencies": {"@opencode-ai/plugin": "*"}}
    lock: Json = {"name": "config", "lockfileVersion": 3, "packages": {"": needs}}
    model: Json = {"name": "Scripted", "tool_call": True, "limit": _LIMIT}
    settings: dict[str, Json] = {
        "autoupdate": False,
        "share": "disabled",
        "lsp": False,
        "formatter": False,
        "permission": "allow",
        "model": "scripted/model",
        "small_model": "scripted/small",
        "enabled_providers": ["scripted"],
        "provider": {
            "scripted": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Scripted",
                "options": {"baseURL": model_url, "apiKey": "none"},
                "models": {"model": model, "small": model},
            }
        },
        **({} if plugin is None else {"plugin": [plugin]}),
    }
    for name, content in (
        ("package.json", needs),
        ("package-lock.json", lock),
        ("opencode.json", settings),
    ):
        (folder / name).write_text(json.dumps(content))
