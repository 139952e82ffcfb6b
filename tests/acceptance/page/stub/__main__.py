"""The page on made-up data: `python tests/acceptance/page/stub [--port N] [--token T]`.

Prints one line of JSON for each address that lets one in (`{"url", "token"}`), the first at once
and another for each line read; ends with its input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from oddities import hostile, many
from story import checkout
from telling import HOUR
from world import World

from bridge.web.app import Behind, Web
from bridge.web.keys import Keys
from bridge.web.ports import listeners
from bridge.web.serving import WebServer

ROOT = Path(__file__).parents[4]
LONG = 10_000


async def made_up() -> World:
    """Four projects: one with everything, a long one, a hostile one, an empty one."""
    world, now = World(), time.time()
    events = checkout("g_c0ffee", now)
    world.add_project("g_c0ffee", "acme/checkout", "/work/checkout", events)
    for session in list(dict.fromkeys(event.session for event in events))[:-1]:
        await world.flush_session("g_c0ffee", session)
    world.add_project(
        "g_10ng", "acme/long-history", "/work/long", many("g_10ng", now - 30 * HOUR, LONG)
    )
    await world.settle("g_10ng")
    bad = hostile("g_bad", now - 14 * HOUR)
    name = 'shop</option><img src=x onerror="window.pwned=6">'
    world.add_project("g_bad", name, "/work/<i>shop</i>", bad)
    await world.flush_session("g_bad", bad[0].session)
    world.add_project("g_empty", "acme/empty", "/work/empty")
    await _ledger(world, events)
    await world.inject(("g_bad", bad[0].session), bad[0].content, bad[0].at, "injected")
    _broken(world, now)
    return world


_ASKED = (
    "How often may the payment client retry?", "Which coupon rule was decided, and why?",
    "What broke the migration in src/checkout/migrate.py?", "Where is the tax rate looked up?",
    "How are Swiss prices rounded?", "What failed in tests/test_webhook.py?",
    "Why does the cart page need one query only?", "Which packages did we add for currencies?",
    "What was changed in src/checkout/pricing.py?", "Is mypy run in CI?",
    "What does the webhook key on?",
)  # fmt: skip


async def _ledger(world: World, events) -> None:
    sessions = list({event.session: event for event in events}.values())
    for number in range(120):
        question = _ASKED[number % len(_ASKED)]
        event = sessions[-1 - number // 16]
        session, at = (event.group, event.session), event.at - 340 * number
        await world.inject(session, question, at, "cached" if number % 3 == 1 else "injected")


def _broken(world: World, now: float) -> None:
    world.wrong["g_10ng", "ses_long_024"] = {
        "batches": {"error": 2}, "attempts": 3, "retry_at": now + 95,
        "error": "the graph does not answer: Connection refused (falkordb.sock)",
    }  # fmt: skip
    world.wrong["g_10ng", "ses_long_011"] = {
        "batches": {"gave_up": 1}, "attempts": 5, "retry_at": None,
        "error": "rejected by the graph: query exceeded its memory limit",
    }  # fmt: skip


async def main() -> None:
    """Serve until the input ends."""
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--token", default=secrets.token_urlsafe(24))
    given = options.parse_args()
    port, sockets = listeners(given.port)
    keys = Keys(given.token, lambda: secrets.token_urlsafe(24), port)
    world = await made_up()
    web = Web(
        Behind(
            dispatch=world.dispatch, timeline=world.timeline, health=lambda: "live", keys=keys,
            page=ROOT / "bridge" / "web" / "static", version="0", run=secrets.token_hex(4),
            now=time.time, ticks=time.monotonic, touched=lambda: None,
        ),
        port,
    )  # fmt: skip
    server = WebServer(web)
    await server.start(sockets)
    while True:
        url = f"http://127.0.0.1:{port}/#code={keys.invite(time.time())}"
        print(json.dumps({"url": url, "token": given.token}), flush=True)  # noqa: T201 - its voice
        if not await asyncio.to_thread(sys.stdin.readline):
            break
    await server.close(2.0)


if __name__ == "__main__":
    asyncio.run(main())
