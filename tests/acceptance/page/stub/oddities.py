"""Projects that are hard to show: a hostile one, and one with a long history."""

from __future__ import annotations

import random

from telling import HOUR, MINUTE, Session

from memory_manager.model import EventKind, RawEvent

#: What a hostile memory may hold: none of it may ever be more than text.
HOSTILE = (
    '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script></script></textarea>'
    "<svg onload=window.pwned=3> javascript:alert(1) \u202egnp.exe\u202c \x1b[31mred\x1b[0m"
)

_WORDS = ("retry", "gateway", "coupon", "price", "cart", "order", "tax", "stock", "webhook", "mail")


def hostile(group: str, now: float) -> list[RawEvent]:
    """A project whose every text wants to be more than text."""
    s = Session(group, "ses_<b>bold</b>\"'", now - HOUR, directory="/work/<i>shop</i>")
    s.ask(HOSTILE)
    s.edit('src/<img src=x onerror="window.pwned=4">.py', HOSTILE)
    s.run(f"echo '{HOSTILE}'", HOSTILE, 1)
    s.fail(HOSTILE, '<b onmouseover="window.pwned=5">')
    s.note(HOSTILE + " \ud800")
    s.done(HOSTILE)
    return s.events


def many(group: str, now: float, number: int) -> list[RawEvent]:
    """A long history, two minutes between its events."""
    chance = random.Random(7)  # noqa: S311 - the same history each time
    kinds = (EventKind.FILE_EDIT, EventKind.COMMAND, EventKind.NOTE, EventKind.MESSAGE)
    events = []
    for index in range(number):
        at = now - (number - index) * 2 * MINUTE
        kind = EventKind.PROMPT if index % 40 == 0 else chance.choice(kinds)
        path = f"src/{chance.choice(_WORDS)}/{chance.choice(_WORDS)}.py"
        text = f"{index}: {' '.join(chance.choices(_WORDS, k=chance.randint(3, 30)))}"
        metadata = {"type": str(kind), "path": path, "command": text, "directory": "/work/long"}
        session = f"ses_long_{index // 400:03d}"
        events.append(RawEvent(f"evt_long_{index}", group, session, kind, at, text, metadata))
    return events
