"""From what was reported to raw events of a project: by hook, `store` or `ingest`, with a bridge or not.

The same event makes the same row whichever way it comes: paths in the project's one spelling, the
folder that it happened in, no secrets.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from memory_manager.errors import InvalidRequest
from memory_manager.hook_events import note_of, reported
from memory_manager.hook_payload import LONGEST_PATH
from memory_manager.model import EventKind, episode_name, episode_uuid
from memory_manager.spool.events import ingested, raw_event
from memory_manager.spool.opened import Opened, part_of_event, part_of_item
from memory_manager.spool.private import START, public, settled
from memory_manager.spool.redact import redact, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from memory_manager.hook_events import HookEvent
    from memory_manager.model import Json, RawEvent
    from memory_manager.project import Project
    from memory_manager.spool.batches import Receipt
    from memory_manager.spool.private import Standing

#: The session of what is stored by hand.
BY_HAND = "manual"

#: The metadata that names files.
_PATHS = ("path", "old_path")
#: Values that are looked at to learn a size, and what more than that is taken for.
_LOOKED_AT, _LARGE = 2000, 1024 * 1024


def hooked(  # noqa: PLR0913 - what a hook call is made of
    name: str,
    params: dict[str, Json],
    project: Project,
    *,
    minted: str,
    at: float,
    prompt: str = "",
    counted: Counter[str] | None = None,
) -> tuple[HookEvent, ...]:
    """What a hook call with these params reports; see `hook_events.reported`.

    `counted` gets what was redacted before something was cut, by rule.

    Raises:
        InvalidRequest: the hook is unknown or the payload malformed.
    """
    directory = directory_of(params)
    rules: Counter[str] = Counter() if counted is None else counted
    return reported(
        name,
        params.get("payload"),
        minted=minted,
        at=at,
        redacted=lambda text: redacted(text, rules),
        settled=lambda text: _settled(text, rules),
        spell=lambda path: project.spelling(path, directory),
        prompt=prompt,
    )


def directory_of(params: dict[str, Json]) -> str:
    """Where the event happened: what the hook says, else where the caller stands."""
    payload, cwd = params.get("payload"), params.get("cwd")
    told = payload.get("directory") if isinstance(payload, dict) else None
    if isinstance(told, str) and told.startswith("/"):
        return told
    return cwd if isinstance(cwd, str) else ""


def standings_of_hook(
    events: Sequence[HookEvent], project: Project, opened: Opened
) -> list[Standing]:
    """In which private passages of their messages the events begin; asked as they arrive."""
    return opened.standings(project.group, [part_of_event(event) for event in events])


def standings_of_ingest(items: Sequence[Json], project: Project, opened: Opened) -> list[Standing]:
    """The same for the objects of `ingest`, or the parameters of `store`."""
    return opened.standings(project.group, [part_of_item(item) for item in items])


def each_standing_of_hook(
    events: Sequence[HookEvent], project: Project, opened: Opened
) -> Iterator[Standing]:
    """As `standings_of_hook`, one after the other; see `Opened.each`."""
    return opened.each(project.group, map(part_of_event, events), several=len(events) > 1)


def each_standing_of_ingest(
    items: Sequence[Json], project: Project, opened: Opened
) -> Iterator[Standing]:
    """As `standings_of_ingest`, one after the other; see `Opened.each`."""
    return opened.each(project.group, map(part_of_item, items), several=len(items) > 1)


def from_hook(
    events: Sequence[HookEvent],
    project: Project,
    now: float,
    counted: Counter[str],
    *,
    standings: Sequence[Standing] | None = None,
) -> list[RawEvent]:
    """The raw events of a hook; `counted` gets what was redacted, by rule.

    Without `standings` the private passages of this one report alone are known.

    Raises:
        InvalidRequest: one of them is too large.
    """
    if standings is None:
        standings = standings_of_hook(events, project, Opened())
    made = (
        _raw(event, event.session, project, now, counted, standing=standing)
        for event, standing in zip(events, standings, strict=True)
    )
    return [event for event in made if event is not None]


def from_store(  # noqa: PLR0913 - as `note_of`, and what all of these need
    params: dict[str, Json],
    project: Project,
    now: float,
    counted: Counter[str],
    *,
    minted: str,
    at: float,
    standing: Standing = START,
) -> list[RawEvent]:
    """The one raw event of `store`; see `note_of`.

    Raises:
        InvalidRequest: a parameter is malformed, or nothing of the content may be kept.
    """
    note = note_of(params, minted=minted, at=at)
    session = note.session or str(note.metadata.get("session_id") or BY_HAND)
    event = _raw(note, session, project, now, counted, standing=standing)
    if event is None:
        raise InvalidRequest("content: nothing is left of it after filtering; store other text")
    return [event]


def from_ingest(  # noqa: PLR0913 - what came in, from where, and where it stands
    items: Sequence[Json],
    params: dict[str, Json],
    project: Project,
    now: float,
    counted: Counter[str],
    *,
    standings: Sequence[Standing] | None = None,
) -> list[RawEvent]:
    """The raw events of `ingest`: objects as `spool.events.ingested` takes them.

    `standings` as in `from_hook`.

    Raises:
        InvalidRequest: one of them is malformed.
    """
    base = directory_of(params)
    spell = cache(project.spelling)  # the same few files, again and again
    if standings is None:
        standings = standings_of_ingest(items, project, Opened())
    made = (
        ingested(
            _placed(item, project.root, base, spell),
            group=project.group,
            now=now,
            counted=counted,
            standing=standing,
        )
        for item, standing in zip(items, standings, strict=True)
    )
    return [event for event in made if event is not None]


def stored(events: Sequence[RawEvent], receipt: Receipt) -> dict[str, Json]:
    """What `store` answers."""
    (event,) = events
    return {
        "name": episode_name(event.at, event.event_id),
        "uuid": episode_uuid(event.group, event.event_id),
        "event_id": event.event_id,
        "outcome": "accepted" if receipt.inserted else "duplicate",
    }


def taken_in(items: Sequence[Json], receipt: Receipt) -> dict[str, Json]:
    """What `ingest` answers: received = inserted + duplicates + ignored."""
    ignored = len(items) - receipt.received
    answer: dict[str, Json] = {
        "inserted": receipt.inserted,
        "received": len(items),
        "duplicates": receipt.duplicates,
        "ignored": ignored,
    }
    if ignored:
        answer["note"] = f"{ignored} of {len(items)} events are not worth keeping and were ignored"
    return answer


def changed(events: Iterable[HookEvent | RawEvent]) -> tuple[str, ...]:
    """The files that these events changed, each once: both names of a moved one."""
    found: dict[str, None] = {}
    for event in events:
        if event.kind is EventKind.FILE_EDIT:
            for name in _PATHS:
                path = event.metadata.get(name)
                if isinstance(path, str) and path:
                    found[path] = None
    return tuple(found)


def without_secrets(text: str) -> str:
    """`text` as it may be stored. A path in an event is spelled so, too."""
    return redact(text)[0]


def without_private(text: str) -> str:
    """`text` without its private passages: what may be remembered beside what is stored."""
    return public(text)


def bulk(value: Json) -> int:
    """About how many characters `value` holds. Costs little: of a large one a part is looked at."""
    values: list[Json] = [value]
    total = 0
    for each in values:
        if isinstance(each, str):
            total += len(each)
        elif isinstance(each, list | dict):
            # An object's names first, then its values.
            values += islice(each, _LOOKED_AT)
            if isinstance(each, dict):
                values += islice(each.values(), _LOOKED_AT)
            if len(values) > _LOOKED_AT:
                return max(total, _LARGE)
    return total


def _settled(text: str, rules: Counter[str]) -> tuple[str, str, str]:
    parts = settled(text)
    if parts[1] != text:
        rules["private"] += 1
    return parts


def _raw(  # noqa: PLR0913 - what an event is made of
    event: HookEvent,
    session: str,
    project: Project,
    now: float,
    counted: Counter[str],
    *,
    standing: Standing,
) -> RawEvent | None:
    return raw_event(
        event_id=event.event_id,
        group=project.group,
        session=session,
        kind=event.kind,
        at=event.at,
        content=event.content,
        # What ran here names files from here.
        metadata={"directory": project.root, **event.metadata},
        now=now,
        counted=counted,
        standing=standing,
    )


def _placed(item: Json, root: str, base: str, spell: Callable[[str, str], str]) -> Json:
    """The object with its folder, and its files as the project spells them."""
    if not isinstance(item, dict):
        return item
    given = item.get("metadata")
    if given is not None and not isinstance(given, dict):
        return item
    metadata: dict[str, Json] = {"directory": root, **(given or {})}
    told = given.get("directory") if given else None
    directory = told if isinstance(told, str) and told.startswith("/") else base
    content = item.get("content")
    names: list[tuple[str, str]] = []
    for name in _PATHS:
        path = metadata.get(name)
        if isinstance(path, str) and 0 < len(path) <= LONGEST_PATH:
            spelled = spell(path, directory)
            names.append((path, spelled))
            metadata[name] = spelled
    return {**item, "metadata": metadata, "content": _said(content, names)}


def _said(content: Json, names: Sequence[tuple[str, str]]) -> Json:
    """`Modified: <path>` and `Moved: <old> -> <new>` name files as the metadata does."""
    if not isinstance(content, str) or len(content) > 2 * LONGEST_PATH + 32:
        return content
    change, _, rest = content.partition(": ")
    if change not in {"Modified", "Deleted", "Moved"}:
        return content
    spelled = dict(names)
    parts = rest.split(" -> ") if change == "Moved" else [rest]
    return f"{change}: {' -> '.join(spelled.get(part.strip(), part) for part in parts)}"
