"""Finds secrets in UTF-8 text: one function for each family of rules. Pure.

A finder yields candidates from left to right: start, end and the rule, or "" for a place that was
looked at and found harmless. Looking costs time too, so whoever replaces counts every candidate.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from memory_manager.spool import patterns
from memory_manager.spool.judging import (
    bare_secret,
    mixed,
    placeholder,
    quoted_secret,
    shouted,
)
from memory_manager.spool.matching import MARK, Candidate, compiled, each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A value is judged by so many of its bytes.
_JUDGED = 512

# Formats that are secret wherever they stand


#: The rest of the word goes with a token: what is left of it could look like another one.
_REST = "[A-Za-z0-9_-]*"


@cache
def _marked() -> tuple[Any, list[tuple[str, Any, Any]]]:
    rules = patterns.marked()
    heads = "|".join(dict.fromkeys(head for _, head, _ in rules))
    return compiled(heads), [
        (rule, compiled(head), compiled(f"(?:{whole}){_REST}")) for rule, head, whole in rules
    ]


@lru_cache(maxsize=1024)
def _begun_by(head: bytes) -> list[tuple[str, Any]]:
    """The rules whose format may begin with this (a beginning as it was found)."""
    return [(rule, whole) for rule, one, whole in _marked()[1] if one.fullmatch(head)]


def _behind_escape(data: bytes, start: int) -> int:
    """The token's own start when its beginning was found with an escape before it."""
    return start + 2 if data[start : start + 1] == b"\\" else start


def _find_marked(data: bytes) -> Iterator[Candidate]:
    return each(_marked()[0], data, _token_at)


def _token_at(data: bytes, start: int, stop: int) -> Candidate | None:
    start = _behind_escape(data, start)
    for rule, whole in _begun_by(data[start:stop]):
        if token := whole.match(data, start):
            return start, token.end(), rule
    return None


@cache
def _unmarked() -> tuple[Any, list[tuple[str, Any]]]:
    rules = patterns.unmarked()
    every = compiled("(?:" + "|".join(pattern for _, pattern in rules) + ")" + _REST)
    return every, [(rule, compiled(pattern)) for rule, pattern in rules]


def _find_unmarked(data: bytes) -> Iterator[Candidate]:
    every, single = _unmarked()
    for match in every.finditer(data):
        start, stop = match.span()
        rule = next(rule for rule, one in single if one.match(data, start))
        yield _behind_escape(data, start), stop, rule


_JWT = compiled(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")


def _find_jwt(data: bytes) -> Iterator[Candidate]:
    return ((*match.span(), "jwt") for match in _JWT.finditer(data))


_BEGIN_KEY = compiled(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d"
)
_KEY_BODY = compiled(
    # Quoted, commented, in a diff (`-` begins a line of it), or with its line breaks escaped.
    r"""(?:(?:(?:\\[nr]|\n)-?|[\s"'+,>|*#:]|[A-Za-z-]{1,40}:[^\n]{0,200}\n)*[A-Za-z0-9+/=]{16,})+"""
    r"""(?:(?:(?:\\[nr]|\n)-?|[\s"'+,>|*#])*[A-Za-z0-9+/=]{1,15})?"""
    r"""(?:(?:(?:\\[nr]|\n)-?|[\s"'+,>|*#])*-----END [A-Z0-9 ]{0,60}-----)?"""
)


def _find_keys(data: bytes) -> Iterator[Candidate]:
    return each(_BEGIN_KEY, data, _key_at)


def _key_at(data: bytes, start: int, stop: int) -> Candidate | None:
    # A beginning without a body is a constant in someone's code.
    body = _KEY_BODY.match(data, stop)
    return None if body is None else (start, body.end(), "keyblock")


# Formats that need their surroundings


@cache
def _contexts() -> tuple[Any, list[str]]:
    rules = patterns.contexts()
    every = compiled("|".join(pattern for _, pattern in rules), groups=True)
    return every, [rule for rule, _ in rules]


def _find_in_context(data: bytes) -> Iterator[Candidate]:
    every, rules = _contexts()
    for match in every.finditer(data):
        group = match.lastindex
        yield (*match.span(group), rules[group - 1])


_URL = compiled(r"""://[^\s/:@"'<>{}$]*:[^\s/@"'<>]+@""")


def _find_urls(data: bytes) -> Iterator[Candidate]:
    for match in _URL.finditer(data):
        start, stop = match.span()
        password = data.index(b":", start + 3) + 1
        harmless = placeholder(data[password : password + _JUDGED])
        yield password, stop - 1, "" if harmless else "url"


_HEADER = compiled(
    r"""(?i)\b(?:(?:proxy-)?authorization\\?["']?\]?\s{0,4}[:=,]\s{0,4}\\?["'`]?"""
    r"""(?:(?:bearer|basic|token|digest|negotiate|apikey|bot|aws4-hmac-sha256)\s{1,4})?|"""
    r"""bearer\s{1,4}|basic\s{1,4}|(?:set-)?cookie\\?["']?\]?\s{0,4}:\s{0,4}\\?["']?)"""
)
_CREDENTIALS = {
    b"be": re.compile(rb"[A-Za-z0-9._~+/-]{12,512}=*"),
    b"ba": re.compile(rb"[A-Za-z0-9+/]{12,512}=*"),
    b"co": re.compile(rb"[^\s=;\"'\[\]\\]{1,64}=[^\n\"'\\]{1,8192}"),
}
_CREDENTIALS[b"se"] = _CREDENTIALS[b"co"]
_SCHEME = re.compile(
    rb"[\s\"'`:=,](?:bearer|basic|token|digest|negotiate|apikey|bot|aws4-hmac-sha256)\s+$",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(rb"[^\s\"'`,;\\(){}<>]{6,4096}")


def _find_headers(data: bytes) -> Iterator[Candidate]:
    return each(_HEADER, data, _credentials_at)


def _credentials_at(data: bytes, start: int, stop: int) -> Candidate | None:
    kind = data[start : start + 2].lower()
    value = _CREDENTIALS.get(kind, _AUTHORIZATION).match(data, stop)
    if value is None:
        return None
    if kind in {b"co", b"se"}:
        return stop, value.end(), "cookies"
    # Behind a scheme stands a credential, unless it is a word as in "basic authentication".
    said = _SCHEME.search(data, start, stop) is not None and not value[0].islower()
    harmless = placeholder(value[0]) or not (said or mixed(value[0]))
    return None if harmless else (stop, value.end(), "auth")


# Names that say what their value is


_NAME = re.compile(patterns.NAMES.encode(), re.IGNORECASE)
_SUFFIX = re.compile(rb"[\w-]*")
_ASSIGNMENT = compiled(
    rf"""(?i)(?:{patterns.NAMES})[\w-]*\\*["'`]?\]?[ \t]{{0,8}}"""
    r"""(?::[ \t]{0,2}[A-Za-z][\w.|\[\] ]{0,40}=|:=|=>|[=!]==?|[:=])[ \t]{0,8}"""
)
_VALUE = re.compile(
    rb"""[bfruBFRU@]{0,2}(?:\\{1,3}["']([^"'\\\n]+)|"([^"\\\n]*(?:\\.[^"\\\n]*)*)|"""
    rb"""'([^'\\\n]*(?:\\.[^'\\\n]*)*)|`([^`\n]+))|([^\s"'`,;&<>(){}\[\]|\\]+)"""
)
_BARE = 5
_LONGEST_SUFFIX = 40
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

_FLAG = compiled(rf"""(?i)--(?:[\w-]*?(?:{patterns.NAMES})|pass)[ =]["']?""")
_ARGUMENT = re.compile(rb"""[^\s"'`|;&<>-][^\s"'`|;&<>]*""")
_ELEMENT = compiled(rf"(?i)<[\w:.-]*?(?:{patterns.NAMES})>")
_TEXT = re.compile(rb"([^<>\s]{1,512})</")


def _find_assignments(data: bytes) -> Iterator[Candidate]:
    return each(_ASSIGNMENT, data, _assigned_at)


def _assigned_at(data: bytes, start: int, stop: int) -> Candidate | None:
    value = _VALUE.match(data, stop, stop + _JUDGED)
    if value is None or not (group := value.lastindex) or not (name := _NAME.match(data, start)):
        return None
    suffix = _SUFFIX.match(data, name.end(), stop)
    if suffix is None or len(suffix[0]) > _LONGEST_SUFFIX:
        return None
    if group == _BARE:
        operator, follows = data[suffix.end() : stop], data[value.end() : value.end() + 1]
        query = operator == b"=" and _query_field(data, start)
        secret = bare_secret(name[0], suffix[0], operator, value[group], follows, query=query)
    else:
        secret = quoted_secret(name[0], suffix[0], value[group])
    # What was found in it before was its secret: the rest may stay readable.
    if not secret or MARK.search(value[group]):
        return None
    if value.end() == stop + _JUDGED:
        value = _VALUE.match(data, stop) or value
    return (*value.span(value.lastindex or 0), "assignment")


def _query_field(data: bytes, start: int) -> bool:
    """Whether the name ending with this is a field of a URL's query: `?access_token=`."""
    before = data[max(0, start - _LONGEST_SUFFIX) : start].rstrip(_LETTERS)
    return before.endswith((b"?", b"&"))


def _find_flags(data: bytes) -> Iterator[Candidate]:
    return each(_FLAG, data, _argument_at)


def _argument_at(data: bytes, _start: int, stop: int) -> Candidate | None:
    value = _ARGUMENT.match(data, stop)
    if value is None or placeholder(value[0]) or shouted(value[0]):
        return None
    return stop, value.end(), "flag"


def _find_elements(data: bytes) -> Iterator[Candidate]:
    return each(_ELEMENT, data, _text_at)


def _text_at(data: bytes, _start: int, stop: int) -> Candidate | None:
    value = _TEXT.match(data, stop)
    return None if value is None or placeholder(value[1]) else (*value.span(1), "element")


# The order counts: what an earlier pass has replaced, a later one does not see.

_HEADER_WORDS = (b"uthoriz", b"UTHORIZ", b"earer", b"EARER", b"asic", b"ASIC", b"ookie", b"OOKIE")
_VENDORS = (b"aws", b"cloudant", b"softlayer", b"ibm")

PASSES: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Iterator[Candidate]]], ...] = (
    (lambda data: b"PRIVATE KEY" in data or b"PuTTY-" in data, _find_keys),
    (lambda data: True, _find_marked),  # noqa: ARG005 - its automaton is its own pre-filter
    (lambda data: True, _find_unmarked),  # noqa: ARG005 - the same
    (lambda data: b"eyJ" in data, _find_jwt),
    (lambda data: b"://" in data and b"@" in data, _find_urls),
    (lambda data: any(word in data for word in _HEADER_WORDS), _find_headers),
    (lambda data: any(word in data.lower() for word in _VENDORS), _find_in_context),
    (lambda data: b"--" in data, _find_flags),
    (lambda data: b"</" in data, _find_elements),
    (lambda data: b"=" in data or b":" in data, _find_assignments),
)
"""Whether a family can match at all (cheap), and its finder."""
