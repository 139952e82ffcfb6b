"""What an operator and the page are told of the spool."""

from __future__ import annotations

import pytest

from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.batches import BatchState
from memory_manager.spool.store import Spool


class Clock:
    def __init__(self) -> None:
        self.now = 6000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def spool(tmp_path, clock):
    opened = Spool.open(tmp_path / "spool.sqlite3", now=clock)
    yield opened
    opened.close()


def event(name, kind=EventKind.NOTE, session="s", content="x", group="g", **metadata):
    return RawEvent(name, group, session, kind, 1.0, content, {"type": kind.value, **metadata})


def named(status):
    return [item.session for item in status.sessions]


def test_status_gives_the_sessions_that_want_attention_first(spool, clock):
    for session in ("settled", "newer", "gave up", "waits", "waits longer", "failed"):
        clock.now += 1
        if not session.startswith("waits"):
            spool.append([event(session, session=session)])
            batch = spool.claim("g", session)
            if session == "gave up":
                spool.fail(batch, "poison", None, gave_up=True)
            elif session == "failed":
                spool.fail(batch, "away", 7777.0)
            else:
                spool.complete(batch)
    for session in ("waits longer", "waits"):
        clock.now += 1
        spool.append([event(session, session=session)])

    status = spool.status()
    assert named(status) == [
        "failed", "waits longer", "waits", "gave up", "newer", "settled",
    ]  # fmt: skip
    assert (status.session_count, status.more, status.pending) == (6, 0, 3)
    assert named(spool.status(2)) == ["failed", "waits longer"]
    assert spool.status(2).more == 4
    assert (spool.status(0).sessions, spool.status(0).more) == ((), 6)
    assert spool.status(0).batches == status.batches
    failed, gave_up = status.sessions[0], status.sessions[3]
    assert (failed.error, failed.attempts, failed.retry_at) == ("away", 1, 7777.0)
    assert (gave_up.error, gave_up.attempts, gave_up.retry_at) == ("poison", 1, None)
    assert gave_up.batches == {BatchState.GAVE_UP: 1}


def test_status_of_one_session_finds_it_in_every_project(spool):
    spool.append([event("a"), event("b", session="t"), event("a", group="h")])

    status = spool.status(1, session="s")
    assert (named(status), status.more, status.session_count) == (["s"], 1, 3)
    assert spool.status(session="nobody").sessions == ()
    assert spool.status(session="nobody").more == 0


def test_an_open_batch_is_told_before_one_that_was_given_up(spool):
    for name in "ab":
        spool.append([event(name)])
        spool.fail(spool.claim("g", "s"), name, 1.0, gave_up=name == "a")

    assert spool.status().sessions[0].error == "b"


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Fix the cart\nplease", "Fix the cart"),
        ("\n \t\r\nFix it \r\nnow", "Fix it"),
        ("x" * 500, "x" * 200),
        ("<b>\x1b[31m' -- \U0001f600", "<b>\x1b[31m' -- \U0001f600"),
        (" \n ", ""),
    ],
)
def test_a_session_is_called_by_the_first_line_of_its_first_prompt(spool, content, title):
    spool.append([event("n", content="no prompt")])
    assert spool.sessions()[0].title == ""
    spool.append([event("p", EventKind.PROMPT, content=content)])
    assert spool.sessions()[0].title == title
    spool.append([event("q", EventKind.PROMPT, content="later")])
    assert spool.sessions()[0].title == (title or "later")


def test_sessions_come_in_pages_newest_first_and_none_twice(spool, clock):
    for number in range(25):
        clock.now += number % 3
        spool.append([event(f"{number}", session=f"s{number:02}", group="gh"[number % 2])])
    everything = spool.sessions(limit=100)
    assert [entry.last_at for entry in everything] == sorted(
        (entry.last_at for entry in everything), reverse=True
    )
    pages, before = [], None
    while page := spool.sessions(before=before, limit=4):
        pages += page
        before = (page[-1].last_at, page[-1].group, page[-1].session)
    assert pages == everything
    assert len(pages) == 25
    assert {entry.group for entry in spool.sessions("h", limit=100)} == {"h"}
    assert len(spool.sessions("h", limit=100)) == 12


def test_sessions_are_found_by_title_name_and_summary_whatever_they_hold(spool):
    spool.append([event("p", EventKind.PROMPT, content="Über 100% of %_\\'; the TILL")])
    spool.append([event("q", EventKind.PROMPT, "ses_B", "nothing")])
    spool.complete(spool.claim("g", "ses_B"), summary="Mended the Größe", tags=("py", "<b>"))

    def found(text):
        return [entry.session for entry in spool.sessions(text=text)]

    for text in ("über", "100% OF %_\\'", "till"):
        assert found(text) == ["s"]
    for text in ("SES_b", "gröSSe", "mended"):
        assert found(text) == ["ses_B"]
    assert found("%") == ["s"]
    assert found("no such") == []
    assert spool.sessions(text="mended")[0].tags == ("py", "<b>")


def test_a_session_tells_its_newest_summary_and_all_its_tags(spool):
    for name, summary, tags in (("a", "one", ("x", "y")), ("b", "two", ("z", "x")), ("c", "", ())):
        spool.append([event(name)])
        spool.complete(spool.claim("g", "s"), summary=summary, tags=tags, tags_version=1)

    (entry,) = spool.sessions()
    assert (entry.summary, entry.tags) == ("two", ("z", "x", "y"))


def test_projects_have_names_and_numbers(spool, clock):
    assert spool.register(["place:box:/srv/shop"], "g", name="shop", root="/srv/shop") == "g"
    assert spool.register([], "typo", name="typo") == "typo"
    spool.register(["commit:1"], "quiet", name="\ud800quiet", root="/q")
    clock.now += 5
    spool.append([event("a"), event("b", session="t"), event("c", group="unnamed")])
    spool.register(["place:box:/srv/shop"], "g")
    spool.register([], "g", name="g")

    found = {entry.group: entry for entry in spool.projects()}
    assert list(found) == ["g", "unnamed", "quiet"]
    one = found["g"]
    assert (one.name, one.root, one.sessions, one.events, one.pending, one.last_at) == (
        "shop", "/srv/shop", 2, 2, 2, 6005.0,
    )  # fmt: skip
    assert (found["quiet"].name, found["quiet"].sessions, found["quiet"].last_at) == (
        "\ufffdquiet", 0, 6000.0,
    )  # fmt: skip
    spool.register(["place:box:/srv/shop"], "another", name="till")
    assert {entry.group: entry.name for entry in spool.projects()}["g"] == "till"


def test_a_project_that_stands_is_not_written_again(spool):
    spool.register(["place:box:/g"], "g", name="g1", root="/g")
    changes = spool._db.total_changes
    spool.register(["place:box:/g"], "g", name="g1", root="/g")
    spool.register(["place:box:/g"], "g")

    assert spool._db.total_changes == changes


def test_what_the_graph_has_not_is_given_newest_first(spool):
    spool.append([event(f"{n}", content=f"{n}") for n in range(4)])
    spool.complete(spool.claim("g", "s", limit=1))
    spool.fail(spool.claim("g", "s", limit=1), "poison", None, gave_up=True)
    spool.claim("g", "s", limit=1)
    spool.append([event("t", session="t"), event("h", group="h")])

    def names(**asked):
        return [row.event.event_id for row in spool.unflushed("g", **asked)]

    assert sorted(names()) == ["1", "2", "3", "t"]
    assert names(session="t") == ["t"]
    assert len(names(limit=2)) == 2
    spool.reopen([1])
    assert sorted(names(session="s")) == ["0", "1", "2", "3"]


def test_completed_batches_can_be_gone_through_and_tagged_later(spool):
    for name in "abcd":
        spool.append([event(name)])
        batch = spool.claim("g", "s")
        spool.complete(
            batch, BatchState.SKIPPED if name == "b" else BatchState.COMPLETED,
            episodes=3, summary="s", tags=("t",), tags_version=2 if name == "c" else 1,
        )  # fmt: skip

    assert [batch.id for batch in spool.completed(0, 9)] == [1, 3, 4]
    assert [batch.id for batch in spool.completed(1, 1)] == [3]
    assert spool.completed(0, 9, "other") == []
    assert [batch.id for batch in spool.batches_to_tag(2, 0, 9)] == [1, 4]
    assert spool.count_to_tag(2) == 2
    assert spool.note_summary(1, "later \ud800", ["a\0b", *map(str, range(99))], 2)
    assert not spool.note_summary(2, "x", [], 2)
    found = spool.batch(1)
    assert (found.summary, found.tags[:2], len(found.tags)) == (
        "later \ufffd", ("a\ufffdb", "0"), 50,
    )  # fmt: skip
    assert (found.episodes, found.events, found.tags_version) == (3, 1, 2)
    assert spool.count_to_tag(2) == spool.count_to_tag(2, 1) == 1
    spool.discard("g")
    assert spool.count_to_tag(9) == 0


def test_a_project_keeps_its_group(spool):
    assert spool.group_of(["dir:/a"]) is None
    assert spool.register(["dir:/a"], "g_1") == "g_1"
    assert spool.register(["remote:x", "dir:/a"], "g_2") == "g_1"
    assert spool.group_of(["remote:x"]) == "g_1"


def test_status_counts_for_the_operator(spool, clock):
    spool.append([event("a"), event("b", session="t")])
    spool.claim("g", "s")
    clock.now += 5
    status = spool.status()

    assert (status.pending, status.oldest_age) == (2, 5.0)
    assert status.batches == {BatchState.STARTED: 1}
    assert {item.session: item.batches[BatchState.STARTED] for item in status.sessions} == {
        "s": 1,
        "t": 0,
    }
