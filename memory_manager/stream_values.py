"""What stands in OpenCode's events: values of any shape, read without complaint. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_manager.hook_tools import FILE_TOOLS

if TYPE_CHECKING:
    from collections import OrderedDict
    from collections.abc import Iterable, Iterator

    from memory_manager.model import Json

type Object = dict[str, Json]

#: No count and no time in milliseconds is larger.
_LARGEST = 1e15


def kind_of(event: Object) -> str:
    """The event's type, without the version that it has in OpenCode's own log of them."""
    kind = text(event, "type")
    head, _, version = kind.rpartition(".")
    return head if version.isdigit() else kind


def files_of(tool: str, payload: Object) -> Iterator[str]:
    """The files that a call of a writing tool names, as it names them."""
    if tool not in FILE_TOOLS:
        return
    given = inner(payload, "input") or payload
    arguments = inner(given, "args") or inner(inner(payload, "output"), "args")
    about = inner(inner(payload, "output"), "metadata")
    changed = inner(about, "filediff")
    for value in (arguments.get("filePath"), about.get("filepath"), changed.get("file")):
        if isinstance(value, str):
            yield value
    files = about.get("files")
    for item in files if isinstance(files, list) else ():
        if isinstance(item, dict):
            for key in ("filePath", "movePath"):
                if path := text(item, key):
                    yield path


def is_added(part: Object) -> bool:
    """Whether a program added it to what a person typed."""
    return bool(part.get("synthetic") or part.get("ignored"))


def added_up(all_used: Iterable[Object]) -> Object:
    """Tokens of several answers."""
    total: Object = {}
    for used in all_used:
        for name in ("input", "output", "reasoning"):
            total[name] = _count(total.get(name)) + _count(used.get(name))
        cache, kept = inner(used, "cache"), inner(total, "cache")
        total["cache"] = {
            name: _count(kept.get(name)) + _count(cache.get(name)) for name in ("read", "write")
        }
    return total


def amount(value: Json) -> float:
    """A number that can be meant, else 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LARGEST:
        return 0.0
    return float(value)


def _count(value: Json) -> int:
    return int(amount(value))


def model_of(info: Object) -> str:
    """`provider/model` of a message."""
    model = inner(info, "model")
    parts = (
        text(info, "providerID") or text(model, "providerID"),
        text(info, "modelID") or text(model, "modelID"),
    )
    return "/".join(part for part in parts if part)


def inner(value: Object, name: str) -> Object:
    """The object of that name; an empty one when there is none."""
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def text(value: Object, name: str) -> str:
    """The string of that name; "" when there is none."""
    inner = value.get(name)
    return inner if isinstance(inner, str) else ""


def texts(value: Object, name: str) -> list[str]:
    """The strings in the list of that name."""
    inner = value.get(name)
    return [each for each in inner if isinstance(each, str)] if isinstance(inner, list) else []


def seconds(value: Json, otherwise: float) -> float:
    """OpenCode's milliseconds."""
    return amount(value) / 1000 or otherwise


def remember(known: OrderedDict[str, None], name: str, most: int) -> None:
    """Put it in; the oldest leave when there are more than `most`."""
    known[name] = None
    known.move_to_end(name)
    while len(known) > most:
        known.popitem(last=False)
