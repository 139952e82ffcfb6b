"""The doctor sees how the plugin is installed, and names the projects that go without."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

import memory_manager
from bridge.cli import main
from bridge.doctor import installed, judging_plugin
from bridge.install import sources

OURS = memory_manager.__version__
_SCHEMA = """
CREATE TABLE project (id TEXT, worktree TEXT);
CREATE TABLE session (id TEXT, parent_id TEXT, project_id TEXT, directory TEXT, title TEXT,
  time_created INTEGER, time_updated INTEGER);
CREATE TABLE message (id TEXT, session_id TEXT, time_created INTEGER, time_updated INTEGER, data TEXT);
CREATE TABLE part (id TEXT, message_id TEXT, session_id TEXT, time_updated INTEGER, data TEXT);
"""


@pytest.fixture
def config():
    folder = Path(os.environ["XDG_CONFIG_HOME"], "opencode")
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def folders(tmp_path):
    """Three folders that OpenCode has sessions of; one has opted out, one is gone."""
    made = [tmp_path / name for name in ("one", "two", "gone")]
    for folder in made[:2]:
        (folder / "sub").mkdir(parents=True)
    (made[1] / ".opencode-mem-off").touch()
    return made


@pytest.fixture
def look(tmp_path, folders):
    with closing(sqlite3.connect(tmp_path / "oc.db")) as db:
        db.executescript(_SCHEMA)
        for number, folder in enumerate(folders):
            row = (f"s{number}", None, "p", str(folder), "t", number, number)
            db.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        db.commit()
    return lambda: installed.look(os.environ, tmp_path / "oc.db")


def verdicts(found):
    return [
        str(finding.verdict)
        for finding in (
            judging_plugin.config(found),
            judging_plugin.plugin(found, OURS),
            judging_plugin.projects(found),
            judging_plugin.start(found),
        )
    ]


def test_before_the_installation_the_projects_without_the_plugin_are_named(look, folders):
    found = look()

    assert verdicts(found) == ["skip", "warn", "warn", "skip"]
    said = judging_plugin.projects(found).seen
    assert str(folders[0]) in said.partition("switched off")[0]
    assert str(folders[1] / ".opencode-mem-off") in said.partition("switched off")[2]
    assert str(folders[2]) not in said


def test_after_it_all_is_well(look, config):
    main(["install", "--no-check"])

    assert verdicts(look()) == ["ok", "ok", "ok", "ok"]


def test_a_plugin_of_one_project_is_missing_in_the_other(look, folders, monkeypatch):
    (folders[1] / ".opencode-mem-off").unlink()
    monkeypatch.chdir(folders[0])
    main(["install", "--no-check", "--project"])

    found = look()

    assert verdicts(found) == ["ok", "ok", "warn", "ok"]
    assert found.without == [str(folders[1])]


@pytest.mark.parametrize(
    ("entry", "verdict", "said"),
    [
        ('["{plugin}", {{"python": "/nowhere/python"}}]', "fail", "/nowhere/python is not there"),
        ('["{plugin}", {{"python": "/bin/false"}}]', "fail", "does not run"),
        ('["{plugin}", {{"script": "/nowhere.py"}}]', "fail", "/nowhere.py is not there"),
        ('"/nowhere/graphiti-memory.ts"', "fail", "graphiti-memory.ts is not there"),
        ('"{old}"', "warn", "is version 0.0.1"),
        ('["{plugin}", {{"python": "{python}"}}]', "ok", "everywhere"),
    ],
)
def test_an_entry_that_does_not_work_is_told(look, config, entry, verdict, said):
    old = config / "graphiti-memory.ts"
    old.write_text('export const VERSION = "0.0.1"\n')
    text = entry.format(plugin=sources.plugin_file(), old=old, python=sys.executable)
    (config / "opencode.json").write_text(f'{{"plugin": [{text}]}}')

    finding = judging_plugin.plugin(look(), OURS)

    assert str(finding.verdict) == verdict
    assert said in finding.seen


def test_a_broken_configuration_is_named_with_the_place(look, config):
    (config / "opencode.json").write_text('{"plugin": [}')

    finding = judging_plugin.config(look())

    assert str(finding.verdict) == "fail"
    assert "opencode.json, line 1, column 13" in finding.seen


def test_a_folder_that_holds_up_the_start_is_named(look, folders):
    main(["install", "--no-check"])
    (folders[0] / ".opencode").mkdir()

    finding = judging_plugin.start(look())

    assert str(finding.verdict) == "warn"
    assert str(folders[0] / ".opencode") in finding.seen


def test_without_a_database_that_can_be_read_the_projects_are_not_judged(tmp_path):
    (tmp_path / "bad.db").write_text("no database")

    for path in (tmp_path / "none.db", tmp_path / "bad.db"):
        finding = judging_plugin.projects(installed.look(os.environ, path))
        assert str(finding.verdict) == "skip"
