"""`opencode-mem`, the operator's command. Parses, asks the bridge, prints; decides nothing."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from bridge.asking import Bridge
from memory_manager import contract
from memory_manager.errors import InvalidRequest, MemoryFault, Unavailable

if TYPE_CHECKING:
    from memory_manager.model import Json

app = typer.Typer(
    name="opencode-mem",
    help="Memory for the OpenCode coding agent.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
bench_app = typer.Typer(help="Measurements anyone can repeat.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def serve() -> None:
    """Run the bridge in the foreground."""
    from bridge.process import serve as run

    raise typer.Exit(run())


@app.command()
def stop() -> None:
    """End the bridge in order; what it acknowledged is on disk."""
    bridge = Bridge.from_environment()
    try:
        bridge.stop()
    except Unavailable:
        _say("no bridge is running")
        return
    _say("the bridge has ended")


@app.command()
def status(as_json: AsJson = False) -> None:
    """How the bridge is: degradation, spool, engines, sizes."""
    answer = Bridge.from_environment().ask("status", {})
    if as_json:
        _print_json(answer)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _flat(answer):
        table.add_row(f"[bold]{name}[/bold]", value)
    Console().print(table)


@app.command()
def flush(
    session: Annotated[str | None, typer.Argument(help="Only this session.")] = None,
    as_json: AsJson = False,
) -> None:
    """Turn everything pending into episodes now."""
    answer = Bridge.from_environment().ask("flush", {"session": session}, deadline=3600)
    if as_json:
        _print_json(answer)
    elif isinstance(answer, dict):
        _say(
            f"{answer['batches']} batches, {answer['episodes']} episodes, "
            f"{answer['skipped']} skipped, {answer['failed']} failed"
        )
    if isinstance(answer, dict) and answer.get("failed"):
        raise typer.Exit(contract.FAILED)


@app.command()
def settings() -> None:
    """Every setting, as the table that stands in the docs."""
    from bridge.settings_table import table

    typer.echo(table(), nl=False)


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Replay a recorded OpenCode session and show what memory makes of it."""
    from bridge.demo.show import run

    raise typer.Exit(run(as_json=as_json))


@bench_app.command("hooks")
def bench_hooks(
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option(help="A tenth of the rounds.")] = False,
) -> None:
    """Time the hook path against the least that the same work can cost."""
    from bridge.bench.hooks import run

    raise typer.Exit(run(as_json=as_json, quick=quick))


def main() -> int:
    """Run `opencode-mem`; failures are one line on stderr and an exit status of the contract."""
    try:
        app(standalone_mode=True)
    except InvalidRequest as fault:
        return _failed(fault, contract.MALFORMED)
    except Unavailable as fault:
        return _failed(fault, contract.UNAVAILABLE)
    except MemoryFault as fault:
        return _failed(fault, contract.FAILED)
    return contract.DONE


def _failed(fault: MemoryFault, status: int) -> int:
    print(f"opencode-mem: {fault}", file=sys.stderr)
    return status


def _say(text: str) -> None:
    typer.echo(text)


def _print_json(value: Json) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _flat(value: Json, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        rows: list[tuple[str, str]] = []
        for key, inner in value.items():
            rows += _flat(inner, f"{prefix}{key} ")
        return rows
    return [(prefix.strip(), "-" if value is None else str(value))]
