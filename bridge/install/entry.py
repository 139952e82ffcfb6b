"""Our entry in the text of an OpenCode configuration: found, added, set right, taken out. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.install import jsonc
from memory_manager.errors import InvalidRequest

if TYPE_CHECKING:
    from bridge.install.jsonc import Item, Node, Style
    from memory_manager.model import Json

#: The plugin's file; whatever entry ends in it is ours.
FILE = "graphiti-memory.ts"
SCHEMA = "https://opencode.ai/config.json"
_KEY = "plugin"
#: The first line of what we wrote ourselves: with it gone, nothing is left.
_MADE = "// Made by opencode-mem install; its --uninstall removes this file.\n"
_FILLED = "// Filled by opencode-mem install; its --uninstall empties this file.\n"
_REST = f'{{\n  "$schema": "{SCHEMA}"\n}}\n'


@dataclass(frozen=True, slots=True)
class Entry:
    """What the configuration holds of us: absolute paths of this machine."""

    plugin: str
    python: str
    script: str

    def value(self) -> list[Json]:
        """As OpenCode reads it: the file and its options."""
        return [self.plugin, {"python": self.python, "script": self.script}]

    def text(self) -> str:
        """The same as it stands in the file."""
        return json.dumps(self.value(), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Held:
    """What a configuration says about plugins."""

    #: Our entries as they stand, in their order.
    ours: tuple[Json, ...]
    #: Whether it has the name `plugin` at all.
    listed: bool


def held(text: str) -> Held:
    """What the text holds of us.

    Raises:
        jsonc.Broken: it is no JSON.
        InvalidRequest: its `plugin` is no list, or it is no object.
    """
    if not text.strip("\ufeff \t\r\n"):
        return Held((), listed=False)
    found = _plugins(_root(text))
    if found is None:
        return Held((), listed=False)
    items = found.node.items
    return Held(tuple(item.node.value for item in items if is_ours(item.node.value)), listed=True)


def others(text: str) -> list[str]:
    """What else the text's `plugin` names: packages and files.

    Raises:
        jsonc.Broken: it is no JSON.
        InvalidRequest: its `plugin` is no list, or it is no object.
    """
    if not text.strip("\ufeff \t\r\n"):
        return []
    found = _plugins(_root(text))
    values = [item.node.value for item in found.node.items] if found else []
    specs = [value[0] if isinstance(value, list) and value else value for value in values]
    return [spec for spec in specs if isinstance(spec, str) and not is_ours(spec)]


def is_ours(value: Json) -> bool:
    """Whether an element of the list is our plugin, by itself or with options."""
    spec = value[0] if isinstance(value, list) and value else value
    return isinstance(spec, str) and (spec == FILE or spec.endswith(f"/{FILE}"))


def with_entry(text: str | None, entry: Entry) -> str:
    """The text with our entry in it, and nothing else changed; the same text when it is there.

    Args:
        text: the configuration as it is; None: there is none.
        entry: what is to stand in it.

    Raises:
        jsonc.Broken: the text is no JSON.
        InvalidRequest: its `plugin` is no list, or it is no object.
    """
    if text is None or not text.strip("\ufeff \t\r\n"):
        made = (_MADE if text is None else _FILLED) + _REST
        return (text or "") + _in_root(made, entry)
    found = _plugins(_root(text))
    if found is None:
        return _in_root(text, entry)
    places = _ours(found.node)
    if not places:
        how = jsonc.style(text)
        return jsonc.appended(text, found.node, entry.text(), how)
    for number in reversed(places[1:]):
        text = jsonc.removed(text, _list_of(text), number)
    first = _list_of(text).items[places[0]].node
    return text if first.value == entry.value() else jsonc.replaced(text, first, entry.text())


def without_entry(text: str) -> str | None:
    """The text as it was before `with_entry`; None: there was no file.

    Raises:
        jsonc.Broken: the text is no JSON.
        InvalidRequest: its `plugin` is no list, or it is no object.
    """
    if not text.strip("\ufeff \t\r\n"):
        return text
    root = _root(text)
    found = _plugins(root)
    if found is None:
        return text
    places = _ours(found.node)
    if not places:
        return text
    if len(places) == len(found.node.items) and _made_by_us(text, found.node):
        text = jsonc.removed(text, root, root.items.index(found))
    else:
        for number in reversed(places):
            text = jsonc.removed(text, _list_of(text), number)
    if text == _MADE + _REST:
        return None
    filled, here, rest = text.partition(_FILLED)
    return filled if here and rest == _REST else text


def _in_root(text: str, entry: Entry) -> str:
    root, how = _root(text), jsonc.style(text)
    gap = jsonc.item_gap(text, root, how)
    if not root.items and "\n" in text[root.start : root.end]:
        gap = how.newline + how.unit
    return jsonc.appended(text, root, f'"{_KEY}": {_new_list(entry, gap, how)}', how)


def _new_list(entry: Entry, gap: str, how: Style) -> str:
    """A list that is known for ours by the space behind its bracket."""
    if gap == " ":
        return f"[ {entry.text()} ]"
    return f"[{gap}{how.unit}{entry.text()}{gap}]"


def _made_by_us(text: str, node: Node) -> bool:
    """Whether we made the list: into one that was there we write right behind the bracket."""
    return text[node.start + 1 : node.start + 2].isspace()


def _root(text: str) -> Node:
    root = jsonc.parse(text)
    if not isinstance(root.value, dict):
        raise InvalidRequest("it holds no object in braces")
    return root


def _plugins(root: Node) -> Item | None:
    """The name `plugin` that counts: of two, OpenCode takes the last."""
    found = next((item for item in reversed(root.items) if item.key == _KEY), None)
    if found is not None and not isinstance(found.node.value, list):
        raise InvalidRequest("its `plugin` is not a list")
    return found


def _list_of(text: str) -> Node:
    found = _plugins(_root(text))
    assert found is not None  # noqa: S101 - it was there a moment ago
    return found.node


def _ours(node: Node) -> list[int]:
    return [number for number, item in enumerate(node.items) if is_ours(item.node.value)]
