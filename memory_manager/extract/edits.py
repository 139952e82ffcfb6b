"""The facts that a file edit makes: the file, its symbols, what it imports and depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager.extract import files, packages, symbols
from memory_manager.extract.draft import Draft, word

if TYPE_CHECKING:
    from memory_manager.model import Entity, RawEvent

_SYMBOLS, _IN_TEXT, _SCAN = 24, 6, 65_536


@dataclass(frozen=True, slots=True)
class _Shown:
    """What an edit shows of the file: a diff, or the whole new content."""

    diff: str = ""
    content: str = ""

    @property
    def creates(self) -> bool:
        """Whether the file was written whole: it is there from now on, deleted before or not."""
        return bool(self.content) or "@@ -0,0 " in self.diff[:2000]


def add(draft: Draft, event: RawEvent, session: Entity) -> None:
    """Adds the facts of a file edit."""
    path, old = word(event, "path"), word(event, "old_path")
    if not path:
        return
    change = word(event, "change") or "modified"
    file = draft.entity("File", path)
    if change == "deleted":
        draft.fact(event, session, "DELETED", file, chain=file.uuid, paths=(path,))
        for name in symbols.touched(path, word(event, "diff")).removed[:_SYMBOLS]:
            _symbol(draft, event, file, name, "LOST")
        return
    if change == "moved" and old and old != path:
        before = draft.entity("File", old)
        draft.fact(event, before, "MOVED", file, chain=before.uuid, paths=(old, path))
    shown = _shown(event)
    anew = change in {"added", "moved"} or shown.creates
    folder = draft.entity("Directory", files.parent(path))
    draft.fact(event, file, "IN", folder, chain=file.uuid, anew=anew, paths=(path,))
    touched = _symbols(draft, event, session, file, shown)
    _packages(draft, event, file, shown)
    verb = {"added": "Added", "moved": f"Moved {old} to"}.get(change, "Modified")
    if touched and verb == "Modified":
        more = f" and {len(touched) - _IN_TEXT} more" if len(touched) > _IN_TEXT else ""
        verb = f"Changed {', '.join(touched[:_IN_TEXT])}{more} in"
    paths = tuple(one for one in (path, old) if one)
    draft.fact(event, session, "MODIFIED", file, detail=verb, paths=paths)


def _shown(event: RawEvent) -> _Shown:
    diff = word(event, "diff")
    if not diff:
        return _Shown(content=word(event, "content"))
    if diff.startswith("+") and not diff.startswith("+++ "):
        # A whole file, written as a diff that only adds and has no hunk header.
        lines = diff.removesuffix("\n").split("\n")
        if all(line.startswith("+") for line in lines):
            return _Shown(content="\n".join(line[1:] for line in lines))
    return _Shown(diff=diff)


def _symbols(
    draft: Draft, event: RawEvent, session: Entity, file: Entity, shown: _Shown
) -> tuple[str, ...]:
    """The file's symbols; gives the names that a diff touched."""
    path = file.name
    if shown.content:
        touched = symbols.Touched(present=symbols.definitions(path, shown.content))
    else:
        touched = symbols.touched(path, shown.diff)
    created = set(touched.present if shown.content else touched.added)
    for name in touched.present[:_SYMBOLS]:
        _symbol(draft, event, file, name, "CONTAINS", anew=name in created)
    for name in touched.removed[:_SYMBOLS]:
        _symbol(draft, event, file, name, "LOST")
    for verb, names in (
        ("Added", touched.added),
        ("Changed", touched.changed),
        ("Removed", touched.removed),
    ):
        for name in names[:_SYMBOLS]:
            symbol = draft.entity("Symbol", f"{path}::{name}")
            detail = f"{verb} {name} in {path}"
            draft.fact(event, session, "CHANGED", symbol, detail=detail, paths=(path,))
    return (*touched.changed, *touched.added, *touched.removed)


def _symbol(  # noqa: PLR0913 - what a symbol's fact says
    draft: Draft, event: RawEvent, file: Entity, name: str, relation: str, *, anew: bool = False
) -> None:
    symbol = draft.entity("Symbol", f"{file.name}::{name}")
    draft.fact(
        event, file, relation, symbol, detail=name, chain=symbol.uuid, anew=anew, paths=(file.name,)
    )


def _packages(draft: Draft, event: RawEvent, file: Entity, shown: _Shown) -> None:
    path = file.name
    if shown.content:
        lines = shown.content[:_SCAN].split("\n")
    else:
        shown_lines = symbols.diff_lines(path, shown.diff)
        lines = [line[1:] for line in shown_lines if line[:1] in {"+", " "}]
    for name in packages.imports(path, lines):
        draft.fact(event, file, "IMPORTS", draft.entity("Package", name), paths=(path,))
    for package in packages.manifest_change(path, shown.diff, shown.content):
        target = draft.entity("Package", package.name)
        relation = "DROPPED" if package.removed else "DEPENDS_ON"
        version = f" ({package.version})" if package.version else ""
        chain = f"{file.uuid}:{target.uuid}"
        draft.fact(event, file, relation, target, detail=version, chain=chain, paths=(path,))
