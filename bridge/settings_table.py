"""Every setting as a Markdown table, which the docs are compared with by test; and a bad one. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

from pydantic import AliasChoices
from pydantic_core import PydanticUndefined

from bridge.settings import BridgeSettings
from memory_manager.settings import MemorySettings
from metrics.settings import MetricsSettings

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_settings import BaseSettings

_CREDENTIALS = re.compile(r"//[^/@]*@")

_PARTS: tuple[tuple[str, type[BaseSettings]], ...] = (
    ("Memory", MemorySettings),
    ("Bridge", BridgeSettings),
    ("Metrics", MetricsSettings),
)


def table() -> str:
    """Variables, what they take, their defaults and meaning, by package."""
    lines: list[str] = []
    for title, settings in _PARTS:
        lines += [
            f"### {title}",
            "",
            "| variable | takes | default | meaning |",
            "|---|---|---|---|",
        ]
        for field in settings.model_fields.values():
            cells = (
                f"`{_variable(field)}`",
                _takes(field),
                _default(field),
                field.description or "",
            )
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def variable_of(name: str) -> str:
    """The variable of the setting of this name; the name itself when there is none."""
    for _, settings in _PARTS:
        if name in settings.model_fields:
            return _variable(settings.model_fields[name])
    return name


def explained(error: ValidationError) -> str:
    """A settings error in one line: the variable, its fault, the mend."""
    first = error.errors()[0]
    variable = variable_of(next((str(part) for part in first["loc"]), "a setting"))
    # An address may carry a password; the rest of it is what the person has to mend.
    value = _CREDENTIALS.sub("//…@", str(first.get("input")))[:80]
    fault = first["msg"].removeprefix("Value error, ").lower()
    return f"opencode-mem: {variable}={value}: {fault}; correct or unset it"


def _variable(field: FieldInfo) -> str:
    names = field.validation_alias
    choices = names.choices if isinstance(names, AliasChoices) else [names]
    return next(str(name) for name in choices if str(name).isupper())


def _takes(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if kind is bool:
        return "0 or 1"
    if literal := [value for value in get_args(kind) if isinstance(value, str)]:
        return ", ".join(f"`{value}`" for value in literal)
    limits = {type(rule).__name__: rule for rule in field.metadata}
    low: Any = limits.get("Ge") or limits.get("Gt")
    high: Any = limits.get("Le")
    if low is not None and high is not None:
        least = getattr(low, "ge", None)
        return f"{least if least is not None else f'above {low.gt}'} to {high.le}"
    return "a path" if getattr(kind, "__name__", "") == "Path" else "text"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "see below"
    if isinstance(field.default, bool):
        return str(int(field.default))
    return f"`{field.default}`" if field.default != "" else ""
