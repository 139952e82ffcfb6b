"""`mcp`: the memory's tools for any client of the Model Context Protocol."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from bridge.asking import Bridge
from memory_manager.errors import Rejected


def mcp(
    cwd: Annotated[
        Path | None,
        typer.Option(help="A folder of the project that is asked about (default: this one)."),
    ] = None,
    project: Annotated[
        str, typer.Option("--project", metavar="NAME", help="The project by name, instead.")
    ] = "",
) -> None:
    """Serve the memory's tools over stdin and stdout (MCP); ends when stdin does."""
    try:
        from bridge.mcp_server import Adapter, serve
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"mcp", "mcp_types"}:
            raise
        raise Rejected("the MCP server's package is not installed: run ./dev setup mcp") from None
    folder = (cwd or Path.cwd()).absolute()
    asyncio.run(serve(Adapter(Bridge.from_environment(), str(folder), project)))
