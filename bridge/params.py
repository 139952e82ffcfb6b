"""A request's parameters, checked. Pure; everything raises `InvalidRequest` with the name and the mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest

if TYPE_CHECKING:
    from memory_manager.model import Json

type Params = dict[str, Json]

#: Largest number that is taken for meant.
_MOST = 1e15


def text(params: Params, name: str) -> str | None:
    """A text, or None when there is none."""
    value = params.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: not a string")
    return value


def texts(params: Params, name: str) -> tuple[str, ...]:
    """Several texts, as a list or with commas between them."""
    value = params.get(name)
    if value is None:
        return ()
    if isinstance(value, str):
        value = [part for part in value.split(",") if part]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidRequest(f"{name}: not a list of strings")
    return tuple(str(item) for item in value)


def required(params: Params, name: str) -> str:
    """A text with something in it."""
    value = text(params, name)
    if not value or not value.strip():
        raise InvalidRequest(f"{name}: missing or empty")
    return value


def number(params: Params, name: str) -> float | None:
    """A number of a sensible size, or None when there is none."""
    value = params.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"{name}: not a number")
    if not -_MOST <= value <= _MOST:
        raise InvalidRequest(f"{name}: not a number from -{_MOST:.0e} to {_MOST:.0e}")
    return float(value)


def amount(params: Params, name: str) -> float | None:
    """A number from 1, or None when there is none."""
    value = number(params, name)
    if value is not None and value < 1:
        raise InvalidRequest(f"{name}: less than 1")
    return value


def count(params: Params, name: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`."""
    value = amount(params, name)
    if value is None:
        return default
    if value > most:
        raise InvalidRequest(f"{name}: more than {most}")
    return int(value)


def flag(params: Params, name: str, default: bool = False) -> bool:  # noqa: FBT001, FBT002 - a default
    """True or false."""
    value = params.get(name, default)
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name}: neither true nor false")
    return value
