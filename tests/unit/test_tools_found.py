"""What the operations conclude from what they found."""

from __future__ import annotations

from bridge.tools.choosing import about_it, replaced, spoken
from bridge.tools.doings import companions, last_session
from bridge.tools.failing import gist, matches, told_of
from bridge.tools.looking import Told
from bridge.tools.notes import noted
from memory_manager.extract.words import choices
from memory_manager.model import Entity, Episode, EventKind, Hit
from memory_manager.spool.batches import SessionEntry


def said(uuid, text, at, **more):
    return Told(uuid, "DECIDED", text, at, **more)


def named(session):
    return f"session {session}"


def test_a_choice_is_replaced_by_the_next_one_on_its_topic():
    first, second, third = (
        said(name, name, at, chain="choice:db") for name, at in (("a", 1.0), ("b", 2.0), ("c", 3.0))
    )
    other = said("d", "d", 9.0, chain="choice:queue")
    note = said("e", "e", 9.0)

    assert replaced([second, other, first, note, third]) == {"a": second, "b": third}


def test_what_is_said_near_a_topic_is_about_it_and_brings_what_it_replaced():
    old = said("a", "use linear pauses", 1.0, chain="choice:pause")
    new = said("b", "use exponential backoff", 2.0, chain="choice:pause", event_ids=("e1",))
    far = said("c", "keep money in Decimal", 3.0)
    hit = Hit("u", "prompt", "add a retry to the client", 2.0, 1.0, event_ids=("e1",))

    assert about_it([far, new, old], "retries", [hit]) == [new, old]
    assert about_it([far, new, old], "money", []) == [far]


def test_choices_that_still_wait_are_known_once():
    episode = Episode(
        "u", "g", "s", "e1", EventKind.PROMPT, "n", "We decided to use Redis.", "", 5.0
    )

    (one,) = spoken([episode], [])

    assert (one.relation, one.at, one.session) == ("DECIDED", 5.0, "s")
    assert spoken([episode], [said("x", "…", 5.0, event_ids=("e1",))]) == []


def test_a_decision_that_does_not_say_so_is_told_to_be_one():
    for kind in ("decision", "preference"):
        text = noted(kind, "Payments are retried five times")
        assert text.endswith("Payments are retried five times")
        assert choices(text)
    assert noted("decision", "We decided to use Redis") == "We decided to use Redis"
    assert noted("note", "The sky is blue") == "The sky is blue"


def test_the_error_that_is_named_counts_and_no_other():
    errors = [
        Entity(str(number), "g", "Error", name)
        for number, name in enumerate(
            ("KeyError: 'total'", "OperationalError: no such table: carts")
        )
    ]
    hit = Hit("h", "fact", "`x` failed with KeyError: 'total'", 1.0, 1.0, source="FAILED_WITH")

    found = matches("sqlite3.OperationalError: no such table: carts", errors, [hit])
    assert [each.error.name for each in found] == ["OperationalError: no such table: carts"]
    vague = matches("why does x fail", errors, [hit])
    assert [each.error.name for each in vague] == ["KeyError: 'total'"]


def test_an_error_that_came_again_after_its_fix_is_told_so():
    fix = Told("f", "FIXED_BY", "fixed by editing a.py", 5.0, session="s1")
    seen = [Told(str(at), "HIT", "Hit it", at, session="s") for at in (9.0, 2.0)]

    lines = told_of([seen[0], fix, seen[1]], named)

    assert any("seen 2 times" in line for line in lines)
    assert any("came again after that fix" in line for line in lines)
    assert not any("came again" in line for line in told_of([fix, seen[1]], named))


def test_an_error_without_a_fix_is_told_so():
    assert "memory knows of no fix" in told_of([Told("1", "HIT", "Hit it", 2.0)], named)


def test_companions_are_counted_over_sessions():
    facts = [
        Told("1", "CHANGED_WITH", "a and b were changed together 2 times", 1.0, paths=("a", "b")),
        Told("2", "CHANGED_WITH", "a and b were changed together once", 2.0, paths=("a", "b")),
        Told("3", "CHANGED_WITH", "a and c were changed together once", 2.0, paths=("a", "c")),
    ]

    assert companions(facts, "a") == ["b (3 times)", "c (once)"]


def test_the_session_before_this_one_is_where_changes_begin():
    def entry(session, first, last):
        return SessionEntry("g", session, "p", "", first, last, 1, 0, "", ())

    known = [entry("me", 50.0, 60.0), entry("later", 55.0, 56.0), entry("b", 30.0, 40.0)]
    known += [entry("a", 10.0, 20.0), entry("manual", 1.0, 45.0)]

    assert last_session(known, "me") == 30.0
    assert last_session(known, "new") == 50.0
    assert last_session(known[:1], "me") is None


def test_of_a_failure_the_beginning_and_the_end_are_told():
    trace = "Ran: make\n" + "  File x\n" * 50 + "ValueError: bad\n(exit status 1)\n"
    episode = Episode("u", "g", "s", "e", EventKind.COMMAND, "n", trace, "", 5.0)

    assert gist(episode) == "Ran: make … ValueError: bad (exit status 1)"
