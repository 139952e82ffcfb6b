"""`opencode-mem bench …`."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.options import EPILOG, AsJson

app = typer.Typer(help="Measurements anyone can repeat.", no_args_is_help=True, epilog=EPILOG)


@app.command("hooks", epilog=EPILOG)
def hooks(
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option(help="A tenth of the rounds.")] = False,
) -> None:
    """Time the hook path against the least that the same work can cost."""
    from bridge.bench.hooks import run

    raise typer.Exit(run(as_json=as_json, quick=quick))


@app.command("spool", epilog=EPILOG)
def spool(
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option(help="A tenth of the events.")] = False,
) -> None:
    """Time events in and on, a look at a million of them, and the memory while they drain."""
    from bridge.bench.spool import run

    raise typer.Exit(run(as_json=as_json, quick=quick))


@app.command("opencode", epilog=EPILOG)
def opencode(
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option(help="A tenth of the turns.")] = False,
) -> None:
    """Time turns of the real OpenCode with and without memory, and take some under faults."""
    from bridge.bench.opencode import run

    raise typer.Exit(run(as_json=as_json, quick=quick))
