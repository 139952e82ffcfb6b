"""An extraction while it grows: entities and facts by uuid, with the provenance of their event."""

from __future__ import annotations

from dataclasses import dataclass, field

from memory_manager.extract.relations import RELATIONS, Basis
from memory_manager.model import Entity, Fact, RawEvent, entity_uuid, episode_uuid, identifier

#: A name, and a sentence made of names, end here.
_NAME, _TEXT = 300, 600


def word(event: RawEvent, key: str) -> str:
    """A text in the event's metadata, "" when there is none or it is something else."""
    value = event.metadata.get(key)
    return value if isinstance(value, str) else ""


def number(event: RawEvent, key: str) -> int | None:
    """A whole number in the event's metadata, written as a number or as text."""
    value = event.metadata.get(key)
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) < 12 and value.removeprefix("-").isdecimal():  # noqa: PLR2004
        return int(value)
    return value if isinstance(value, int) else None


def shorten(text: str, most: int = _NAME) -> str:
    """`text` in one line of at most `most` characters."""
    line = " ".join(text[: most * 4].split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


@dataclass(slots=True)
class Draft:
    """Collects what events come to; the same thing said twice stands once."""

    group: str
    entities: dict[str, Entity] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    mentions: dict[tuple[str, str], None] = field(default_factory=dict)

    def entity(self, type_: str, name: str) -> Entity:
        """The entity of this type and canonical name; attributes never depend on an event."""
        name = shorten(name)
        uuid = entity_uuid(self.group, type_, name)
        found = self.entities.get(uuid)
        if found is None:
            found = self.entities[uuid] = Entity(uuid, self.group, type_, name)
        return found

    def mention(self, event: RawEvent, *entities: Entity) -> None:
        """The event's episode speaks of these entities."""
        episode = episode_uuid(self.group, event.event_id)
        for entity in entities:
            self.mentions[episode, entity.uuid] = None

    def fact(  # noqa: PLR0913 - each is part of what a fact says
        self,
        event: RawEvent,
        source: Entity,
        relation: str,
        target: Entity,
        *,
        detail: str = "",
        chain: str = "",
        anew: bool = False,
        paths: tuple[str, ...] = (),
        witnesses: tuple[RawEvent, ...] = (),
        scope: str = "",
    ) -> None:
        """Adds `source -relation-> target`, as of `event`.

        Args:
            event: what makes it true; gives time and provenance.
            source: where the edge begins.
            relation: a name in the table.
            target: where the edge ends.
            detail: what the relation's template asks for.
            chain: what the chain of a functional relation is about.
            anew: a `Basis.SEEN` fact whose thing this event has created.
            paths: the files it is about.
            witnesses: all events it was concluded from (default: `event`).
            scope: the session whose whole history makes it.
        """
        row = RELATIONS[relation]
        distinct = "" if row.basis is Basis.SEEN and not anew else event.event_id
        if row.basis is Basis.SESSION:
            distinct = identifier(event.session, distinct)
        said_by = witnesses or (event,)
        uuid = identifier("fact", self.group, relation, source.uuid, target.uuid, distinct, scope)
        fact = Fact(
            uuid=uuid,
            group=self.group,
            source=source.uuid,
            target=target.uuid,
            relation=relation,
            text=shorten(
                row.template.format(source=source.name, target=target.name, detail=detail), _TEXT
            ),
            valid_at=event.at,
            session=event.session,
            scope=scope,
            closes=f"{row.chain}:{chain}" if row.functional else "",
            episodes=tuple(episode_uuid(self.group, one.event_id) for one in said_by),
            event_ids=tuple(one.event_id for one in said_by),
            paths=paths,
            branch=word(event, "branch"),
            commit=word(event, "commit"),
        )
        known = self.facts.get(uuid)
        if known is None or (fact.valid_at, fact.event_ids) < (known.valid_at, known.event_ids):
            self.facts[uuid] = fact
        if not scope:
            self.mention(event, source, target)
