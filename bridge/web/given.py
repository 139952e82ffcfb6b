"""From a query or a JSON object to a method's parameters, strictly and as the table says. Pure.

Everything raises `InvalidRequest` with the parameter's name, its fault and the mend.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Never
from urllib.parse import parse_qsl

from memory_manager.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.web.routes import Param
    from memory_manager.model import Json

#: Fields that a query may have.
_MOST_FIELDS = 64
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?")
_FLAGS = {"true": True, "false": False}


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_no_constant)
"""JSON as the standard has it: no NaN, no infinity."""


def text_of(body: bytes) -> str:
    """The body's text.

    Raises:
        InvalidRequest: it is not UTF-8.
    """
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 (byte {error.start})") from None


def fault_of(error: ValueError | RecursionError) -> str:
    """What is wrong with the JSON, in one line."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
    if isinstance(error, RecursionError):
        return "not JSON that can be read: nested too deeply"
    return f"not JSON: {error}"


def object_of(body: bytes) -> dict[str, Json]:
    """The JSON object in a body; an empty body is an empty one."""
    text = text_of(body)
    if not text.strip():
        return {}
    try:
        value = DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is {fault_of(error)}") from None
    if not isinstance(value, dict):
        raise InvalidRequest("the body is not a JSON object")
    return value


def from_query(query: bytes, params: Sequence[Param]) -> dict[str, Json]:
    """The parameters in a query; an empty text counts as none."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except UnicodeDecodeError:
        raise InvalidRequest("the query is not percent-encoded UTF-8") from None
    except ValueError:
        raise InvalidRequest(f"the query has more than {_MOST_FIELDS} fields") from None
    told: dict[str, list[str]] = {}
    for name, value in pairs:
        told.setdefault(name, []).append(value)
    known = {param.name: param for param in params}
    _refuse_unknown(told, known)
    given: dict[str, Json] = {}
    for name, values in told.items():
        param = known[name]
        if param.kind == "strings":
            given[name] = [part for value in values for part in value.split(",") if part]
        elif len(values) > 1:
            raise InvalidRequest(f"{name}: given {len(values)} times; send it once")
        elif values[0] or param.kind != "string":
            given[name] = _read(param, values[0])
    return checked(given, params)


def checked(given: Mapping[str, Json], params: Sequence[Param]) -> dict[str, Json]:
    """The parameters of a JSON object, if they are what they should be; null counts as none."""
    known = {param.name: param for param in params}
    _refuse_unknown(given, known)
    for name, value in given.items():
        if value is not None:
            _check(known[name], value)
    for param in params:
        value = given.get(param.name)
        if param.required and (not isinstance(value, str) or not value.strip()):
            raise InvalidRequest(f"{param.name}: missing or empty")
    # A whole number may come as 5.0.
    return {
        name: int(value) if isinstance(value, float) and known[name].kind == "integer" else value
        for name, value in given.items()
        if value is not None
    }


def _refuse_unknown(names: Iterable[str], known: Mapping[str, Param]) -> None:
    for name in names:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise InvalidRequest(f"{name[:60]!r}: no such parameter; {takes}")


def _read(param: Param, value: str) -> Json:
    match param.kind:
        case "integer":
            if not _INTEGER.fullmatch(value):
                raise InvalidRequest(f"{param.name}: not a whole number")
            return int(value)
        case "number":
            if not _NUMBER.fullmatch(value):
                raise InvalidRequest(f"{param.name}: not a number")
            return float(value)
        case "boolean":
            if value not in _FLAGS:
                raise InvalidRequest(f"{param.name}: neither true nor false")
            return _FLAGS[value]
        case _:
            return value


def _check(param: Param, value: Any) -> None:  # noqa: ANN401 - any JSON
    match param.kind:
        case "string":
            if not isinstance(value, str):
                raise InvalidRequest(f"{param.name}: not a string")
            _check_text(param, value)
        case "strings":
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise InvalidRequest(f"{param.name}: not a list of strings")
            for item in value:
                _check_text(param, item)
        case "integer" | "number":
            _check_number(param, value)
        case "boolean":
            if not isinstance(value, bool):
                raise InvalidRequest(f"{param.name}: neither true nor false")
        case "any":
            return


def _check_text(param: Param, value: str) -> None:
    if len(value) > param.longest:
        raise InvalidRequest(f"{param.name}: longer than {param.longest} characters")
    if param.choices and value not in param.choices:
        raise InvalidRequest(f"{param.name}: {value[:40]!r} is none of {', '.join(param.choices)}")


def _check_number(param: Param, value: object) -> None:
    whole = param.kind == "integer"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"{param.name}: not a {'whole ' if whole else ''}number")
    if whole and value != value // 1:
        raise InvalidRequest(f"{param.name}: not a whole number")
    if not param.least <= value <= param.most:
        raise InvalidRequest(f"{param.name}: not from {param.least:g} to {param.most:g}")
