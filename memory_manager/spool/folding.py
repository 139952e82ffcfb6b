"""Whether a tool event only repeats the one before it, and what is kept of it then. Pure.

An agent that polls runs the same command twenty times and gets the same answer: one text is
enough. Every id stays in the spool, so that each still arrives once.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from memory_manager.model import EventKind, Json, RawEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Kinds of which repeats are folded.
FOLDED = frozenset({EventKind.TOOL, EventKind.COMMAND})
#: In a stub's metadata: the id of the event that it repeats.
SAME_AS = "same_as"
#: What differs between two runs of the same thing.
_VARYING = frozenset({"duration", "message_id"})


def repeats(event: RawEvent, earlier: RawEvent) -> bool:
    """Whether `event` says in the same session what `earlier`, the one before it, has said."""
    return (
        event.kind in FOLDED
        and event.kind is earlier.kind
        and event.content == earlier.content
        and event.session == earlier.session
        and event.group == earlier.group
        and _lasting(event.metadata) == _lasting(earlier.metadata)
    )


def stub(event: RawEvent, first: RawEvent) -> RawEvent:
    """What is kept of an event that repeats `first`: that it happened, and when."""
    type_ = event.metadata.get("type", event.kind.value)
    return replace(event, content="", metadata={"type": type_, SAME_AS: first.event_id})


def repeated_by(metadata: Mapping[str, Json]) -> str:
    """The id of the event that a stub repeats; "" for an event that stands for itself."""
    first = metadata.get(SAME_AS)
    return first if isinstance(first, str) else ""


def _lasting(metadata: Mapping[str, Json]) -> str:
    # As text: in Python `True == 1`, in what was reported they are two things.
    kept = {name: value for name, value in metadata.items() if name not in _VARYING}
    return json.dumps(kept, sort_keys=True)
