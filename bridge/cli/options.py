"""Options that many commands share, and the exit statuses that all of them document."""

from __future__ import annotations

from typing import Annotated

import typer

EPILOG = (
    "Exit status: 0 done; 1 failed, or a threshold or check is broken; "
    "2 malformed request; 3 memory unavailable, try again."
)

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Project = Annotated[
    str | None,
    typer.Option("--project", "--group", metavar="NAME", help="Only this project: name or group."),
]
