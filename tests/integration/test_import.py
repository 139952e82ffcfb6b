"""A person asks for the history that OpenCode has already: all of it, once, from where it stopped."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from memory_manager.errors import Rejected, Unavailable
from metrics import catalog


@pytest.fixture
def ask(bridge, opencode_db):
    async def asked(method, **params):
        return await bridge.call(method, database=str(opencode_db), **params)

    return asked


async def whole(ask, **params):
    """All sessions, one after the other; what came of them together."""
    total = {"messages": 0, "inserted": 0, "known": 0, "ignored": 0}
    for row in (await ask("import_sessions"))["sessions"]:
        again = dict(params)
        while True:
            answer = await ask("import_session", session=row["session"], **again)
            for name in total:
                total[name] += answer[name]
            if answer["done"]:
                break
            again.pop("again", None)
    return total


async def events(bridge):
    return [row.event for row in await bridge.rows()]


def write(path, sql, *values):
    with closing(sqlite3.connect(path, autocommit=True)) as db:
        db.execute(sql, values)


async def test_sessions_are_listed_newest_first_with_their_projects(ask):
    listed = await ask("import_sessions")

    assert [row["project"] for row in listed["sessions"]] == ["project"] * 3
    assert {row["group"] for row in listed["sessions"]} == {
        listed["sessions"][0]["group"],
    }
    times = [row["at"] for row in listed["sessions"]]
    assert times == sorted(times, reverse=True)
    assert listed["next"] is None


async def test_they_are_listed_in_pages(ask):
    first = await ask("import_sessions", limit=2)
    second = await ask("import_sessions", limit=2, after=first["next"])

    names = [row["session"] for page in (first, second) for row in page["sessions"]]
    assert len(set(names)) == len(names) == 3
    assert second["next"] is None


async def test_only_those_used_since_then_or_of_one_project(ask, tmp_path):
    newest = (await ask("import_sessions"))["sessions"][0]["at"]

    assert len((await ask("import_sessions", since=newest))["sessions"]) == 1
    assert (await ask("import_sessions", directory=str(tmp_path)))["sessions"] == []
    assert len((await ask("import_sessions", directory="/project"))["sessions"]) == 3


async def test_it_comes_in_whole_and_with_its_own_times(bridge, ask, opencode_db):
    total = await whole(ask)

    assert total == {"messages": 63, "inserted": 83, "known": 0, "ignored": 0}
    found = await events(bridge)
    assert len(found) == 83
    with closing(sqlite3.connect(opencode_db)) as db:
        (begun,) = db.execute("SELECT min(time_created) FROM session").fetchone()
    assert min(event.at for event in found) == begun / 1000


async def test_what_was_used_long_ago_is_no_metric_of_today(bridge, ask):
    await whole(ask)

    assert bridge.recorded.values(catalog.TOKENS_USED) == []


async def test_a_second_time_nothing_is_read_and_from_the_beginning_all_is_known(bridge, ask):
    await whole(ask)

    assert await whole(ask) == {"messages": 0, "inserted": 0, "known": 0, "ignored": 0}
    assert await whole(ask, again=True) == {
        "messages": 63, "inserted": 0, "known": 83, "ignored": 0,
    }  # fmt: skip
    assert len(await events(bridge)) == 83


async def test_a_dry_run_counts_and_stores_nothing_not_even_how_far_it_was(bridge, ask):
    assert (await whole(ask, dry_run=True))["inserted"] == 83
    assert await events(bridge) == []
    assert (await whole(ask))["inserted"] == 83


async def test_a_piece_at_a_time_it_goes_on_where_it_was(bridge, ask, monkeypatch):
    monkeypatch.setattr("bridge.history.importing._MOMENT_S", 0.0)
    monkeypatch.setattr("bridge.history.reading.PAGE", 3)
    monkeypatch.setattr("bridge.history.reading.Reading.pages.__defaults__", (3,))
    row = (await ask("import_sessions"))["sessions"][1]
    pieces = 0
    while not (await ask("import_session", session=row["session"]))["done"]:
        pieces += 1

    total = await whole(ask)
    assert pieces > 5
    assert len(await events(bridge)) == 83
    assert total["inserted"] < 83


async def test_a_disk_that_was_full_in_the_middle_costs_nothing(bridge, ask, monkeypatch):
    append, left = bridge.parts.tailing.append, 2

    async def full(*arguments):
        nonlocal left
        left -= 1
        if left < 0:
            raise Rejected("no space left")
        return await append(*arguments)

    monkeypatch.setattr(bridge.parts.tailing, "append", full)
    with pytest.raises(AssertionError, match="no space left"):
        await whole(ask)
    monkeypatch.undo()

    await whole(ask)
    assert len(await events(bridge)) == 83


async def test_a_removed_worktree_belongs_to_its_repository(bridge, ask, opencode_db, tmp_path):
    main = tmp_path / "main"
    (main / ".git").mkdir(parents=True)
    (main / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    write(opencode_db, "UPDATE project SET worktree = ?", str(main))

    row = (await ask("import_sessions"))["sessions"][1]
    await whole(ask)

    assert row["group"] == (await bridge.parts.projects.of(str(main))).group
    paths = {event.metadata.get("path") for event in await events(bridge)}
    assert {"app.py", "sub.txt", "gone.txt"} <= paths


async def test_a_project_that_opted_out_is_listed_so_and_left_alone(
    bridge, ask, opencode_db, tmp_path
):
    write(opencode_db, "UPDATE session SET directory = ?", str(tmp_path))
    (tmp_path / ".opencode").mkdir()
    (tmp_path / ".opencode" / "memory-off").touch()

    listed = (await ask("import_sessions"))["sessions"]

    assert all(row["opted_out"] and not row["group"] for row in listed)
    assert (await whole(ask))["messages"] == 0
    assert await events(bridge) == []


async def test_imported_sessions_are_flushed_like_any(bridge, ask):
    await whole(ask)

    report = await bridge.app.sweep.flush_all()

    assert (report.batches, report.failed) == (3 + 1, 0)  # and the subagent's
    assert report.episodes > 60
    assert (await bridge.call("status"))["spool"]["pending"] == 0


async def test_after_an_import_the_next_hello_reads_on(bridge, ask, opencode_db):
    await whole(ask)
    group = (await bridge.parts.projects.of("/project")).group

    assert bridge.app.archive._marks.since(group, 4e9) < 4e9


async def test_what_was_only_caught_up_with_is_imported_from_its_beginning(
    bridge, ask, opencode_db
):
    archive = bridge.app.archive
    group = (await bridge.parts.projects.of("/project")).group
    with closing(sqlite3.connect(opencode_db)) as db:
        (middle,) = db.execute("SELECT avg(time_created) FROM message").fetchone()
    archive._marks.since(group, middle / 1000)
    archive._catching_up._database = opencode_db
    bridge.parts.now = lambda: middle / 1000 + 86_400.0
    await archive.catch_up("/project")
    some = len(await events(bridge))

    total = await whole(ask)

    assert 10 < some < 60
    assert len(await events(bridge)) == 83
    assert total["inserted"] == 83 - some


@pytest.mark.parametrize(
    ("params", "code"),
    [({}, -32602), ({"session": "ses_nobody"}, -32602), ({"session": 7}, -32602),
     ({"session": "x", "database": "relative.db"}, -32602),
     ({"session": "x", "database": "/not/there.db"}, -32001),
     ({"session": "x", "again": "yes"}, -32602)],
)  # fmt: skip
async def test_a_request_of_no_use_is_one_line(bridge, opencode_db, params, code):
    _, error = await bridge.app.dispatch("import_session", {"database": str(opencode_db), **params})

    assert error["code"] == code
    assert "\n" not in error["message"]


async def test_a_disabled_memory_says_how_to_mend_that(bridge, ask):
    bridge.hurry(disabled=True)

    with pytest.raises(AssertionError, match="OPENCODE_MEM_DISABLED"):
        await ask("import_session", session="ses_1")


async def test_a_database_that_is_held_is_told_so(bridge, ask, opencode_db):
    write(opencode_db, "PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(opencode_db, autocommit=True)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(AssertionError, match="try again"):
            await ask("import_sessions")
    assert Unavailable.__mro__


async def test_hooks_are_answered_meanwhile(bridge, ask):
    import asyncio

    importing = asyncio.create_task(whole(ask))
    replies = 0
    while not importing.done():
        reply = await bridge.hook(
            "error", {"message": "x", "session_id": "ses_live", "event_id": f"evt_{replies}"}
        )
        assert reply["outcome"] == "accepted"
        replies += 1

    assert (await importing)["inserted"] == 83
    assert replies > 3
