"""A write without a bridge: one request from stdin into the spool, redacted, and on disk at the end.

Run by the thin caller as `python -m memory_manager append` when no bridge is to be had. Settings
that only other parts need are not looked at: a bad one must not cost an event.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from memory_manager import contract, wire
from memory_manager.errors import InvalidRequest, Unavailable
from memory_manager.optout import opted_out
from memory_manager.project import Project, identify

if TYPE_CHECKING:
    from memory_manager.model import Json
    from memory_manager.spool.store import Spool

    type _Rules = Counter[str]

#: Seconds that Git, and another writer of the spool, may take: less than the caller waits.
_GIT_TIMEOUT, _BUSY_TIMEOUT = 0.5, 1.0


def appended(text: str) -> str:
    """The reply line to the request line `text`; on return what it asks to write is on disk.

    Raises:
        InvalidRequest: the request is malformed.
        MemoryFault: the spool can't be written.
    """
    try:
        message = wire.loads(text)
    except ValueError as error:
        raise InvalidRequest(f"request: not JSON: {error}") from error
    method = message.get("method") if isinstance(message, dict) else None
    params = message.get("params") if isinstance(message, dict) else None
    writes = {"hook": _hook, "store": _store, "ingest": _ingest, "event": _event}
    if not isinstance(params, dict) or not isinstance(method, str) or method not in writes:
        raise InvalidRequest("request: not one of hook, store, ingest, event, with params")
    try:
        from memory_manager import reporting  # noqa: PLC0415 - to say what is missing
        from memory_manager.spool.store import Spool  # noqa: PLC0415 - as above
    except ImportError as error:
        raise Unavailable(
            f"{sys.executable} has no {error.name}; install the project in it"
        ) from error
    path = Path(contract.spool_path(os.environ))
    with closing(Spool.open(path, timeout=_BUSY_TIMEOUT)) as spool:
        project = _project(spool, params, reporting.directory_of(params))
        rules: _Rules = Counter()
        result = _noted(writes[method](spool, params, project, rules), rules)
    return wire.dumps({"jsonrpc": "2.0", "id": 1, "result": result})


def _project(spool: Spool, params: dict[str, Json], directory: str) -> Project:
    named = _text(params, "group") or _text(params, "project")
    found = identify(directory, named, known=spool.group_of, timeout=_GIT_TIMEOUT)
    standing = spool.register(found.aliases, found.group, name=found.name, root=found.root)
    return Project(standing, found.name, found.root)


def _hook(
    spool: Spool, params: dict[str, Json], project: Project, rules: _Rules
) -> dict[str, Json]:
    from memory_manager import reporting  # noqa: PLC0415 - needs what may be missing

    name = _text(params, "name")
    minted, at = _event_id(params), _at(params)
    events = reporting.hooked(name, params, project, minted=minted, at=at, counted=rules)
    receipt = spool.append(reporting.from_hook(events, project, time.time(), rules))
    outcome = "duplicate" if receipt.received and not receipt.inserted else "accepted"
    return {"outcome": outcome, "note": "no bridge: the event is in the spool"}


def _store(
    spool: Spool, params: dict[str, Json], project: Project, rules: _Rules
) -> dict[str, Json]:
    from memory_manager import reporting  # noqa: PLC0415 - needs what may be missing

    minted, at = _event_id(params), _at(params)
    events = reporting.from_store(params, project, time.time(), rules, minted=minted, at=at)
    return reporting.stored(events, spool.append(events))


def _ingest(
    spool: Spool, params: dict[str, Json], project: Project, rules: _Rules
) -> dict[str, Json]:
    from memory_manager import reporting  # noqa: PLC0415 - needs what may be missing

    items = params.get("events")
    if not isinstance(items, list):
        raise InvalidRequest("events: not a list of objects")
    events = reporting.from_ingest(items, params, project, time.time(), rules)
    return reporting.taken_in(items, spool.append(events))


def _event(
    spool: Spool, params: dict[str, Json], project: Project, rules: _Rules
) -> dict[str, Json]:
    from memory_manager import stream_events  # noqa: PLC0415 - needs what may be missing

    items = params.get("events")
    if not isinstance(items, list):
        raise InvalidRequest("events: not a list of objects")
    answer: dict[str, Json] = {"received": len(items)}
    cwd = _text(params, "cwd")
    if opted_out(cwd, project.root):
        events = []
        answer["note"] = "this project has opted out: nothing was stored"
    else:
        events = stream_events.overheard(items, cwd, project, time.time(), rules)
    receipt = spool.append(events)
    return {"accepted": receipt.inserted, "duplicates": receipt.duplicates, "failed": 0, **answer}


def _noted(result: dict[str, Json], rules: _Rules) -> dict[str, Json]:
    """The result, and how often each rule took something out: nobody else here counts it."""
    if not rules:
        return result
    taken = "taken out: " + ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items()))
    note = result.get("note")
    return {**result, "note": f"{note}; {taken}" if isinstance(note, str) else taken}


def _event_id(params: dict[str, Json]) -> str:
    return _text(params, "event_id") or contract.uuid7(time.time(), os.urandom(10))


def _at(params: dict[str, Json]) -> float:
    at = params.get("at")
    return float(at) if isinstance(at, int | float) and at > 0 else time.time()


def _text(params: dict[str, Json], name: str) -> str:
    value = params.get(name)
    return value if isinstance(value, str) else ""
