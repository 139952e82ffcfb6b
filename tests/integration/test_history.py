"""OpenCode's database: what its rows tell is what its events told, and nothing in it can do harm."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from bridge.history.database import History
from bridge.history.marks import Mark
from bridge.history.reading import Reading, trees
from memory_manager.project import Project
from memory_manager.stream import Stream
from memory_manager.stream_events import reported, told_by

PROJECT = Project("g_" + "0" * 24, "p", "/project")
LATER = 4_000_000_000_000


@pytest.fixture
def history(opencode_db):
    with closing(History.open(opencode_db)) as opened:
        yield opened


def read(history, size=40, now=LATER):
    """All that the database tells, and the last mark of each tree."""
    told, marks = [], {}
    for tree in trees(history.sessions()):
        for page in Reading(history, tree, Mark(), now).pages(size):
            told += page.told
            marks[tree.root.id] = page.mark
    return told, marks


def events_of(told):
    rules: Counter[str] = Counter()
    return {
        event.event_id: (event.kind, event.content)
        for item in told
        for event in reported(item, "/project", PROJECT, 9.0, rules)
    }


def three_ways(turns, history):
    """The same turns by hooks and events, by events alone, and by the database."""
    found = []
    for hooks in (True, False):
        stream, told = Stream(), []
        for row in turns:
            if row["hook"] == "event":
                entry = {"event": row["input"], "at": row["ts"]}
            elif hooks:
                payload = {"input": row["input"], "output": row["output"]}
                stream.seen(payload)
                entry = {"hook": row["hook"], "payload": payload, "at": row["ts"]}
            else:
                continue
            for item in told_by(stream, entry, row["ts"]):
                stream.keep(item)
                told.append(item)
        found.append(events_of(told))
    return [*found, events_of(read(history)[0])]


def test_whoever_knows_an_event_calls_and_tells_it_the_same(turns, history):
    hooks, events, rows = three_ways(turns, history)

    for one, other in ((hooks, events), (events, rows), (rows, hooks)):
        shared = one.keys() & other.keys()
        # What was written since is no longer there for the recording: `/project` never was.
        assert {name: one[name] for name in shared} == {
            name: (kind, content if name not in gone(rows) else one[name][1])
            for name, (kind, content) in other.items()
            if name in shared
        }


def gone(rows):
    return {name for name, (kind, _) in rows.items() if kind == "file_edit" and "prt_" in name}


def test_each_way_knows_nearly_all_and_what_it_lacks_is_known(turns, history):
    hooks, events, rows = three_ways(turns, history)
    everything = hooks | events | rows

    lacking = [sorted(everything[name] for name in everything.keys() - way.keys())
               for way in (hooks, events, rows)]  # fmt: skip
    assert lacking[0] == []
    # Nobody was to answer it, and nothing happened after it.
    assert lacking[1] == [("prompt", "just so that you know: we use tabs")]
    # The database forgets what was asked again, what was too long, and what was deleted.
    assert [content[:24] for _, content in lacking[2]] == [
        "Error: This model's maxi", "Error: scripted 500", "",
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_pages_of_any_size_tell_the_same(history, size):
    whole = events_of(read(history)[0])

    assert events_of(read(history, size)[0]) == whole


@pytest.mark.parametrize("size", [1, 2, 5])
def test_reading_from_any_mark_on_tells_all_the_rest(history, size):
    def told_from(tree, begin):
        return [
            told for page in Reading(history, tree, begin, LATER).pages(40) for told in page.told
        ]

    for tree in trees(history.sessions()):
        whole = events_of(told_from(tree, Mark()))
        so_far = []
        for page in Reading(history, tree, Mark(), LATER).pages(size):
            so_far += page.told
            rest = told_from(tree, page.mark)
            assert events_of(so_far) | events_of(rest) == whole


def test_a_turn_that_has_just_been_answered_is_left_to_its_events(history):
    newest = max(history.newest(tree.ids) for tree in trees(history.sessions()))
    told, marks = read(history, now=newest + 1000)
    later, _ = read(history)

    done = [name for name in events_of(told) if name.endswith(":success")]
    assert len(done) < len([name for name in events_of(later) if name.endswith(":success")])
    assert any(mark.stamp == 0 for mark in marks.values())


def test_an_answer_without_an_end_is_read_again_until_it_is_old(opencode_db):
    with closing(sqlite3.connect(opencode_db, autocommit=True)) as db:
        name, data, created = db.execute(
            "SELECT id, data, time_created FROM message "
            "WHERE json_extract(data, '$.role') = 'assistant' ORDER BY time_created DESC"
        ).fetchone()
        cut = json.loads(data)
        cut["time"].pop("completed")
        cut.pop("finish")
        db.execute("UPDATE message SET data = ? WHERE id = ?", (json.dumps(cut), name))
    with closing(History.open(opencode_db)) as history:
        tree = next(each for each in trees(history.sessions()) if name_in(history, each, name))
        (*_, soon) = Reading(history, tree, Mark(), created + 3_600_000).pages()
        (*_, late) = Reading(history, tree, Mark(), created + 100_000_000).pages()

    assert soon.mark.stamp == 0
    assert soon.mark.created <= created
    assert late.mark.stamp > 0


def name_in(history, tree, name):
    return any(row.id == name for row in history.messages(tree.ids, (0, ""), 10_000))
