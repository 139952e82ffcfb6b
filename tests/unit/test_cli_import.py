"""`opencode-mem import opencode` against a scripted bridge: what it asks, shows, and how it is stopped."""

from __future__ import annotations

import json

import pytest

from memory_manager.errors import Rejected, Unavailable

ROWS = [
    {"session": "ses_1", "group": "g_1", "project": "shop\x1b[31m", "opted_out": False},
    {"session": "ses_2", "group": "g_1", "project": "shop\x1b[31m", "opted_out": False},
    {"session": "ses_3", "group": "g_2", "project": "blog", "opted_out": False},
    {"session": "ses_4", "group": "", "project": "secret", "opted_out": True},
]
PIECE = {"messages": 10, "inserted": 4, "known": 1, "ignored": 0, "done": True}


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "opencode.db"
    path.touch()
    return str(path)


@pytest.fixture
def bridge(scripted):
    scripted.answers["import_sessions"] = [
        {"sessions": ROWS[:2], "next": 2},
        {"sessions": ROWS[2:], "next": None},
    ]
    scripted.answers["import_session"] = PIECE
    return scripted


def test_projects_are_counted_and_it_says_what_to_type_next(run, bridge, database):
    status, out, err = run("import", "opencode", "--database", database)
    lines = out.splitlines()

    assert (status, err) == (0, "")
    assert lines[0].split() == ["project", "sessions", "messages", "new", "known"]
    assert lines[1].split()[-4:] == ["2", "20", "8", "2"]
    assert lines[2].split() == ["blog", "1", "10", "4", "1"]
    assert "1 sessions of projects that have opted out" in out
    assert "12 events were imported" in out
    assert "opencode-mem flush" in out
    assert "\x1b" not in out


def test_what_is_asked_is_what_was_typed(run, bridge, database, tmp_path):
    run("import", "opencode", "--database", database, "--since", "30d", "--project", str(tmp_path),
        "--again")  # fmt: skip
    listed = bridge.asked_for[0][1]

    assert listed["database"] == database
    assert listed["directory"] == str(tmp_path)
    assert listed["since"] > 1e9
    assert bridge.asked_for[1][1]["after"] == 2
    assert [params["session"] for method, params in bridge.asked_for[2:]] == [
        "ses_1", "ses_2", "ses_3",
    ]  # fmt: skip
    assert all(params["again"] for _, params in bridge.asked_for[2:])


def test_a_long_session_is_asked_for_until_it_is_done(run, bridge, database):
    bridge.answers["import_sessions"] = {"sessions": ROWS[:1], "next": None}
    bridge.answers["import_session"] = [{**PIECE, "done": False}, {**PIECE, "done": False}, PIECE]
    _, out, _ = run("import", "opencode", "--database", database, "--again", "--json")
    asked = [params["again"] for method, params in bridge.asked_for if method == "import_session"]

    # From its beginning only once.
    assert asked == [True, False, False]
    assert json.loads(out)["projects"][0]["messages"] == 30


def test_a_bridge_that_has_no_room_is_asked_again(run, bridge, database, monkeypatch):
    monkeypatch.setattr("bridge.cli.importing._AGAIN_S", 0.0)
    bridge.answers["import_sessions"] = {"sessions": ROWS[:1], "next": None}
    bridge.answers["import_session"] = [Unavailable("full"), Unavailable("full"), PIECE]

    assert run("import", "opencode", "--database", database)[0] == 0


def test_what_fails_for_good_is_one_line(run, bridge, database):
    bridge.answers["import_session"] = Rejected("no space left")
    status, _, err = run("import", "opencode", "--database", database)

    assert (status, err) == (1, "opencode-mem: no space left\n")


def test_stopped_it_shows_how_far_it_was(run, bridge, database):
    pieces, ask = [PIECE], bridge.ask

    def asked(method, params=None, **_):
        if method == "import_session" and not pieces:
            raise KeyboardInterrupt
        return pieces.pop() if method == "import_session" else ask(method, params)

    bridge.asked = asked
    status, out, err = run("import", "opencode", "--database", database, "--json")

    assert (status, err) == (1, "opencode-mem: interrupted\n")
    assert json.loads(out)["stopped"] is True
    assert json.loads(out)["projects"][0]["inserted"] == 4


def test_a_dry_run_says_that_nothing_was_stored(run, bridge, database):
    _, out, _ = run("import", "opencode", "--database", database, "--dry-run")

    assert all(params["dry_run"] for method, params in bridge.asked_for if "session" in params)
    assert "12 events would be imported; nothing was stored" in out


def test_where_opencode_was_never_started_there_is_nothing_to_import(run, scripted):
    status, out, err = run("import", "opencode")

    assert (status, err) == (0, "")
    assert out.startswith("OpenCode has no history here to import")
    assert scripted.asked_for == []


def test_all_known_is_said(run, bridge, database):
    bridge.answers["import_session"] = {**PIECE, "inserted": 0}

    assert "nothing new" in run("import", "opencode", "--database", database)[1]


@pytest.mark.parametrize(
    "words", [["--since", "yesterday-ish"], ["--database", "/not/there.db"], ["--bogus"], ["extra"]]
)
def test_bad_words_are_refused_before_anything_is_asked(run, scripted, words):
    status, out, err = run("import", "opencode", *words)

    assert (status, out) == (2, "")
    assert err.startswith("opencode-mem: ")
    assert scripted.asked_for == []


def test_help_is_printed(run):
    status, out, _ = run("import", "opencode", "--help")

    assert status == 0
    assert "--dry-run" in out
