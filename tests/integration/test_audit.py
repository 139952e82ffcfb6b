"""Spool against graph on a real FalkorDB: what is missing is named, brought back, and nothing else."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from bridge.audit import expectations
from memory_manager.embed import open_embedder
from memory_manager.errors import Unavailable
from memory_manager.model import EventKind, RawEvent, episode_uuid
from memory_manager.project import group_of
from memory_manager.settings import MemorySettings
from memory_manager.spool.batches import BatchState

NOON = 1_800_000_000.0


def note(group, session, number, kind=EventKind.NOTE, content=""):
    text = content or f"Decision {number} of {session}: the till counts in whole cents."
    metadata = {"type": str(kind)}
    return RawEvent(f"e_{session}_{number}", group, session, kind, NOON + number, text, metadata)


@pytest.fixture
async def graph(bridge, falkordb_server):
    from memory_manager.graph.memory import GraphMemory

    settings = MemorySettings(falkordb_url=f"unix://{falkordb_server}")
    memory = GraphMemory.open(settings, open_embedder("none"))
    near = type(bridge.app.worker)
    bridge.parts.memory = memory
    bridge.app.worker = bridge.app.sweep.worker = near(
        bridge.app.memory_settings.spool_path, memory
    )
    yield memory
    for project in await memory.groups():
        await memory.drop(project)


@pytest.fixture
def named():
    return f"shop-{uuid.uuid4().hex}"


@pytest.fixture
async def group(bridge, graph, named):
    """A project with three sessions of four memories, flushed."""
    group = group_of(f"name:{named}")
    for session in ("ses_a", "ses_b", "ses_c"):
        await bridge.parts.spool.append([note(group, session, number) for number in range(4)])
    await bridge.app.sweep.flush_all()
    return group


async def audit(bridge, **params):
    """All pages of an audit, added up."""
    sums = {"missing": [], "failed": []}
    after = None
    while True:
        page = await bridge.app.operations.audit({"after": after, **params})
        for name, value in page.items():
            sums[name] = sums[name] + value if name in sums and name != "next" else value
        after = page["next"]
        if after is None:
            return sums


async def delete(graph, group, *uuids):
    query = f"MATCH (e:Episodic) WHERE e.uuid IN {list(uuids)!r} DETACH DELETE e"
    await graph._link.execute("GRAPH.QUERY", group, query)


@pytest.mark.engine
async def test_what_was_flushed_is_all_there(bridge, group):
    told = await audit(bridge)

    assert told == {
        "checked_batches": 3,
        "checked_events": 12,
        "unverifiable": 0,
        "missing": [],
        "repaired_batches": 0,
        "failed": [],
        "next": None,
    }


@pytest.mark.engine
@pytest.mark.parametrize("step", [3, 5, 7])
@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_exactly_the_episodes_that_are_gone_are_named(bridge, graph, group, step, limit):
    events = [f"e_{session}_{n}" for session in ("ses_a", "ses_b", "ses_c") for n in range(4)]
    gone = events[1::step]
    await delete(graph, group, *(episode_uuid(group, event) for event in gone))

    told = await audit(bridge, limit=limit)

    assert sorted(lost["event_id"] for lost in told["missing"]) == gone
    assert told["checked_events"] == 12
    for lost in told["missing"]:
        assert lost["group"] == group
        assert lost["uuid"] == episode_uuid(group, lost["event_id"])
        assert lost["event_id"].startswith(f"e_{lost['session']}_")
        batch = await bridge.parts.spool.call(lambda spool, lost=lost: spool.batch(lost["batch"]))
        assert batch.session == lost["session"]


@pytest.mark.engine
async def test_a_repair_brings_back_what_is_gone_doubles_nothing_and_leaves_a_clean_audit(
    bridge, graph, group
):
    before = await graph.size(group)
    whole = await graph.export(group)
    await delete(graph, group, episode_uuid(group, "e_ses_b_1"), episode_uuid(group, "e_ses_b_2"))

    mended = await audit(bridge, repair=True, limit=1)

    assert (mended["repaired_batches"], mended["failed"]) == (1, [])
    assert len(mended["missing"]) == 2
    assert (await audit(bridge))["missing"] == []
    assert await graph.size(group) == before
    assert await graph.export(group) == whole


@pytest.mark.engine
async def test_a_graph_that_was_wiped_comes_back_whole(bridge, graph, group):
    whole = await graph.export(group)
    await graph.drop(group)

    mended = await audit(bridge, repair=True)

    assert len(mended["missing"]) == 12
    assert mended["repaired_batches"] == 3
    assert await graph.export(group) == whole
    assert (await audit(bridge))["missing"] == []
    status = await bridge.parts.spool.call(lambda spool: spool.status())
    assert (status.pending, status.batches) == (0, {BatchState.COMPLETED: 3})


@pytest.mark.engine
async def test_what_retention_has_purged_can_t_be_verified_and_is_not_called_missing(
    bridge, graph, group
):
    purged = await bridge.parts.spool.call(
        lambda spool: spool.purge(bridge.parts.now() + 60, 0.0, 2)
    )
    assert purged == 2
    await graph.drop(group)

    told = await audit(bridge)

    assert (told["unverifiable"], told["checked_events"]) == (2, 10)
    assert len(told["missing"]) == 10
    mended = await audit(bridge, repair=True)
    assert mended["failed"] == []
    assert (await audit(bridge))["missing"] == []


@pytest.mark.engine
async def test_one_project_is_audited_alone_by_name_or_by_group(bridge, graph, group, named):
    other = group_of("name:other")
    await bridge.parts.spool.append([note(other, "ses_o", 1)])
    await bridge.app.sweep.flush_all()
    await graph.drop(other)

    assert (await audit(bridge, project=named))["checked_batches"] == 3
    assert (await audit(bridge, group=group))["missing"] == []
    assert [lost["group"] for lost in (await audit(bridge, group=other))["missing"]] == [other]
    assert (await audit(bridge))["checked_batches"] == 4


@pytest.mark.engine
async def test_a_batch_that_can_t_be_flushed_again_is_told_and_tried_again_later(
    bridge, graph, group
):
    await delete(graph, group, episode_uuid(group, "e_ses_a_0"))
    worker = bridge.app.sweep.worker

    class Away:
        async def flush(self, batch, *, beat, silence):
            raise Unavailable("the graph is away")

    bridge.app.sweep.worker = Away()
    mended = await audit(bridge, repair=True)
    bridge.app.sweep.worker = worker

    assert mended["repaired_batches"] == 0
    assert mended["failed"] == ["ses_a: Unavailable: the graph is away"]
    waiting = await bridge.parts.spool.call(lambda spool: spool.backlog())
    assert [backlog.batch.state for backlog in waiting] == [BatchState.ERROR]
    await bridge.app.sweep.flush_all()
    assert (await audit(bridge))["missing"] == []


async def test_without_a_graph_an_audit_says_so_instead_of_calling_all_missing(bridge):
    bridge.parts.memory = None
    bridge.parts.graph_came.set()

    with pytest.raises(Unavailable):
        await bridge.app.operations.audit({})


async def test_only_what_is_worth_an_episode_is_expected(bridge):
    group = group_of("name:expected")
    events = [
        note(group, "ses_x", 1),
        note(group, "ses_x", 2, EventKind.PROMPT, "yes"),
        note(group, "ses_x", 3, EventKind.SESSION, "created"),
    ]
    await bridge.parts.spool.append(events)
    batch = await bridge.parts.spool.call(lambda spool: spool.claim(group, "ses_x"))

    lost = expectations(batch, events)

    assert [each.event_id for each in lost] == ["e_ses_x_1"]
    assert lost[0].uuid == episode_uuid(group, "e_ses_x_1")


def work(group, number, content="the till rounds wrongly"):
    prompt = note(group, "ses_w", 2 * number, EventKind.PROMPT, f"Why does it fail? {content}")
    return [prompt, note(group, "ses_w", 2 * number + 1, EventKind.ERROR, f"Boom: {content}")]


@pytest.fixture
async def summed(bridge, graph, named):
    """A project with one flushed batch that has a summary; its uuid."""
    group = group_of(f"name:{named}")
    await bridge.parts.spool.append(work(group, 0))
    await bridge.app.sweep.flush_all()
    batch = await bridge.parts.spool.call(lambda spool: spool.batch(1))
    assert batch.summary
    return group, episode_uuid(group, "summary:ses_w:e_ses_w_0")


@pytest.mark.engine
async def test_a_summary_that_is_gone_is_named_and_brought_back(bridge, graph, summed):
    group, summary = summed
    whole = await graph.export(group)
    assert (await audit(bridge))["missing"] == []
    await delete(graph, group, summary)

    (lost,) = (await audit(bridge))["missing"]
    mended = await audit(bridge, repair=True)

    assert (lost["event_id"], lost["uuid"]) == ("summary:ses_w:e_ses_w_0", summary)
    assert mended["repaired_batches"] == 1
    assert (await audit(bridge))["missing"] == []
    assert await graph.export(group) == whole


@pytest.mark.engine
async def test_a_repair_flushes_what_is_missing_and_nothing_else_that_waits(bridge, graph, summed):
    group, _ = summed
    spool = bridge.parts.spool
    await spool.append([note(group, "ses_w", 7)])
    failed = await spool.call(lambda store: store.claim(group, "ses_w"))
    await spool.call(lambda store: store.fail(failed, "boom", None))
    await spool.append([note(group, "ses_w", 8)])
    await delete(graph, group, episode_uuid(group, "e_ses_w_0"))

    mended = await audit(bridge, repair=True)

    assert (mended["repaired_batches"], mended["failed"]) == (1, [])
    first, other = await spool.call(lambda store: (store.batch(1), store.batch(failed.id)))
    assert (first.state, other.state) == (BatchState.COMPLETED, BatchState.ERROR)
    (waiting,) = await spool.call(lambda store: store.backlog())
    assert (waiting.pending, waiting.batch.id) == (2, failed.id)


async def test_a_summary_whose_first_event_is_purged_is_not_expected(bridge):
    group = group_of("name:summed")
    events = work(group, 0)
    await bridge.parts.spool.append(events)
    await bridge.app.sweep.flush_all()
    batch = await bridge.parts.spool.call(lambda spool: spool.batch(1))

    assert [each.event_id for each in expectations(batch, events)][-1] == "summary:ses_w:e_ses_w_0"
    assert [each.event_id for each in expectations(batch, events[1:])] == ["e_ses_w_1"]
    unsaid = replace(batch, summary="")
    assert len(expectations(unsaid, events)) == 2
