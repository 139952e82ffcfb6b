"""One event, however it is told: the same row, redacted and counted, without holding anybody up."""

from __future__ import annotations

import threading

import pytest

from bridge import others, tailing
from memory_manager import append, contract, reporting, wire
from memory_manager.project import group_of
from memory_manager.spool.store import Spool
from metrics import catalog

SECRET = "AKIA" + "IOSFODNN7EXAMPLZ"


@pytest.fixture
def root(tmp_path):
    top = tmp_path / "project"
    (top / "src").mkdir(parents=True)
    (top / "src" / "pay.py").touch()
    (top / "lib").symlink_to("src")
    return top.resolve()


def _outside(monkeypatch, bridge, method, params):
    """What `python -m memory_manager append` does."""
    monkeypatch.setenv("OPENCODE_MEM_DATA_DIR", str(bridge.app.memory_settings.data_dir))
    line = contract.request_line(method, {"project": "p", **params}).decode()
    return wire.loads(append.appended(line))["result"]


@pytest.mark.parametrize(
    "spelled", ["src/pay.py", "./src/pay.py", "src/../lib/pay.py", "{root}/src/pay.py"]
)
async def test_a_write_is_the_same_row_by_hook_by_ingest_and_without_a_bridge(
    bridge, monkeypatch, root, spelled
):
    path = spelled.format(root=root)
    place = {"cwd": str(root), "project": "p"}
    payload = {"path": path, "session_id": "s", "diff": f"+{SECRET}", "tool": "write"}
    item = {
        "session_id": "s", "kind": "file_edit", "content": f"Modified: {path}",
        "metadata": {"path": path, "change": "modified", "tool": "write", "diff": f"+{SECRET}"},
    }  # fmt: skip

    await bridge.hook("file:write", {**payload, "event_id": "hook"}, **place)
    await bridge.call("ingest", events=[{**item, "event_id": "ingest"}], **place)
    told = {"name": "file:write", "payload": {**payload, "event_id": "append"}, **place}
    _outside(monkeypatch, bridge, "hook", told)
    again = {"events": [{**item, "event_id": "append-ingest"}], **place}
    _outside(monkeypatch, bridge, "ingest", again)
    rows = {row.event.event_id: row.event for row in await bridge.rows()}
    told = {
        (
            event.group,
            event.session,
            event.kind,
            event.content,
            tuple(sorted(event.metadata.items())),
        )
        for event in rows.values()
    }

    assert len(rows) == 4
    assert len(told) == 1
    event = rows["append"]
    assert event.content == "Modified: src/pay.py"
    assert (event.metadata["path"], event.metadata["directory"]) == ("src/pay.py", str(root))


async def test_both_names_of_a_move_are_spelled(bridge, root):
    item = {
        "event_id": "m", "kind": "file_edit", "content": f"Moved: ./lib/pay.py -> {root}/src/new.py",
        "metadata": {"path": f"{root}/src/new.py", "old_path": "./lib/pay.py", "change": "moved"},
    }  # fmt: skip
    await bridge.call("ingest", events=[item], cwd=str(root))
    (event,) = [row.event for row in await bridge.rows()]

    assert event.content == "Moved: src/pay.py -> src/new.py"
    assert (event.metadata["path"], event.metadata["old_path"]) == ("src/new.py", "src/pay.py")


async def test_a_note_is_the_same_row_with_and_without_a_bridge(bridge, monkeypatch, root):
    note = {"content": f"money is Decimal {SECRET}", "metadata": {"a": 1}, "source": "me", "at": 5}
    place = {"cwd": str(root), "project": "p"}
    inside = await bridge.call("store", **note, event_id="in", wait=False, **place)
    outside = _outside(monkeypatch, bridge, "store", {**note, "event_id": "out", **place})
    first, second = [row.event for row in await bridge.rows()]

    # Without a bridge nobody counts what was redacted: the caller is told.
    assert outside.pop("note") == "taken out: aws 1"
    assert set(inside) == set(outside) == {"name", "uuid", "event_id", "outcome"}
    assert (first.session, first.at, first.content) == (second.session, second.at, second.content)
    assert first.session == reporting.BY_HAND
    assert dict(first.metadata) == dict(second.metadata)


async def test_redactions_of_store_and_ingest_are_counted(bridge):
    await bridge.call("store", content=f"one {SECRET} <private>x</private>", wait=False)
    await bridge.call("ingest", events=[{"content": f"two {SECRET} <private>x</private>"}])

    assert bridge.recorded.total(catalog.REDACTIONS, rule="private") == 2
    assert bridge.recorded.total(catalog.REDACTIONS) == 4


async def test_raw_events_without_a_place_are_refused_and_not_of_the_folder_above_all(bridge):
    events = [{"content": "whose is it?"}]
    for nowhere in ({}, {"cwd": ""}, {"cwd": None, "project": ""}):
        _, error = await bridge.app.dispatch("ingest", {"events": events, **nowhere})
        assert error["code"] == contract.INVALID_PARAMS
        assert all(name in error["message"] for name in ("cwd", "project", "group"))

    assert await bridge.rows() == []
    for place in ({"cwd": "/w"}, {"project": "shop"}, {"group": group_of("name:a")}):
        result, _ = await bridge.app.dispatch("ingest", {"events": events, **place})
        assert result["inserted"] == 1
    bridge.parts.projects._named = "shop"
    assert (await bridge.app.dispatch("ingest", {"events": events}))[1] is None


async def test_what_ingest_answers_adds_up_and_says_what_was_ignored(bridge, monkeypatch):
    events = [
        {"event_id": "a", "content": "one"},
        {"event_id": "a", "content": "one"},
        {"event_id": "b", "content": "two", "metadata": {"synthetic": True}},
        {"event_id": "c", "content": "<private>all of it</private>"},
    ]
    done = await bridge.call("ingest", events=events)
    kept = await bridge.call("ingest", events=events[:1])
    outside = _outside(monkeypatch, bridge, "ingest", {"events": events, "cwd": "/elsewhere"})

    assert done.pop("note") == "2 of 4 events are not worth keeping and were ignored"
    assert done == {"received": 4, "inserted": 1, "duplicates": 1, "ignored": 2}
    assert kept == {"received": 1, "inserted": 0, "duplicates": 1, "ignored": 0}
    for counts in (done, kept, outside):
        parts = (counts["inserted"], counts["duplicates"], counts["ignored"])
        assert counts["received"] == sum(parts)


DEEP = {"list": [["word" * 10] * 10 for _ in range(200)]}


@pytest.mark.parametrize(
    ("method", "params", "where"),
    [
        ("store", {"content": "x"}, "MainThread"),
        ("store", {"content": "word " * 20_000}, "spool"),
        ("store", {"content": "x", "metadata": DEEP}, "spool"),
        ("ingest", {"events": [{"content": "x"}]}, "MainThread"),
        ("ingest", {"events": [{"content": "word " * 100}] * 200}, "spool"),
        ("ingest", {"events": [{"content": "x", "metadata": DEEP}]}, "spool"),
        ("ingest", {"events": [{}] * 100 + [{"content": "x" * 100_000}]}, "spool"),
    ],
    ids=["note", "long note", "deep note", "one", "many", "deep", "last is long"],
)
async def test_what_takes_long_is_made_on_the_spool_s_thread(
    bridge, monkeypatch, method, params, where
):
    seen = set()

    for name in ("raw_event", "ingested"):
        original = getattr(reporting, name)

        def noted(*args, original=original, **fields):
            seen.add(threading.current_thread().name)
            return original(*args, **fields)

        monkeypatch.setattr(reporting, name, noted)
    events = [{"content": "x", **event} for event in params.get("events", [])]
    more = {"events": events} if events else {"wait": False}
    await bridge.call(method, **{**params, **more})

    assert seen == {where}


def test_a_size_is_guessed_without_looking_at_everything():
    assert reporting.bulk({"content": "x" * 100, "list": ["y" * 50, 5, None]}) < 200
    assert reporting.bulk([{"content": "x" * 10}] * 100_000) > tailing._SMALL
    assert reporting.bulk({"k" * 100_000: 1}) > tailing._SMALL


async def test_a_question_that_can_t_catch_up_in_time_does_without_the_cache(
    bridge, monkeypatch, caplog
):
    await bridge.call("store", content="money is Decimal", project="p")
    ask = {"text": "money?", "project": "p"}
    before = [(await bridge.call("query", **ask))["cache"] for _ in range(2)]
    item = {"kind": "file_edit", "content": "Modified: a.py", "metadata": {"path": "a.py"}}
    _outside(monkeypatch, bridge, "ingest", {"events": [item], "cwd": "/elsewhere"})
    with monkeypatch.context() as patch:
        patch.setattr(others, "_PATIENCE_S", 0.0)
        late = (await bridge.call("query", **ask))["cache"]
    after = (await bridge.call("query", **ask))["cache"]

    assert [*before, late, after] == ["miss", "hit", "bypass", "hit"]


async def test_a_spool_that_can_t_be_looked_at_costs_the_cache_and_not_the_answer(
    bridge, monkeypatch, caplog
):
    from memory_manager.errors import Unavailable

    await bridge.call("store", content="money is Decimal")
    await bridge.call("query", text="money?")

    def busy(self):
        raise Unavailable("busy")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "newest", busy)
        answer = await bridge.call("query", text="money?")
    again = await bridge.call("query", text="money?")

    assert (answer["cache"], again["cache"]) == ("bypass", "hit")
    assert answer["hits"]
    assert "Memory plugin error: the spool could not be looked at" in caplog.text


async def test_a_refused_event_of_a_file_that_changed_outdates_all_the_same(bridge, monkeypatch):
    outdated = []

    async def noted(group, paths):
        outdated.append(tuple(paths))
        return True

    monkeypatch.setattr(bridge.parts.cache, "invalidate", noted)

    def refuse(*args, **fields):
        from memory_manager.errors import InvalidRequest

        raise InvalidRequest("too large")

    monkeypatch.setattr(reporting, "raw_event", refuse)
    reply = await bridge.hook("file:write", {"path": "src/pay.py", "old_path": "old.py"})

    assert reply["outcome"] == "invalid"
    assert outdated == [("src/pay.py", "old.py")]


async def test_a_compaction_that_another_process_appended_is_noticed(bridge, monkeypatch):
    await bridge.hook("chat:start", {"query": "what is money?", "session_id": "s"}, project="p")
    (key,) = bridge.parts.windows.known._items
    item = {"kind": "compaction", "content": "compacted", "session_id": "s", "at": 50.0}
    _outside(monkeypatch, bridge, "ingest", {"events": [item], "cwd": "/elsewhere"})
    await bridge.call("query", text="money?", project="p")

    assert bridge.parts.windows.known.get(key) == 50.0
