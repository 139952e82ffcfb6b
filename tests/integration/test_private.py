"""A private passage through the running bridge: over parts, reports, retries and ways in."""

from __future__ import annotations

import asyncio

from metrics import catalog

SECRET = "the plan of a1B2c3D4"


def part(number, content, **metadata):
    return {
        "event_id": f"p{number}", "session_id": "s", "kind": "message", "content": content,
        "metadata": {"message_id": "m", **metadata},
    }  # fmt: skip


async def stored(bridge):
    return [row.event.content for row in await bridge.rows()]


async def test_parts_of_one_message_that_come_one_by_one_are_private_until_it_is_closed(bridge):
    for item in (
        part(1, f"see <private>{SECRET}"), part(2, SECRET), part(3, f"{SECRET}</private> so"),
        part(4, "and on"), part(2, SECRET),
    ):  # fmt: skip
        await bridge.call("ingest", events=[item])

    assert await stored(bridge) == ["see ", " so", "and on"]
    assert bridge.recorded.total(catalog.REDACTIONS, rule="private") == 4


async def test_a_large_part_opens_it_for_a_small_one_that_comes_at_once(bridge):
    """The large one is made on the spool's thread, after the small one."""
    large = part(1, "word " * 20_000 + "<private>")

    await asyncio.gather(
        bridge.call("ingest", events=[large]), bridge.call("ingest", events=[part(2, SECRET)])
    )

    assert SECRET not in "".join(await stored(bridge))


async def test_what_a_hook_opens_a_stream_and_a_store_go_on_with(bridge):
    prompt = {"query": f"a <private>{SECRET}", "session_id": "s", "message_id": "m"}
    await bridge.hook("chat:start", prompt)
    await bridge.call("ingest", events=[part(1, SECRET)])
    note = {"session_id": "s", "message_id": "m"}
    await bridge.call("store", content=f"{SECRET}</private>kept", metadata=note, wait=False)

    assert SECRET not in "".join(await stored(bridge))
    assert "kept" in await stored(bridge)


async def test_an_error_inside_a_passage_is_told_to_nobody(bridge):
    await bridge.call("ingest", events=[part(1, "<private>")])
    said = {"message": f"{SECRET} failed", "session_id": "s", "message_id": "m", "name": "Http"}
    await bridge.hook("error", {**said, "event_id": "e1"})
    await bridge.hook("error", {"message": "plainly broken", "event_id": "e2"})
    async with asyncio.timeout(30):
        while not any("plainly" in event.text for event in bridge.recorded.events):  # noqa: ASYNC110 - what is waited for knows nothing of tests
            await asyncio.sleep(0.005)

    assert SECRET not in "".join(event.text for event in bridge.recorded.events)


async def test_a_refused_report_that_is_sent_again_opens_it_once(bridge):
    first = part(1, f"<private>{SECRET}")
    _, error = await bridge.app.dispatch(
        "ingest", {"events": [first, {"content": 5}], "cwd": "/elsewhere"}
    )
    for item in (first, part(2, f"{SECRET}</private>b"), part(3, "c")):
        await bridge.call("ingest", events=[item])

    assert error is not None
    assert await stored(bridge) == ["b", "c"]


async def test_a_completion_is_not_named_by_what_was_private_in_the_prompt(bridge):
    query = f"{SECRET}\n more </private>ship it\nnow"
    await bridge.hook("chat:start", {"query": query, "session_id": "s", "message_id": "m"})
    await bridge.hook("completion", {"session_id": "s"})

    assert sorted(await stored(bridge)) == ["Completed: ship it", "ship it\nnow"]
