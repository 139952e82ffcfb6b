"""`opencode-mem`, the operator's command. Parses, asks the bridge, prints; decides nothing.

One file for each topic; here they are put together, and here their failures end.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Annotated

import typer

import memory_manager
from bridge.cli import (
    bench,
    crash,
    health,
    importing,
    install,
    mcp,
    page,
    raw_events,
    running,
    upkeep,
)
from bridge.cli.options import EPILOG
from memory_manager import contract
from memory_manager.errors import InvalidRequest, MemoryFault, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    name="opencode-mem",
    help="Memory for the OpenCode coding agent.",
    epilog=EPILOG,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(bench.app, name="bench")
app.add_typer(upkeep.tags_app, name="tags")
app.add_typer(importing.app, name="import")

_COMMANDS: dict[str, Callable[..., None]] = {
    "status": health.status,
    "doctor": health.doctor,
    "stats": health.stats,
    "install": install.install,
    "known": install.known,
    "open": page.open_page,
    "flush": running.flush,
    "raw-events-status": raw_events.status,
    "raw-events-retry": raw_events.retry,
    "raw-events-report": raw_events.report,
    "raw-events-gate": raw_events.gate,
    "audit": upkeep.audit,
    "reindex": upkeep.reindex,
    "serve": running.serve,
    "stop": running.stop,
    "settings": running.settings,
    "demo": running.demo,
    "crash": crash.crash,
    "mcp": mcp.mcp,
}
for _name, _command in _COMMANDS.items():
    app.command(_name, epilog=EPILOG)(_command)

#: What the parser raises for words that it can't take: its own copy of Click's error.
_REFUSED: type[Exception] = typer.BadParameter.__mro__[2]


@app.callback(invoke_without_command=True)
def _first(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(memory_manager.__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(words: list[str] | None = None) -> int:
    """Run `opencode-mem`; failures are one line on stderr and an exit status of the contract."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # names come in any script, terminals don't
    try:
        status = app(words, prog_name="opencode-mem", standalone_mode=False)
    except MemoryFault as fault:
        return _failed(str(fault), _status_of(fault))
    except typer.Abort:
        return _failed("interrupted", contract.FAILED)
    except (BrokenPipeError, SystemExit):
        # Whoever read has read enough (typer and rich make that an exit, and nothing else); the
        # interpreter's own flush at its end would complain.
        sys.stdout = None
        return contract.DONE
    except _REFUSED as fault:
        return _failed(_reason(fault), contract.MALFORMED)
    except Exception as bug:
        # The last boundary: a person gets a line, whatever it was.
        if sys.flags.dev_mode:
            raise
        where = "this is a bug; `python -X dev -m bridge …` shows where"
        return _failed(f"{type(bug).__name__}: {bug}; {where}", contract.FAILED)
    return status if isinstance(status, int) else contract.DONE


def _status_of(fault: MemoryFault) -> int:
    if isinstance(fault, InvalidRequest):
        return contract.MALFORMED
    return contract.UNAVAILABLE if isinstance(fault, Unavailable) else contract.FAILED


def _reason(fault: Exception) -> str:
    # The message without the box that it usually comes in; a group without a command has none.
    said: str = fault.format_message() if hasattr(fault, "format_message") else str(fault)
    return said or "a command is missing; see --help"


def _failed(why: str, status: int) -> int:
    print(f"opencode-mem: {contract.one_line(why)}", file=sys.stderr)
    return status
