"""What happened while no plugin listened is spooled once, of the projects that were asked for."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from bridge.history.marks import Mark, Marks
from memory_manager.errors import Rejected
from metrics import catalog


@pytest.fixture
def database(opencode_db, monkeypatch):
    """OpenCode's database at its usual place, as if all of it had happened just now."""
    home = Path(os.environ["XDG_DATA_HOME"], "opencode")
    home.mkdir(parents=True)
    path = Path(shutil.move(opencode_db, home / "opencode.db"))
    with closing(sqlite3.connect(path, autocommit=True)) as db:
        (newest,) = db.execute("SELECT max(time_updated) FROM message").fetchone()
        shift = int(time.time() * 1000) - newest - 120_000
        for table in ("session", "message", "part"):
            db.execute(f"UPDATE {table} SET time_created = time_created + {shift}, "  # noqa: S608
                       f"time_updated = time_updated + {shift}")  # fmt: skip
        for table in ("message", "part"):
            for name, data in db.execute(f"SELECT id, data FROM {table}").fetchall():  # noqa: S608
                moved = re.sub(r"\b1795\d{9}\b", lambda found: str(int(found[0]) + shift), data)
                db.execute(f"UPDATE {table} SET data = ? WHERE id = ?", (moved, name))  # noqa: S608
    return path


def write(database, sql, *values):
    with closing(sqlite3.connect(database, autocommit=True)) as db:
        db.execute(sql, values)


@pytest.fixture
def archive(bridge):
    return bridge.app.archive


async def since(archive, bridge, directory, at):
    """The project's plugin said hello at that time, and memory listens from then on."""
    group = (await bridge.parts.projects.of(directory)).group
    archive._marks.since(group, at)


async def ids(bridge):
    return [row.event.event_id for row in await bridge.rows()]


async def test_what_was_missed_is_spooled_with_its_own_times(bridge, archive, database):
    await since(archive, bridge, "/project", 0.0)

    await archive.catch_up("/project")

    events = [row.event for row in await bridge.rows()]
    assert len(events) == 83
    assert sum(event.kind == "success" for event in events) == 17
    assert max(event.at for event in events) <= time.time() - 100
    used = sum(event.metadata.get("tokens", 0) for event in events if event.kind == "success")
    assert sum(bridge.recorded.values(catalog.TOKENS_USED)) == used


async def test_what_was_before_the_first_hello_is_nobody_s(bridge, archive, database):
    await archive.catch_up("/project")

    assert await bridge.rows() == []


async def test_from_the_first_hello_on_all_is_read(bridge, archive, database):
    with closing(sqlite3.connect(database)) as db:
        (begun,) = db.execute(
            'SELECT time_created FROM message WHERE data LIKE \'%"role":"user"%\' '
            "ORDER BY time_created DESC LIMIT 1 OFFSET 3"
        ).fetchone()
    await since(archive, bridge, "/project", begun / 1000)

    await archive.catch_up("/project")

    events = [row.event for row in await bridge.rows()]
    assert 5 < len(events) < 30
    assert min(event.at for event in events) >= begun / 1000
    assert not any(event.content == "Completed: turn" for event in events)


async def test_a_second_time_nothing_is_read(bridge, archive, database, monkeypatch):
    await since(archive, bridge, "/project", 0.0)
    await archive.catch_up("/project")
    before = await ids(bridge)

    def never(*_):
        raise AssertionError

    monkeypatch.setattr("bridge.history.catching_up.Reading", never)
    await archive.catch_up("/project")

    assert await ids(bridge) == before


async def test_what_the_plugin_told_is_not_told_again(bridge, archive, database, turns):
    events = [{"event": row["input"], "at": row["ts"]} for row in turns if row["hook"] == "event"]
    await bridge.call("event", events=events, cwd="/project")
    before = await ids(bridge)
    counted = len(bridge.recorded.values(catalog.TOKENS_USED))
    await since(archive, bridge, "/project", 0.0)

    await archive.catch_up("/project")

    new = [row.event for row in await bridge.rows()][len(before) :]
    assert [event.content for event in new] == ["just so that you know: we use tabs"]
    assert len(bridge.recorded.values(catalog.TOKENS_USED)) == counted


async def test_what_comes_later_is_read_from_the_mark_on(bridge, archive, database):
    await since(archive, bridge, "/project", 0.0)
    await archive.catch_up("/project")
    before = await ids(bridge)
    with closing(sqlite3.connect(database)) as db:
        (session,) = db.execute("SELECT id FROM session WHERE parent_id IS NULL LIMIT 1").fetchone()
    now = int(time.time() * 1000) - 61_000
    message = {"role": "user", "time": {"created": now}, "agent": "build"}
    write(database, "INSERT INTO message VALUES ('msg_z', ?, ?, ?, ?)", session, now, now,
          json.dumps(message))  # fmt: skip
    write(database, "INSERT INTO part VALUES ('prt_z', 'msg_z', ?, ?, ?, ?)", session, now, now,
          json.dumps({"type": "text", "text": "one thing more"}))  # fmt: skip

    await archive.catch_up("/project")

    assert (await ids(bridge))[len(before) :] == ["msg_z:prompt"]


async def test_other_projects_are_never_read(bridge, archive, database, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for directory in (str(other), "/project2", "/projects/deep", "/"):
        await since(archive, bridge, directory, 0.0)
        await archive.catch_up(directory)

    assert await bridge.rows() == []


async def test_a_project_that_opted_out_is_never_read(bridge, archive, database, tmp_path):
    write(database, "UPDATE session SET directory = ?", str(tmp_path))
    (tmp_path / ".opencode-mem-off").touch()
    await since(archive, bridge, str(tmp_path), 0.0)

    await archive.catch_up(str(tmp_path))
    await archive.catch_up("/elsewhere", worktree=str(tmp_path))

    assert await bridge.rows() == []


async def test_a_disabled_memory_reads_nothing(bridge, archive, database):
    await since(archive, bridge, "/project", 0.0)
    bridge.hurry(disabled=True)

    await archive.catch_up("/project")

    assert await bridge.rows() == []


async def test_sessions_that_nobody_touched_for_long_are_left_alone(bridge, archive, database):
    long_ago = int((time.time() - 15 * 86_400) * 1000)
    write(database, "UPDATE session SET time_updated = ?", long_ago)
    await since(archive, bridge, "/project", 0.0)

    await archive.catch_up("/project")

    assert await bridge.rows() == []


@pytest.mark.parametrize("content", [None, b"", b"nothing of the kind" * 100])
async def test_trouble_is_a_line_in_the_log_and_nothing_else(
    bridge, archive, database, caplog, content
):
    database.unlink()
    if content is not None:
        database.write_bytes(content)

    with caplog.at_level(logging.INFO):
        await archive.catch_up("/project")

    assert "opencode.db" in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_full_disk_ends_it_and_the_next_time_goes_on(
    bridge, archive, database, monkeypatch
):
    append, left = bridge.parts.tailing.append, 2

    async def full(*arguments):
        nonlocal left
        left -= 1
        if left < 0:
            raise Rejected("no space left")
        return await append(*arguments)

    await since(archive, bridge, "/project", 0.0)
    monkeypatch.setattr(bridge.parts.tailing, "append", full)
    await archive.catch_up("/project")
    assert 0 < len(await bridge.rows()) < 83

    monkeypatch.undo()
    await archive.catch_up("/project")
    assert len(await bridge.rows()) == 83


async def test_a_hello_makes_it_catch_up(bridge, archive, database):
    await since(archive, bridge, "/project", 0.0)

    await bridge.call("hello", directory="/project", worktree="/project", plugin="1", pid=1)

    while len(await bridge.rows()) < 83:
        assert bridge.app._background


async def test_the_live_stream_learns_whom_a_session_serves(bridge, archive, database):
    await since(archive, bridge, "/project", 0.0)
    await archive.catch_up("/project")
    with closing(sqlite3.connect(database)) as db:
        ((child, parent),) = db.execute(
            "SELECT id, parent_id FROM session WHERE parent_id IS NOT NULL"
        ).fetchall()

    assert bridge.app.streaming._ways["live"].stream._sessions[child].parent == parent


def test_marks_are_kept_and_a_damaged_file_is_made_anew(tmp_path):
    path = tmp_path / "history.sqlite3"
    with closing(Marks(path)) as marks:
        assert marks.get("ses_1") is None
        marks.put("ses_1", Mark(5, "msg_1", 7, 2), 1.0)
        assert marks.since("g_1", 3.0) == 3.0
    with closing(Marks(path)) as marks:
        assert marks.get("ses_1") == Mark(5, "msg_1", 7, 2)
        assert marks.since("g_1", 9.0) == 3.0
    for wal in tmp_path.glob("history.sqlite3-*"):
        wal.unlink()
    path.write_bytes(b"nothing of the kind" * 300)

    with closing(Marks(path)) as marks:
        assert marks.get("ses_1") is None
        marks.put("ses_1", Mark(1, "m", 0), 1.0)
        assert marks.get("ses_1") == Mark(1, "m", 0)
    assert path.stat().st_mode & 0o777 == 0o600
