from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from bridge.ledger import Injection, Ledger
from memory_manager.errors import Corrupt


def row(message: str = "m1", block: str = "[Memory Context]\nx", at: float = 100.0) -> Injection:
    return Injection("s1", message, "g_1", at, "injected", 5, block)


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def test_what_was_given_to_a_message_is_given_again(ledger):
    ledger.put(row())

    assert ledger.get("s1", "m1") == row()
    assert ledger.get("s1", "m2") is None
    assert ledger.get("s2", "m1") is None


def test_the_first_row_of_a_message_stands(ledger):
    ledger.put(row())

    assert ledger.put(row(block="something else")) == row()
    assert ledger.get("s1", "m1") == row()


def test_rows_outlive_the_process(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    first = Ledger(path)
    first.put(row())
    first.close()

    second = Ledger(path)
    assert second.get("s1", "m1") == row()
    second.close()


def test_a_message_that_was_given_nothing_keeps_nothing(ledger):
    ledger.put(row(block=""))

    assert ledger.get("s1", "m1").block == ""
    assert ledger.replay("s1", ["m1"], "g_1") == {}


def test_replay_gives_the_blocks_of_a_session_at_once(ledger):
    ledger.put(row("m1", "one"))
    ledger.put(row("m2", "two"))

    assert ledger.replay("s1", ["m2", "m1", "unknown"], "g_1") == {"m1": "one", "m2": "two"}


def test_memory_is_bounded_and_forgotten_rows_come_from_disk(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite3", remembered=2)
    for number in range(10):
        ledger.put(row(f"m{number}"))

    assert len(ledger._recent) == 2
    assert ledger.get("s1", "m0") == row("m0")
    ledger.close()


def test_old_rows_are_purged(ledger):
    ledger.put(row("old", at=1.0))
    ledger.put(row("new", at=1000.0))

    assert ledger.purge(500.0) == 1
    assert ledger.get("s1", "old") is None
    assert ledger.get("s1", "new") is not None


def test_a_ledger_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(Corrupt, match="version 99"):
        Ledger(path)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"not a database" * 1000)

    with pytest.raises(Corrupt):
        Ledger(path)


def test_the_file_is_its_owners_alone(tmp_path, ledger):
    assert (tmp_path / "ledger.sqlite3").stat().st_mode & 0o077 == 0


def test_a_checkpoint_moves_the_log_into_the_database(tmp_path, ledger):
    for number in range(50):
        ledger.put(row(f"m{number}"))

    ledger.checkpoint()

    alone = sqlite3.connect(f"file:{tmp_path / 'ledger.sqlite3'}?immutable=1", uri=True)
    assert alone.execute("SELECT count(*) FROM injections").fetchone() == (50,)
    alone.close()


@pytest.mark.parametrize(
    "asked", [{"group": "g_1"}, {"session": "s1"}, {"group": "g_1", "session": "s1"}]
)
def test_what_others_were_given_costs_a_filtered_look_nothing(tmp_path, monkeypatch, asked):
    def steps(beside):
        ledger = Ledger(tmp_path / f"{beside}.sqlite3")
        ledger.put(row("mine", at=1.0))
        for number in range(beside):
            ledger.put(replace(row(str(number), at=2.0 + number), session="s2", group="g_2"))
            ledger.put(replace(row(f"{number} empty", block="", at=2.0 + number)))
        done = []
        connect = sqlite3.connect

        def counting(*args, **kwargs):
            db = connect(*args, **kwargs)
            db.set_progress_handler(lambda: done.append(1) and None, 1)
            return db

        monkeypatch.setattr(sqlite3, "connect", counting)
        ledger._db.set_progress_handler(lambda: done.append(1) and None, 1)
        found = ledger.newest(**asked)
        monkeypatch.setattr(sqlite3, "connect", connect)
        ledger.close()
        assert [each.message for each in found] == ["mine"]
        return len(done)

    assert steps(300) < steps(3) + 50


def test_given_messages_are_paged_through_in_every_way(ledger):
    rows = [
        replace(row(f"m{number}", at=float(number // 2)), session=f"s{number % 3}")
        for number in range(9)
    ]
    for each in rows:
        ledger.put(each)
    for asked in ({}, {"group": "g_1"}, {"session": "s1"}, {"group": "g_1", "session": "s1"}):
        seen, page = [], ledger.newest(limit=2, **asked)
        while page:
            seen += page
            last = page[-1]
            page = ledger.newest(limit=2, before=(last.at, last.session, last.message), **asked)
        wanted = [each for each in rows if each.session == asked.get("session", each.session)]
        order = sorted(wanted, key=lambda each: (each.at, each.session, each.message))
        assert seen == order[::-1]
