"""`open`: the page in the person's browser."""

from __future__ import annotations

import webbrowser
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
    answer = Bridge.from_environment().asked("web")
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
        webbrowser.open(address)
