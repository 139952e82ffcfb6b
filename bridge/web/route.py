"""What a route is: its path, the method behind it and the method's parameters. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

type Kind = Literal["string", "integer", "number", "boolean", "strings", "any"]

#: Largest time in seconds since the epoch that is taken for meant (the year 5138).
LATEST = 1e11
_LARGEST = 1e15
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a method, as HTTP takes it; the method itself may be stricter."""

    name: str
    kind: Kind
    about: str
    required: bool = False
    least: float = -_LARGEST
    most: float = _LARGEST
    longest: int = _LONGEST
    choices: tuple[str, ...] = ()


class Takes(Enum):
    """Where a route's parameters are."""

    #: In the query; there is no body.
    QUERY = "query"
    #: In a JSON object; no body at all is an empty one.
    OBJECT = "object"
    #: In the query, and the body is raw events.
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Route:
    """One verb of one path.

    `method` is the line protocol's; "" for what the HTTP side does by itself. `rejected` is the
    status when the engine behind it refuses. `open`: no token is asked for.
    """

    verb: str
    path: str
    method: str
    about: str
    result: str
    params: tuple[Param, ...] = ()
    takes: Takes = Takes.QUERY
    rejected: int = 502
    open: bool = False

    @property
    def resource(self) -> str:
        """The parameter in the path, "" when there is none."""
        return self.path.partition("{")[2].partition("}")[0]


PROJECT = Param("project", "string", "The project by name, when no group is given.")
CWD = Param("cwd", "string", "A folder of the project, when neither is given.", longest=4096)
