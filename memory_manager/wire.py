"""JSON at the price of a string: CPython's own C codec without the package around it.

`import json` costs 7 ms, more than half a bare interpreter, nearly all of it for `re`, which the C
scanner does not need. Where the C parts are missing or have another shape, `json` does the work.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: What JSON allows between values.
_BLANK = " \t\n\r"


def _constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


class _Strict:
    """What the C scanner reads its options from."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_constant)


def _foreign(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is not JSON")


_scan: "Callable[[str, int], tuple[object, int]] | None" = None

try:
    from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner

    # Of the last three: keys in the order given, keys are strings, no NaN.
    _ascii = make_encoder(None, _foreign, encode_basestring_ascii, None, ":", ",", *(False,) * 3)
    _utf8 = make_encoder(None, _foreign, encode_basestring, None, ": ", ", ", *(False,) * 3)
    _scan = make_scanner(_Strict)  # type: ignore[arg-type] # duck-typed by the C code
except (ImportError, TypeError, AttributeError):
    pass  # another Python than those we know; `_scan` stays None


def loads(text: str) -> object:
    """The value that `text` is.

    Raises:
        ValueError: it is not JSON (NaN and infinities are not), or is nested too deeply.
    """
    try:
        if _scan is None:
            return _slow_loads(text)
        text = text.strip(_BLANK)
        try:
            value, end = _scan(text, 0)
        except StopIteration:
            end = -1
        # The slow way to the same complaint has the words for it.
        return value if end == len(text) else _slow_loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dumps(value: object) -> str:
    """One line of ASCII, compact: what goes over the socket.

    Raises:
        ValueError: a number that JSON has no word for.
    """
    if _scan is None:
        import json  # noqa: PLC0415 - only where the C parts are missing

        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    return "".join(_ascii(value, 0))


def readable(value: object) -> str:
    """One line for people and programs, in its own letters."""
    if _scan is None:
        import json  # noqa: PLC0415 - as above

        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return "".join(_utf8(value, 0))


def _slow_loads(text: str) -> object:
    import json  # noqa: PLC0415 - as above

    return json.loads(text, parse_constant=_constant)
