"""What a turn is like when a part of the memory is gone: as always, but for the newest block."""

from __future__ import annotations

import os
import signal
from itertools import pairwise

import pytest

from bridge.bench.scripted import Reply

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]
ASKED = "What does app.py print, and which code?"
#: What each of twenty parts of a shop returns, as earlier sessions left it.
PARTS = [f"price_{number} in src/part_{number}.py returns CODE-{number}X" for number in range(20)]


def question(number):
    return f"What does price_{number} in src/part_{number}.py return?"


def assert_same_beginnings(requests):
    """Each request begins with the whole of the one before it, byte for byte."""
    for before, after in pairwise(requests):
        assert after.lines[: len(before.lines)] == before.lines


def test_over_twenty_turns_and_a_killed_bridge_no_prompt_changes_that_was_sent(desk):
    for part in PARTS:
        desk.store(part)
    session = desk.session()
    for number in range(20):
        if number == 10:
            os.kill(desk.home.pids()["bridge"], signal.SIGKILL)
        desk.ask(question(number), session=session)
    requests = desk.model.chats(session)
    assert len(requests) == 20
    assert_same_beginnings(requests)
    blocks = requests[-1].blocks
    assert all(f"CODE-{number}X" in blocks[number] for number in range(10)), blocks


def test_a_bridge_that_was_started_anew_gives_old_messages_their_old_blocks(desk):
    for part in PARTS[:3]:
        desk.store(part)
    session = desk.session()
    desk.ask(question(0), session=session)
    desk.box.stop()
    desk.box.start()
    desk.box.until_live()
    desk.store("price_0 in src/part_0.py returns CODE-NEW now")
    for number in (1, 2):
        desk.ask(question(number), session=session)
    requests = desk.model.chats(session)
    assert_same_beginnings(requests)
    assert "CODE-0X" in requests[-1].blocks[0]
    assert "CODE-2X" in desk.ask(question(2)).block


def test_a_session_that_goes_on_in_another_opencode_keeps_its_blocks(desk):
    for part in PARTS[:2]:
        desk.store(part)
    session = desk.session()
    desk.ask(question(0), session=session)
    desk.opencode.stop()
    desk.opencode.start()
    desk.ask(question(1), session=session)
    requests = desk.model.chats(session)
    assert_same_beginnings(requests)
    assert "CODE-0X" in requests[-1].blocks[0]
    assert "CODE-1X" in requests[-1].blocks[1]


def test_a_bridge_that_hangs_costs_the_newest_block_and_no_other(own, tools):
    home = own({"OPENCODE_MEM_CHAT_DEADLINE_MS": "3000"}).start()
    desk = tools.Desk(home)
    for part in PARTS[:3]:
        desk.store(part)
    session = desk.session()
    desk.ask(question(0), session=session)
    pid = home.pids()["bridge"]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert not desk.ask(question(1), session=session).block
    finally:
        os.kill(pid, signal.SIGCONT)
    desk.ask(question(2), session=session)
    home.opencode.stop()
    home.opencode.start()
    desk.ask("What else is there in src?", session=session)
    requests = desk.model.chats(session)
    assert_same_beginnings(requests)
    blocks = requests[-1].blocks
    assert "CODE-0X" in blocks[0]
    assert not blocks[1]


def test_without_valkey_the_graph_answers(desk, tools):
    desk.turn(
        "Make app.py",
        Reply(calls=tools.writing(desk.project / "app.py", "print('ZEBRA-7')\n")),
        "It prints ZEBRA-7.",
    )
    desk.flush()
    os.kill(desk.home.pids()["valkey"], signal.SIGKILL)
    assert "ZEBRA-7" in desk.ask(ASKED).block
    assert "Memory plugin error" not in desk.log


def test_without_falkordb_what_was_just_written_is_known(desk, tools):
    os.kill(desk.home.pids()["falkordb"], signal.SIGKILL)
    desk.turn(
        "Make app.py",
        Reply(calls=tools.writing(desk.project / "app.py", "print('ZEBRA-7')\n")),
        "It prints ZEBRA-7.",
    )
    assert "Modified: app.py" in desk.ask(ASKED).block
    desk.home.recover()
    assert len(desk.kept("file_edit")) == 1
