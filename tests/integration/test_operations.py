"""What an operator does, by the methods that the command and the page call."""

from __future__ import annotations

import asyncio
import json

import pytest

from bridge.operations import folder_sizes
from memory_manager import contract
from memory_manager.errors import InvalidRequest, MemoryFault, Unavailable
from memory_manager.model import EventKind, RawEvent
from memory_manager.project import group_of
from memory_manager.spool.batches import BatchState

GROUP = group_of("name:shop")
NOON = 1_800_000_000.0


def note(session, number, group=GROUP):
    content = f"Decision {number}: the till counts in whole cents."
    return RawEvent(
        f"e_{session}_{number}", group, session, EventKind.NOTE, NOON, content, {"type": "note"}
    )


@pytest.fixture
def operations(bridge):
    return bridge.app.operations


@pytest.fixture
async def failed(bridge):
    """One session with a batch in `error`, one with a batch that was given up."""
    spool = bridge.parts.spool
    for session, gave_up in (("ses_error", False), ("ses_lost", True)):
        await spool.append([note(session, 1)])
        batch = await spool.call(lambda store, named=session: store.claim(GROUP, named))
        await spool.call(
            lambda store, of=batch, end=gave_up: store.fail(of, "boom", None, gave_up=end)
        )


async def states(bridge):
    status = await bridge.parts.spool.call(lambda spool: spool.status())
    return {str(state): count for state, count in status.batches.items() if count}


@pytest.mark.parametrize(
    ("params", "retried"),
    [
        ({}, 1),
        ({"only_error": True}, 1),
        ({"gave_up": True}, 2),
        ({"gave_up": True, "limit": 1}, 1),
        ({"session": "ses_error"}, 1),
        ({"session": "ses_lost"}, 0),
        ({"session": "ses_lost", "gave_up": True}, 1),
    ],
)
async def test_a_retry_makes_due_what_was_asked_for(operations, failed, params, retried):
    assert await operations.raw_events_retry(params) == {"retried": retried}


async def test_a_retried_batch_is_flushed(bridge, operations, failed):
    await operations.raw_events_retry({"gave_up": True})
    plan = await bridge.app.sweep.once()

    assert plan.due == ()
    assert await states(bridge) == {"completed": 2}


@pytest.mark.parametrize(
    "params",
    [
        {"session": "nobody"},
        {"session": 3},
        {"only_error": True, "gave_up": True},
        {"only_error": "yes"},
        {"limit": 0},
        {"limit": "x"},
    ],
)
async def test_a_malformed_retry_is_refused_and_changes_nothing(bridge, operations, failed, params):
    with pytest.raises(InvalidRequest):
        await operations.raw_events_retry(params)
    assert await states(bridge) == {"error": 1, "gave_up": 1}


async def test_a_report_is_json_with_as_many_buckets_as_asked_for(bridge, operations):
    await bridge.parts.spool.append([note("ses_r", number) for number in range(5)])
    await bridge.app.sweep.flush_all()
    now = bridge.parts.now()

    report = await operations.raw_events_report(
        {"since": now - 60, "until": now + 60, "buckets": 4}
    )

    assert json.loads(json.dumps(report)) == report
    assert len(report["buckets"]) == 4
    assert report["totals"]["completed"] == 1
    assert sum(bucket["completed"] for bucket in report["buckets"]) == 1


async def test_a_report_is_of_the_last_week_when_nobody_says(operations):
    report = await operations.raw_events_report({})

    assert report["until"] - report["since"] == 7 * 86_400
    assert len(report["buckets"]) == 24


@pytest.mark.parametrize(
    "params",
    [{"since": 5, "until": 5}, {"since": "x"}, {"buckets": 0}, {"buckets": 10**6}, {"until": 1e20}],
)
async def test_a_malformed_report_is_refused(operations, params):
    with pytest.raises(InvalidRequest):
        await operations.raw_events_report(params)


@pytest.mark.parametrize("method", ["audit", "reindex"])
async def test_a_project_that_nobody_knows_is_refused_and_named(bridge, method):
    for place in ({"group": "nosuch"}, {"project": "nosuch"}):
        _, error = await bridge.app.dispatch(method, place)
        assert error["code"] == contract.INVALID_PARAMS
        assert "nosuch" in error["message"]

    # A project that only the graph has left is known.
    group = group_of("name:nosuch")
    await bridge.parts.spool.append([note("ses_k", 1, group)])
    await bridge.app.sweep.flush_all()
    await bridge.parts.spool.call(lambda spool: spool.discard(group))
    assert (await bridge.app.dispatch(method, {"group": "nosuch"}))[1] is None


async def test_a_reindex_goes_project_by_project_and_outdates_what_was_cached(bridge, operations):
    projects = [group_of(f"name:{name}") for name in ("one", "two", "three")]
    for group in projects:
        await bridge.parts.spool.append([note("ses", 1, group)])
    await bridge.app.sweep.flush_all()
    rotated = []

    async def rotate(group):
        rotated.append(group)
        return True

    bridge.parts.cache.rotate = rotate
    first = await operations.reindex({"limit": 2})
    last = await operations.reindex({"limit": 2, "after": first["next"]})

    assert (first["groups"], first["left"], last["groups"], last["next"]) == (2, 1, 1, None)
    assert rotated == sorted(projects)
    assert first["episodes"] + last["episodes"] >= 3
    assert (await operations.reindex({"group": projects[0]}))["groups"] == 1


async def test_a_canary_goes_the_whole_way_and_leaves_nothing(bridge, operations):
    told = await operations.canary({})

    assert told["cleaned"] is True
    assert min(told["spooled_ms"], told["stored_ms"], told["found_ms"]) >= 0
    assert await bridge.rows() == []
    assert await bridge.parts.memory.groups() == ()
    assert (await operations.stats({}))["projects"] == []


async def test_two_canaries_at_once_don_t_disturb_each_other(operations):
    told = await asyncio.gather(operations.canary({}), operations.canary({}))

    assert [each["cleaned"] for each in told] == [True, True]


async def test_a_canary_whose_flush_fails_says_why_and_leaves_nothing(bridge, operations):
    class Dead:
        async def flush(self, batch, *, beat, silence):
            raise Unavailable("the flush worker has ended")

    worker, bridge.app.sweep.worker = bridge.app.sweep.worker, Dead()
    with pytest.raises(MemoryFault, match=r"its flush failed: .*the flush worker has ended"):
        await operations.canary({})
    bridge.app.sweep.worker = worker

    assert await bridge.rows() == []
    assert await states(bridge) == {}


async def test_a_canary_that_is_not_found_again_is_a_fault(bridge, operations, monkeypatch):
    class Forgetful(type(bridge.parts.memory)):
        async def query(self, query):
            from memory_manager.model import Answer

            return Answer()

    monkeypatch.setattr("bridge.operations._FOUND_S", 0.05)
    bridge.parts.memory.__class__ = Forgetful

    with pytest.raises(Unavailable, match="not found again"):
        await operations.canary({})
    assert await bridge.rows() == []


async def test_stats_count_what_there_is_in_every_project(bridge, operations):
    await bridge.parts.spool.append([note("ses_s", number) for number in range(3)])
    await bridge.app.sweep.flush_all()

    told = await operations.stats({})

    (project,) = told["projects"]
    assert (project["group"], project["sessions"], project["events"]) == (GROUP, 1, 3)
    assert project["episodes"] >= 3
    assert told["disk"]["spool"] > 0
    assert told["disk"]["all"] >= told["disk"]["spool"]


async def test_stats_without_a_graph_are_of_the_spool_alone(bridge, operations):
    await bridge.parts.spool.append([note("ses_s", 1)])
    bridge.parts.memory.fault = Unavailable("away")

    (project,) = (await operations.stats({}))["projects"]

    assert (project["events"], project["episodes"]) == (1, None)


async def test_old_batches_are_given_tags_page_by_page(bridge, operations):
    told = await operations.tags_backfill({"limit": 5})

    assert told == {"done": 0, "gone": 0, "failed": 0, "left": 0, "next": None}


async def test_the_clock_is_the_bridge_s(bridge, operations):
    assert abs((await operations.clock({}))["now"] - bridge.parts.now()) < 60


def test_a_folder_is_measured_by_what_stands_in_it(tmp_path):
    (tmp_path / "spool.sqlite3").write_bytes(b"x" * 10)
    (tmp_path / "spool.sqlite3-wal").write_bytes(b"x" * 5)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "bridge.log").write_bytes(b"x" * 3)
    (tmp_path / "gone").symlink_to("/nowhere")

    sizes = folder_sizes(tmp_path)

    assert (sizes["spool"], sizes["log"]) == (15, 3)
    assert folder_sizes(tmp_path / "none") == {"all": 0}


async def test_every_method_is_reached_through_the_bridge(bridge, operations):
    for name in operations.table:
        result, error = await bridge.app.dispatch(
            name, {"limit": "many", "session": 3, "since": "x"}
        )
        assert error is None or error["code"] == -32602, (name, error)
        assert error is not None or isinstance(result, dict)


def test_given_up_batches_are_a_state_of_their_own():
    assert {BatchState.ERROR, BatchState.GAVE_UP} < set(BatchState)
