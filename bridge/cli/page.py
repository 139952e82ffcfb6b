"""`open`: the page in the person's browser."""

from __future__ import annotations

import html
import os
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from bridge.asking import Bridge
from bridge.cli.options import AsJson
from bridge.cli.show import print_json, say
from memory_manager.errors import Rejected


def open_page(
    browser: Annotated[bool, typer.Option(help="Open it, not only print it.")] = True,
    as_json: AsJson = False,
) -> None:
    """Open the page that shows the memory; the address holds a code that is good once, for a minute."""
    bridge = Bridge.from_environment()
    answer = bridge.asked("web")
    url, code = answer.get("url"), answer.get("code")
    if not isinstance(url, str) or not isinstance(code, str):
        raise Rejected("the bridge has no page to open; see its log")
    # In the fragment, which browsers send to nobody and write into no log.
    address = f"{url.rstrip('/')}/#code={code}"
    if as_json:
        print_json({**answer, "open": address})
    else:
        say(address)
    if browser and not as_json:
        webbrowser.open(_leading_to(address, Path(bridge.data).absolute()).as_uri())


def _leading_to(address: str, folder: Path) -> Path:
    """A file that only its owner can read and that leads a browser to the address.

    Everybody on the machine sees what a browser is started with. The file stays until the next
    time: by then its code has long been used, or too old.
    """
    path, target = folder / "open.html", html.escape(address)
    text = (
        '<!doctype html><meta charset="utf-8"><title>opencode-mem</title>'
        '<meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={target}"><a href="{target}">Open the page</a>\n'
    )
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Rejected(
            f"{path} can't be written: {error.strerror}; open the address above by hand"
        ) from error
    return path
