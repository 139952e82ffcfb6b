"""Graphiti's driver for one project's graph, made safe and quick.

What differs from the stock one: the graph's name is the group and nothing else; reads never write,
so they never make a graph; indices are made when asked for, never in the background; nothing is
printed or logged with its parameters; any text whatever may be searched for. Stock Graphiti objects
work on top of it: `EntityEdge.get_by_uuid(driver, …)`, `Graphiti(graph_driver=driver, …)`.

Importing this module imports Graphiti: about a second of CPU and 100 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from falkordb.asyncio.graph import AsyncGraph
from graphiti_core.driver.falkordb_driver import FalkorDriver
from graphiti_core.utils.datetime_utils import convert_datetimes_to_strings

from memory_manager.graph import indices
from memory_manager.graph.cypher import asking
from memory_manager.graph.link import NoGraphError
from memory_manager.graph.search_hook import ProjectSearch
from memory_manager.terms import terms

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from memory_manager.graph.link import Link


class _Client:
    """What Graphiti needs of falkordb's client. The real one asks the server while it is made."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def select_graph(self, name: str) -> Any:  # noqa: ANN401 - untyped library
        return AsyncGraph(self, name)

    async def execute_command(self, *command: Any) -> Any:  # noqa: ANN401 - as above
        return await self._link.execute(*command)

    async def aclose(self) -> None:
        """The link belongs to the memory, which closes it."""


class ProjectDriver(FalkorDriver):
    """`FalkorDriver` bound to one group's graph."""

    def __init__(self, link: Link, group: str, dimension: int) -> None:
        """Nothing is asked of the server yet.

        Args:
            link: connections to the server.
            group: the project's group, and its graph's name.
            dimension: of the vectors that episodes get (0: none).
        """
        self._open = False
        self.link = link
        self.dimension = dimension
        super().__init__(falkor_db=_Client(link), database=group)
        self.search_interface = ProjectSearch()
        self._open = True

    @property
    def group(self) -> str:
        return str(self._database)

    async def execute_query(
        self,
        cypher_query_: str,
        **kwargs: Any,  # noqa: ANN401 - Graphiti's signature
    ) -> tuple[list[dict[str, Any]], list[str], None]:
        """Rows as dictionaries. With `routing_="r"` it cannot write, and a missing graph is empty."""
        read_only = kwargs.pop("routing_", None) == "r"
        parameters = _without_nul(convert_datetimes_to_strings(kwargs))  # type: ignore[no-untyped-call]
        graph = self._get_graph(self._database)
        run = graph.ro_query if read_only else graph.query
        try:
            result = await run(cypher_query_, parameters)
        except NoGraphError:
            return [], [], None
        header = [column[1] for column in result.header]
        return [dict(zip(header, row, strict=False)) for row in result.result_set], header, None

    def build_indices_and_constraints(
        self,
        delete_existing: bool = False,  # noqa: FBT001, FBT002 - Graphiti's signature
    ) -> Coroutine[Any, Any, None]:
        """Ours (`indices.py`), when asked for. The base class asks while it is being made."""
        return self._build(delete_existing=delete_existing) if self._open else _nothing()

    async def _build(self, *, delete_existing: bool) -> None:
        await indices.make(self.link, self.group, self.dimension)
        if delete_existing:
            await indices.rebuild(self.link, self.group, self.dimension, lambda _: None)

    def clone(self, database: str) -> ProjectDriver:
        """The driver of another group's graph, over the same connections."""
        if database == self._database:
            return self
        return ProjectDriver(self.link, database, self.dimension)

    async def health_check(self) -> None:
        """As the stock one, without printing."""
        await self.link.execute("PING")

    def build_fulltext_query(
        self,
        query: str,
        group_ids: list[str] | None = None,  # noqa: ARG002 - one graph holds one group
        max_query_length: int = 128,  # noqa: ARG002 - `asking` has its own bound
    ) -> str:
        """Made of letters, digits and bars, whatever the text."""
        return asking(terms(query))


async def _nothing() -> None:
    pass


def _without_nul(value: Any) -> Any:  # noqa: ANN401 - any parameter
    match value:
        case str():
            return value.replace("\x00", "")
        case dict():
            return {name: _without_nul(each) for name, each in value.items()}
        case list() | tuple():
            return [_without_nul(each) for each in value]
        case _:
            return value
