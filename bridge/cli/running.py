"""`serve`, `stop`, `flush`, `settings`, `demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.asking import Bridge
from bridge.cli.options import AsJson
from bridge.cli.show import print_json, say
from memory_manager import contract
from memory_manager.errors import Unavailable


def serve() -> None:
    """Run the bridge in the foreground."""
    from bridge.process import serve as run

    raise typer.Exit(run())


def stop() -> None:
    """End the bridge in order; what it acknowledged is on disk."""
    try:
        Bridge.from_environment().stop()
    except Unavailable as fault:
        if "has not ended" in str(fault):
            raise
        say("no bridge is running")
        return
    say("the bridge has ended")


def flush(
    session: Annotated[str | None, typer.Argument(help="Only this session.")] = None,
    as_json: AsJson = False,
) -> None:
    """Turn everything pending into episodes now."""
    from bridge.cli.watching import while_pending

    bridge = Bridge.from_environment()
    with while_pending(bridge, "flushing"):
        answer = bridge.asked("flush", {"session": session}, deadline=3600)
    if as_json:
        print_json(answer)
    else:
        say(
            f"{answer['batches']} batches, {answer['episodes']} episodes, "
            f"{answer['skipped']} skipped, {answer['failed']} failed"
        )
    if answer.get("failed"):
        raise typer.Exit(contract.FAILED)


def settings() -> None:
    """Every setting, as the table that stands in the docs."""
    from bridge.settings_table import table

    typer.echo(table(), nl=False)


def demo(as_json: AsJson = False) -> None:
    """Replay a recorded OpenCode session and show what memory makes of it."""
    from bridge.demo.show import run

    raise typer.Exit(run(as_json=as_json))
