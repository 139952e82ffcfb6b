"""Whether the value behind a telling name is a secret or ordinary code. Pure; a matter of judgement."""

from __future__ import annotations

import re

#: Bare words that stand after a name like `password:` in code and mean no secret.
_PLAIN = frozenset(
    (
        b"any array bool boolean bytes bytearray char const false float int integer list long nil "
        b"no none null number object off on optional required secretstr self static str string "
        b"text true type undefined unknown var varchar void yes password passwd secret token"
    ).split()
)
#: Ends of names that tell about a secret rather than hold it.
_ABOUT = re.compile(
    rb"(?:file|path|name|id|ids|type|url|uri|field|label|count|len|length|limit|index|ttl|s|size|"
    rb"format|regex|pattern|hint|policy|prompt|error|expiry|expires|expires_?in|env|ref|class|at|"
    rb"is|has|for|usage|budget|cost)$",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    rb"[$%]?[({<]|\$|%[sd]|\*+$|x+$|\.\.\.|process\.env|os\.|your[-_ ]", re.IGNORECASE
)
_DOTTED = re.compile(rb"[A-Za-z_]\w*(?:\??\.[A-Za-z_]\w*)*[?!]?")
_SHOUTED = re.compile(rb"[A-Z][A-Z_]*")
_STRONG = re.compile(rb"[_-]?(?:pass|pwd|secret|contrase|connection)", re.IGNORECASE)
_DIGIT = re.compile(rb"[0-9]")

#: Shorter values are words or code; longer bare ones are no names.
_SHORTEST_QUOTED, _SHORTEST_BARE, _SHORTEST_WEAK, _NO_NAME = 3, 4, 8, 20


def placeholder(value: bytes) -> bool:
    """Whether it only stands for a value: `${TOKEN}`, `<password>`, `****`."""
    return _PLACEHOLDER.match(value) is not None


def mixed(value: bytes) -> bool:
    """Whether it has digits and more than digits, or the look of base64: no word of a language."""
    if _DIGIT.search(value):
        return not value.isdigit()
    return value.endswith(b"=")


def quoted_secret(name: bytes, suffix: bytes, value: bytes) -> bool:
    """Whether a quoted value of a name (`password`, and its suffix `_hash`) is a secret."""
    if len(value) < _SHORTEST_QUOTED or placeholder(value):
        return False
    if b" " in value:
        return name.lower() == b"passphrase" and not suffix
    if suffix or not _STRONG.match(name):
        return len(value) >= _SHORTEST_WEAK and mixed(value) and not _ABOUT.search(suffix)
    return value.lower() not in _PLAIN


def bare_secret(  # noqa: PLR0913 - all that is known about it
    name: bytes, suffix: bytes, operator: bytes, value: bytes, follows: bytes, *, query: bool
) -> bool:
    """The same for a value without quotes, which may be code: `token = next(tokens)`."""
    if (
        len(value) < _SHORTEST_BARE
        or follows in {b"(", b"[", b"{"}
        or b"==" in operator
        or placeholder(value)
        or value.lower() in _PLAIN
        or (suffix and _ABOUT.search(suffix))
    ):
        return False
    strong = not suffix and _STRONG.match(name) is not None
    if value.isdigit():
        return strong
    # `DB_PASSWORD=…`, `Password=…`, `?token=…`: environment, connection strings, URLs, not code.
    setting = query or (operator == b"=" and name.lstrip(b"_-")[:1].isupper())
    if not _DOTTED.fullmatch(value):
        return strong or setting or (len(value) >= _SHORTEST_WEAK and mixed(value))
    if b"." in value:
        return False
    if _DIGIT.search(value):
        return strong or setting or len(value) >= _NO_NAME
    yaml = operator.endswith(b": ") and follows in {b"", b"\n", b"\r"} and value.islower()
    return setting or (strong and yaml)


def shouted(value: bytes) -> bool:
    """Whether it is a word of capitals, as usage texts name a value."""
    return _SHOUTED.fullmatch(value) is not None
