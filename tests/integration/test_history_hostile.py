"""OpenCode's database as it should not be: in use, out of reach, damaged, of another shape, full of nonsense."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing, suppress

import pytest

from bridge.history.database import History, location
from bridge.history.marks import Mark
from bridge.history.reading import Reading, trees
from memory_manager.errors import Corrupt, MemoryFault, Rejected, Unavailable
from memory_manager.project import Project
from memory_manager.stream_events import reported

PROJECT = Project("g_" + "0" * 24, "p", "/project")


@pytest.fixture
def history(opencode_db):
    with closing(History.open(opencode_db)) as opened:
        yield opened


def change(path, sql, *values):
    with closing(sqlite3.connect(path, autocommit=True)) as db:
        db.execute(sql, values)


def read(history):
    """Kind and content of all that the database tells."""
    rules, found = Counter(), []
    for tree in trees(history.sessions()):
        for page in Reading(history, tree, Mark(), 4_000_000_000_000).pages():
            for told in page.told:
                found += reported(told, "/project", PROJECT, 9.0, rules)
    return [(event.kind, event.content) for event in found]


def test_it_is_read_while_opencode_writes(opencode_db):
    with closing(sqlite3.connect(opencode_db, autocommit=False)) as writer:
        writer.execute("UPDATE session SET title = 'written'")
        with closing(History.open(opencode_db)) as history:
            assert "written" not in {session.title for session in history.sessions()}
            writer.commit()
            assert {session.title for session in history.sessions()} == {"written"}
            writer.execute("UPDATE session SET title = 'again'")
            writer.commit()
        assert writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_nothing_of_it_is_ever_written(opencode_db, history):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        history._db.execute("DELETE FROM part")


def test_a_folder_that_may_not_be_written_is_read_all_the_same(opencode_db, tmp_path, monkeypatch):
    # root may write everywhere: what it is refused as somebody else is what SQLite says here.
    connect, refused = sqlite3.connect, sqlite3.OperationalError("unable to open database file")
    refused.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    opened = []

    class Closed:
        def execute(self, *_):
            raise refused

        def close(self):
            return None

    def somebody(place, **options):
        opened.append(place)
        return connect(place, **options) if "immutable" in place else Closed()

    monkeypatch.setattr(sqlite3, "connect", somebody)
    with closing(History.open(opencode_db)) as history:
        assert len(history.sessions()) == 4
    assert opened[-1].endswith("mode=ro&immutable=1")

    opencode_db.with_name("opencode.db-wal").touch()
    with pytest.raises(MemoryFault):
        History.open(opencode_db)


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, Unavailable), (b"", Rejected), (b"nothing of the kind" * 100, Corrupt),
     (b"SQLite format 3\0" + b"\xff" * 2000, Corrupt)],
    ids=["missing", "empty", "no database", "damaged"],
)  # fmt: skip
def test_what_is_no_database_of_opencode_is_said_in_one_line(tmp_path, content, fault):
    path = tmp_path / "opencode.db"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(fault, match=r"opencode\.db: .+") as caught:
        History.open(path)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_database(tmp_path):
    with pytest.raises(Unavailable):
        History.open(tmp_path)


def test_half_a_database_is_damaged_or_read_as_far_as_it_goes(opencode_db, tmp_path):
    whole = opencode_db.read_bytes()
    for share in range(1, 10):
        half = tmp_path / f"half{share}.db"
        half.write_bytes(whole[: len(whole) * share // 10])
        with suppress(Corrupt), closing(History.open(half)) as history:
            read(history)


@pytest.mark.parametrize(
    ("sql", "said"),
    [("DROP TABLE part", "no table part"), ("DROP TABLE project", "no table project"),
     ("ALTER TABLE message RENAME COLUMN data TO body", r"no column message\.data"),
     ("ALTER TABLE session DROP COLUMN title", r"no column session\.title")],
)  # fmt: skip
def test_another_shape_is_named(opencode_db, sql, said):
    change(opencode_db, sql)

    with pytest.raises(Rejected, match=said):
        History.open(opencode_db)


def test_a_writer_that_holds_it_is_waited_for_and_then_named(opencode_db):
    change(opencode_db, "PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(opencode_db, autocommit=True)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match="locked"):
            History.open(opencode_db)


@pytest.mark.parametrize(
    "data", ["", "null", "[]", "7", "{", '"x"', '{"role": 7}', '{"role": "assistant", "time": []}',
             '{"role": "user", "summary": {"diffs": [7, {"file": 9, "status": "deleted"}]}}',
             "[" * 5000, '{"type": "patch", "files": [{}]}', '{"type": "tool", "state": [1]}',
             json.dumps({"role": "assistant", "parentID": {}, "time": {"completed": "x"}})],
)  # fmt: skip
def test_rows_that_make_no_sense_cost_no_others(opencode_db, data):
    for table in ("message", "part"):
        change(
            opencode_db,
            f"UPDATE {table} SET data = ? WHERE id IN "  # noqa: S608 - our own names
            f"(SELECT id FROM {table} ORDER BY id LIMIT 5)",
            data,
        )
    with closing(History.open(opencode_db)) as history:
        found = read(history)

    assert ("prompt", "what now?") in found
    assert sum(kind == "success" for kind, _ in found) >= 14


def test_a_row_that_is_too_large_is_left_out(opencode_db):
    change(opencode_db, "UPDATE part SET data = json_set(data, '$.text', ?) "
           "WHERE data LIKE '%All done.%'", "x" * 5_000_000)  # fmt: skip
    with closing(History.open(opencode_db)) as history:
        found = read(history)

    assert not any(content.startswith("xxx") for _, content in found)
    assert ("message", "Answered both.") in found


def test_sessions_that_start_each_other_are_read_once(opencode_db):
    change(opencode_db, "UPDATE session SET parent_id = "
           "(SELECT id FROM session AS other WHERE other.id <> session.id LIMIT 1)")  # fmt: skip
    with closing(History.open(opencode_db)) as history:
        found = trees(history.sessions())
        ids = [name for tree in found for name in tree.ids]
        read(history)

        assert len(ids) == len(set(ids)) == 4
        assert len(history.family(ids[0])) == 4


@pytest.mark.parametrize(
    ("environment", "path"),
    [({"HOME": "/h"}, "/h/.local/share/opencode/opencode.db"),
     ({"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/x/opencode/opencode.db"),
     ({"HOME": "/h", "XDG_DATA_HOME": "x"}, "/h/.local/share/opencode/opencode.db"),
     ({"HOME": "/h", "OPENCODE_DB": "/o/my.db"}, "/o/my.db"),
     ({"HOME": "/h", "OPENCODE_DB": "my.db"}, "/h/.local/share/opencode/my.db")],
)  # fmt: skip
def test_the_database_is_where_opencode_says(environment, path):
    assert str(location(environment)) == path
