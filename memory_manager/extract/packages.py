"""Packages: from install commands, from manifests, from imports."""

# ruff: noqa: SIM905 - long lists of words read best as one string
from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass

from memory_manager.extract.symbols import diff_lines

_MOST = 24
_VERSION = re.compile(r"(==|>=|<=|~=|!=|[<>^=]|@)(.{1,40})$")
_NAME = re.compile(r"@?[A-Za-z0-9][\w.+-]{0,100}(?:/[\w.+~-]{1,100}){0,6}$")

#: manager, verbs that install, verbs that remove
_MANAGERS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    name: (frozenset(install.split()), frozenset(remove.split()))
    for name, install, remove in (
        ("pip", "install", "uninstall"),
        ("pip3", "install", "uninstall"),
        ("pipx", "install inject", "uninstall"),
        ("uv", "add", "remove"),
        ("poetry", "add", "remove"),
        ("pdm", "add", "remove"),
        ("conda", "install", "remove uninstall"),
        ("npm", "install i add", "uninstall rm remove un"),
        ("pnpm", "add install i", "remove rm uninstall"),
        ("yarn", "add", "remove"),
        ("bun", "add install i", "remove rm"),
        ("deno", "add", "remove"),
        ("cargo", "add install", "remove uninstall"),
        ("go", "get install", ""),
        ("gem", "install", "uninstall"),
        ("bundle", "add", "remove"),
        ("composer", "require", "remove"),
        ("brew", "install", "uninstall"),
        ("apt", "install", "remove purge"),
        ("apt-get", "install", "remove purge"),
        ("apk", "add", "del"),
        ("dnf", "install", "remove"),
        ("dotnet", "add", "remove"),
    )
}
#: Options whose value is the next word.
_WITH_VALUE = frozenset(
    "-r --requirement -c --constraint -e --editable -i --index-url --extra-index-url -t --target "
    "--prefix --registry --group --features -F --extra --python -p --package --filter -w -C".split()
)


@dataclass(frozen=True, slots=True)
class Installed:
    """One package that a command installed (or removed)."""

    name: str
    version: str = ""
    removed: bool = False


def _split(word: str) -> tuple[str, str]:
    """The name and version of `requests[socks]==2.1`, `react@^18`, `github.com/a/b@v1`."""
    bare = re.sub(r"\[[^\]]{0,100}\]", "", word[:200])
    match = _VERSION.search(bare, 1)
    if match:
        return bare[: match.start()].strip(), match.group().lstrip("@= ").strip()
    return bare.strip(), ""


def installed(words: tuple[str, ...]) -> tuple[Installed, ...]:
    """The packages that a command (as words, wrappers gone) installs or removes."""
    if len(words) > 1 and words[:2] == ("uv", "pip"):
        words = words[1:]
    if len(words) < 3 or words[0] not in _MANAGERS:  # noqa: PLR2004
        return ()
    add, remove = _MANAGERS[words[0]]
    verb = next((word for word in words[1:] if not word.startswith("-")), "")
    if verb not in add and verb not in remove:
        return ()
    found: list[Installed] = []
    rest = iter(words[words.index(verb) + 1 :])
    for raw in rest:
        word = raw.strip("\"'")
        if word.startswith("-"):
            if word in _WITH_VALUE:
                next(rest, None)
            continue
        name, version = _split(word)
        if name.startswith((".", "/", "~", "git+", "http:", "https:")) or not _NAME.match(name):
            continue
        if name.endswith((".txt", ".whl", ".tgz", ".gz", ".toml")):
            continue
        found.append(Installed(name, version, removed=verb in remove and verb not in add))
    return tuple(found[:_MOST])


_PYTHON_LINE = re.compile(
    r"\s*[\"']?([A-Za-z0-9][\w.-]{0,80})(?:\[[^\]]{0,80}\])?\s*((?:[=<>~!]=?|@)[^;#\"']{1,40})?"
)
_JSON_LINE = re.compile(
    r"\s*\"(@?[\w.-]{1,80}(?:/[\w.-]{1,80})?)\"\s*:\s*\"([\^~<>=v]{0,2}\d[^\"]{0,40}|workspace:[^\"]{1,20}|latest|\*)\""
)
_TOML_LINE = re.compile(
    r"\s*([A-Za-z][\w-]{0,80})\s*=\s*(?:\"([\^~=<>]{0,2}\d[^\"]{0,40}|\*)\"|\{[^}]{0,200}version\s*=\s*\"([^\"]{1,40})\")"
)
_GOMOD_LINE = re.compile(
    r"\s*(?:require\s+)?([a-z0-9.-]{1,60}\.[a-z]{2,10}/[\w./-]{1,120})\s+(v[\w.+-]{1,60})"
)
_QUOTED_REQUIREMENT = re.compile(
    r"\s*(?:\w+\s*=\s*\[\s*)?[\"']([A-Za-z0-9][\w.-]{0,80})(?:\[[^\]]{0,80}\])?\s*([=<>~!]{1,2}[^\"';]{1,40})[\"']"
)
_NOT_PACKAGES = frozenset("version name python requires-python node npm edition rust-version go".split())  # fmt: skip


def _manifest_line(file: str, line: str) -> tuple[str, str] | None:
    """The package and version that a line of the manifest `file` asks for."""
    match: re.Match[str] | None
    if file == "package.json":
        match = _JSON_LINE.match(line)
    elif file == "Cargo.toml":
        match = _TOML_LINE.match(line)
    elif file == "pyproject.toml":
        match = _QUOTED_REQUIREMENT.match(line) or _TOML_LINE.match(line)
    elif file == "go.mod":
        match = _GOMOD_LINE.match(line)
    elif file.startswith("requirements") and file.endswith((".txt", ".in")):
        match = None if line.lstrip().startswith(("#", "-")) else _PYTHON_LINE.match(line)
    else:
        return None
    if match is None or match.group(1) in _NOT_PACKAGES:
        return None
    return match.group(1), (
        match.group(match.lastindex or 1) if match.lastindex != 1 else ""
    ).strip()


def manifest_change(path: str, diff: str, content: str) -> tuple[Installed, ...]:
    """The dependencies that an edit of a manifest added (or changed) and removed."""
    file = path.rsplit("/", 1)[-1]
    if not _is_manifest(file):
        return ()
    plus: dict[str, str] = {}
    minus: dict[str, str] = {}
    if diff:
        for line in diff_lines(path, diff):
            found = _manifest_line(file, line[1:]) if line[:1] in {"+", "-"} else None
            if found:
                (plus if line[0] == "+" else minus)[found[0]] = found[1]
    elif file == "package.json":
        plus = _package_json(content)
    else:
        for line in content[:65_536].split("\n"):
            found = _manifest_line(file, line[:300])
            if found:
                plus[found[0]] = found[1]
    changes = [Installed(name, version) for name, version in plus.items()]
    changes += [Installed(name, removed=True) for name in minus if name not in plus]
    return tuple(changes[: _MOST * 2])


def _is_manifest(file: str) -> bool:
    return file in {"package.json", "Cargo.toml", "pyproject.toml", "go.mod"} or (
        file.startswith("requirements") and file.endswith((".txt", ".in"))
    )


def _package_json(content: str) -> dict[str, str]:
    try:
        value = json.loads(content[:262_144])
    except (ValueError, RecursionError):
        return {}
    found: dict[str, str] = {}
    for section in ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies"):
        part = value.get(section) if isinstance(value, dict) else None
        if isinstance(part, dict):
            found.update({str(name): str(version)[:40] for name, version in part.items()})
    return found


_IMPORT_PY = re.compile(r"\s{0,12}(?:from|import)\s+([A-Za-z_]\w*)")
_IMPORT_JS = re.compile(
    r"(?:.{0,200}?\bfrom|\s*import|.{0,120}?\brequire\(|.{0,120}?\bimport\()\s*[\"']"
    r"(@[\w.-]{1,80}/[\w.-]{1,80}|[A-Za-z][\w.-]{0,80})(?=[\"'/])"
)
_IMPORT_GO = re.compile(
    r"\s*(?:import\s+)?(?:[\w.]{1,40}\s+)?\"([\w-]{1,40}\.[\w.-]{1,60}(?:/[\w.~-]{1,80}){1,8})\""
)
_IMPORT_RS = re.compile(r"\s*(?:pub\s+)?(?:use|extern crate)\s+([a-z_]\w*)")
_RUST_OWN = frozenset("std core alloc crate self super".split())
_GO_DEPTH = 3


def imports(path: str, lines: list[str]) -> tuple[str, ...]:
    """The packages that these lines of a source file import, own and standard ones left out."""
    extension = path.rpartition(".")[2].lower()
    found: dict[str, None] = {}
    for line in lines[:4000]:
        if len(found) >= _MOST:
            break
        name = _imported(extension, line[:300])
        if name and name not in path.split("/"):
            found[name] = None
    return tuple(found)


def _imported(extension: str, line: str) -> str:
    match: re.Match[str] | None = None
    if extension in {"py", "pyi"}:
        match = _IMPORT_PY.match(line) if "import" in line else None
        return match.group(1) if match and match.group(1) not in sys.stdlib_module_names else ""
    if extension in {"ts", "tsx", "js", "jsx", "mjs", "cjs", "mts", "svelte", "vue"}:
        match = (
            _IMPORT_JS.match(line)
            if "import" in line or "require(" in line or "from" in line
            else None
        )
        return match.group(1) if match else ""
    if extension == "go":
        match = _IMPORT_GO.match(line) if '"' in line else None
        return "/".join(match.group(1).split("/")[:_GO_DEPTH]) if match else ""
    if extension == "rs":
        match = _IMPORT_RS.match(line)
        return match.group(1) if match and match.group(1) not in _RUST_OWN else ""
    return ""
