"""`opencode-mem crash`."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.options import AsJson


def crash(
    kills: Annotated[int, typer.Option(min=1, max=100_000, help="How often to strike.")] = 20,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the replay, the victims, the moments; 0: a new one.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Kill a bridge of its own, again and again, and see that nothing is lost or doubled."""
    import secrets

    from bridge.crash.show import run

    raise typer.Exit(run(kills=kills, seed=seed or secrets.randbelow(10**9) + 1, as_json=as_json))
