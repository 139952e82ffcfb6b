r"""Tags in text as they are found there: plain, as entities, or escaped as in JSON and URLs. Pure.

`<private>`, `&lt;private&gt;`, `&#60;private&#62;`, `\u003cprivate\u003e`, `%3Cprivate%3E`, with
attributes, spaces, any case, and all of their ends: whoever writes a tag means it, however the
text was packed since.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from memory_manager.spool.matching import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Tags of one text that are looked at; what stands behind them is dropped.
MOST_TAGS = 4000

#: Most bytes of a tag's attributes, and most characters in which the beginning of a tag can stand.
_ATTRIBUTES, _BEGINNING = 200, 260

_LESS = r"<|&(?:amp;)?lt;|&#0{0,4}60;|&#x0{0,4}3c;|\\u003c|\\x3c|%3c"
_MORE = r">|&(?:amp;)?gt;|&#0{0,4}62;|&#x0{0,4}3e;|\\u003e|\\x3e|%3e"
_SLASH = r"\\{0,4}/|&#47;|&#x2f;|\\u002f|\\x2f|%2f"

#: What a text ends with when a `<private>` may have begun there and ends in the next text. It takes
#: more than can begin one: a tag is only seen when it is whole.
_BEGUN = re.compile(
    r"[<&\\%](?:[^<>\n]{0,20}?private[^<>\n]{0,220}"
    r"|[&;#%\\/\s\da-fglmptux]{0,20}?(?:p(?:r(?:i(?:v(?:at?)?)?)?)?)?)\Z",
    re.IGNORECASE,
)


def tags_of(name: str) -> Any:  # noqa: ANN401 - re2 has no types
    """The pattern of a tag and its end, for bytes; the end's slash is its group."""
    return compiled(
        rf"(?i)(?:{_LESS})\s{{0,4}}((?:{_SLASH})\s{{0,4}})?{name}"
        rf"(?:\s[^<>\n]{{0,{_ATTRIBUTES}}}?)?(?:{_MORE})",
        groups=True,
        bytewise=True,
    )


def found_in(pattern: Any, data: bytes) -> Iterator[tuple[int, int, bool]]:  # noqa: ANN401 - as above
    """Start and end of each tag, and whether it is an end; `MOST_TAGS` of them and one more."""
    for number, tag in enumerate(pattern.finditer(data)):
        yield (*tag.span(), tag.start(1) >= 0)
        if number == MOST_TAGS:
            return


def begun(text: str) -> str:
    """The beginning of a tag that `text` ends with, else ""."""
    end = text[-_BEGINNING:]
    if not ("<" in end or "&" in end or "\\" in end or "%" in end):
        return ""
    found = _BEGUN.search(end)
    return found[0] if found else ""
