from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_manager.model import EventKind, RawEvent, episode_uuid
from memory_manager.spool.tail import _VISITED, Tail

MB = 1 << 20


def event(number: int, content: str, *, group="g", session="s", **metadata):
    kind = EventKind.NOTE
    return RawEvent(f"e{number}", group, session, kind, float(number), content, metadata)


def filled(*contents: str) -> Tail:
    tail = Tail(1000, MB, ttl=300.0)
    for number, content in enumerate(contents, 1):
        tail.add(number, event(number, content))
    return tail


def texts(tail: Tail, question: str, paths=(), *, now=1e9, group="g"):
    return [hit.text for hit in tail.search(group, question, paths, 5, now)]


def test_what_was_just_added_is_found():
    tail = filled("the login bug is in the session store", "unrelated words entirely")

    hits = tail.search("g", "where is the login bug?", (), 5, 1e9)

    assert [hit.text for hit in hits] == ["the login bug is in the session store"]
    assert hits[0].uuid == episode_uuid("g", "e1")
    assert hits[0].event_ids == ("e1",)
    assert hits[0].score > 0


@pytest.mark.parametrize("name", ["diff", "content"])
def test_words_of_an_unflushed_change_count(name):
    tail = Tail(10, MB, ttl=300.0)
    change = "+def reconcile_ledger():\n+    pass\n" + "+filler line\n" * 100_000 + "+end"
    tail.add(
        1, replace(event(1, "Modified: src/app.py"), metadata={"path": "src/app.py", name: change})
    )
    tail.add(2, event(2, "Modified: src/app.py", path="src/app.py", session="t"))

    assert [hit.session for hit in tail.search("g", "reconcile ledger", (), 5, 1e9)] == ["s"]
    assert texts(tail, "end") == []
    # What it consists of does not make its name worth less.
    assert {hit.score for hit in tail.search("g", "app", (), 5, 1e9)} == {
        tail.search("g", "app", (), 1, 1e9)[0].score
    }
    assert tail.bytes < 12_000


def test_words_of_the_command_and_its_output_count():
    tail = Tail(10, MB, ttl=300.0)
    tail.add(1, event(1, "Ran a thing", command="pytest -k checkout", output="ZeroDivisionError"))

    assert texts(tail, "checkout") == ["Ran a thing"]
    assert texts(tail, "ZeroDivisionError") == ["Ran a thing"]


def test_a_common_word_finds_nothing_beside_a_rare_one():
    tail = filled(*(f"common number{n} text" for n in range(100)))

    assert texts(tail, "what about something else?") == []
    assert texts(tail, "common number7") == ["common number7 text"]


@pytest.mark.parametrize("step", [1, 1000])
@given(st.integers(1, 200))
def test_what_everything_is_about_is_found_newest_first(step, count):
    tail = filled(*(f"the checkout rounds cents, case {n}" for n in range(count)))
    while tail.index(step):
        pass

    found = texts(tail, "why does the checkout round?")

    assert found == [
        f"the checkout rounds cents, case {n}" for n in reversed(range(max(0, count - 5), count))
    ]
    assert texts(tail, "unrelated matters entirely") == []


def test_of_common_words_the_rarest_one_finds():
    tail = filled(
        *(f"alpha {n}" for n in range(60)),
        *(f"alpha beta {n}" for n in range(60)),
        *(f"other {n}" for n in range(40)),
    )

    assert texts(tail, "alpha beta")[0] == "alpha beta 59"


def test_what_is_left_out_does_not_count():
    tail = filled("deploy notes from before", "more deploy notes")
    for number in range(10, 500):
        tail.add(number, event(number, f"deploy notes {number}", session="mine"))
    while tail.index(100):
        pass

    hits = tail.search("g", "deploy notes", (), 5, 1e9, leave_out=lambda hit: hit.session == "mine")

    assert {hit.text for hit in hits} == {"deploy notes from before", "more deploy notes"}
    assert tail.search("g", "deploy", (), 5, 1e9, leave_out=lambda hit: hit.at < 499)[0].at == 499
    assert tail.search("g", "deploy", (), 5, 1e9, leave_out=lambda _: True) == []


def test_edits_that_are_left_out_do_not_hide_others_of_the_same_file():
    tail = Tail(1000, MB, ttl=300.0)
    tail.add(1, event(1, "Modified: a.py", path="a.py", session="other"))
    for number in range(2, 300):
        tail.add(number, event(number, f"Modified: a.py {number}", path="a.py"))

    hits = tail.search("g", "zzz", ["a.py"], 5, 1e9, leave_out=lambda hit: hit.session == "s")

    assert [hit.session for hit in hits] == ["other"]


def test_who_is_left_out_does_not_stand_for_others_with_the_same_text():
    tail = Tail(100, MB, ttl=300.0)
    for number, session in enumerate(["a", "b", "mine", "mine", "c"], 1):
        tail.add(number, event(number, "deploy failed", session=session))

    hits = tail.search("g", "deploy", (), 5, 1e9, leave_out=lambda hit: hit.session in "mine c")

    assert [hit.session for hit in hits] == ["b", "a"]


def test_the_better_match_wins_and_then_the_newer():
    tail = filled("redis cache", "redis cache timeout", "redis cache", "nothing")
    tail.add(9, event(9, "Redis cache!", session="other"))

    assert texts(tail, "redis cache timeout")[0] == "redis cache timeout"
    assert texts(tail, "redis cache")[0] == "Redis cache!"


def test_a_path_in_common_is_an_answer_and_a_boost():
    tail = Tail(100, MB, ttl=300.0)
    tail.add(1, event(1, "Modified: src/app.py", path="src/app.py"))
    tail.add(2, event(2, "startup of the application"))
    tail.add(3, event(3, "startup of the server", path="src/app.py"))

    assert texts(tail, "zzz", ["src/app.py"]) == ["startup of the server", "Modified: src/app.py"]
    assert texts(tail, "startup", ["src/app.py"])[0] == "startup of the server"


def test_identical_texts_collapse_to_the_newest():
    tail = filled(*["deploy failed again"] * 10)

    hits = tail.search("g", "deploy failed", (), 5, 1e9)

    assert [hit.at for hit in hits] == [10.0]


def test_groups_do_not_see_each_other():
    tail = filled("alpha secretword")
    tail.add(5, event(5, "beta secretword", group="other"))

    assert texts(tail, "secretword") == ["alpha secretword"]
    assert texts(tail, "secretword", group="other") == ["beta secretword"]
    assert texts(tail, "secretword", group="none") == []


def test_an_event_leaves_when_it_is_flushed_and_old():
    tail = filled("one apple", "two apples", "three apples")
    tail.flushed([1], 1000.0)
    tail.flushed_range("g", "s", 2, 2, 1100.0)
    tail.flushed_range("g", "another", 3, 3, 1100.0)

    assert tail.expire(1299.0) == 0
    assert tail.expire(1300.0) == 1
    assert texts(tail, "apple") == ["three apples", "two apples"]
    assert tail.expire(1e9) == 1
    assert texts(tail, "apple") == ["three apples"]


def test_the_oldest_leave_when_it_is_full():
    tail = Tail(3, MB, ttl=300.0)
    for number in range(1, 6):
        tail.add(number, event(number, ["apple", "pear", "plum", "fig", "lime"][number - 1]))

    assert len(tail) == 3
    assert tail.evicted == 2
    assert texts(tail, "apple") == []
    assert texts(tail, "lime") == ["lime"]


def test_bytes_are_bounded_also_by_the_index():
    tail = Tail(10_000, 200_000, ttl=300.0)
    for number in range(200):
        tail.add(number, event(number, " ".join(f"w{number}x{n}" for n in range(100))))
    while tail.index(10):
        pass

    assert tail.bytes <= 200_000
    assert 0 < len(tail) < 200


def test_the_same_row_twice_is_one():
    tail = filled("hello world")
    tail.add(1, event(1, "something else"))

    assert len(tail) == 1


def test_what_happens_later_than_now_is_not_given():
    tail = filled("future thing")

    assert texts(tail, "future thing", now=0.5) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "flush", "expire", "index", "search"]), st.integers(1, 30)
        ),
        max_size=60,
    )
)
def test_any_order_of_calls_keeps_the_books(steps):
    tail = Tail(10, 20_000, ttl=5.0)
    for now, (what, number) in enumerate(steps):
        match what:
            case "add":
                path = f"p{number % 3}"
                tail.add(
                    number, event(number, f"w{number} common", group=f"g{number % 2}", path=path)
                )
            case "flush":
                tail.flushed([number, number + 1], float(now))
            case "expire":
                tail.expire(float(now))
            case "index":
                tail.index(number % 4)
            case "search":
                tail.search(f"g{number % 2}", f"w{number} common", [f"p{number % 3}"], 3, 1e9)
    tail.index(1000)

    assert len(tail) <= 10
    assert tail.bytes == sum(entry.size for entry in tail._entries.values())
    indices = [index for sessions in tail._groups.values() for index in sessions.values()]
    rows = {seq for index in indices for word in index.words.values() for seq in word}
    assert rows == set(tail._entries)
    tail.flushed(list(tail._entries), 1e9)
    tail.expire(2e9)
    assert (len(tail), tail.bytes, tail._groups) == (0, 0, {})


def calls(work) -> int:
    """How many functions `work` calls, ours and built-in ones: its size, whatever the machine."""
    count = 0

    def note(_frame, what, _function):
        nonlocal count
        count += what in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def test_a_search_visits_a_bounded_number_of_events():
    work = {}
    for size in (_VISITED, 3 * _VISITED):
        tail = Tail(50_000, 256 * MB, ttl=300.0)
        for number in range(size):
            tail.add(
                number, event(number, f"one of two or three {number}", session=str(number % 50))
            )
        while tail.index(1000):
            pass
        assert texts(tail, "one two three")[0] == f"one of two or three {size - 1}"
        work[size] = calls(lambda tail=tail: tail.search("g", "one two three", (), 20, 1e9))

    assert work[3 * _VISITED] < 1.1 * work[_VISITED]
    assert work[_VISITED] < 6 * _VISITED


def test_a_session_that_is_left_out_costs_nothing_and_hides_nobody():
    tail = Tail(50_000, 256 * MB, ttl=300.0)
    for number in range(500):
        tail.add(number, event(number, f"zebra crossing {number}", session="own"))
    tail.add(500, event(500, "zebra of another session", session="other"))
    while tail.index(1000):
        pass

    found = tail.search("g", "where is the zebra", (), 8, 1e9, without="own")

    assert [hit.text for hit in found] == ["zebra of another session"]
    assert calls(lambda: tail.search("g", "zebra", (), 8, 1e9, without="own")) < 200
