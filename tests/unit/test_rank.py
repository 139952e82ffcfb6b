"""Ranking: relevant before new, new before old, different before same, nothing before nonsense."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memory_manager.model import Hit
from memory_manager.rank import DEFAULT, Candidate, Channel, coverage, naming, question, rank

NOW = 1_763_640_000.0
DAY = 86_400.0


def hit(text: str, *, uuid: str = "", at: float = NOW, kind: str = "note", paths=()) -> Hit:
    return Hit(uuid=uuid or text, kind=kind, text=text, at=at, score=0.0, paths=paths)


def candidate(text: str, evidence: dict[Channel, float] | None = None, **more) -> Candidate:
    return Candidate(hit(text, **more), evidence or {Channel.TEXT: 1.0})


def texts(asked: str, *candidates: Candidate, limit: int = 5, **more) -> list[str]:
    return [h.text for h in rank(question(asked, **more), candidates, limit)]


def test_nothing_comes_of_nothing():
    assert rank(question("anything"), [], 5) == ()
    assert rank(question("anything"), [candidate("anything")], 0) == ()


def test_one_common_word_of_many_is_no_relevance():
    asked = "please add pagination to the invoices endpoint and update documentation"
    assert texts(asked, candidate("the endpoint of the bus line")) == []
    assert texts(asked, candidate("invoices endpoint has no pagination")) != []


def test_a_long_prompt_is_answered_by_a_text_with_some_of_its_words():
    asked = "words " + " ".join(f"topic{n} thing{n}" for n in range(40)) + " cache timeout redis"
    assert texts(asked, candidate("topic1 thing2 topic3 thing4 topic5 words")) != []


def test_a_close_meaning_is_enough_and_a_far_one_is_not():
    assert texts("deploy", candidate("ship it", {Channel.VECTOR: 0.70})) == ["ship it"]
    assert texts("deploy", candidate("a cat", {Channel.VECTOR: 0.35})) == []


def test_the_best_of_a_bad_lot_is_still_bad():
    """Rank numbers alone would take it: every channel has a first."""
    bad = [candidate(f"noise {n}", {Channel.TEXT: 9.0 - n, Channel.VECTOR: 0.2}) for n in range(5)]
    assert texts("cache eviction", *bad) == []


def test_more_words_come_before_fewer_and_both_kinds_of_evidence_before_one():
    both = candidate("cache eviction policy", {Channel.TEXT: 2.0, Channel.VECTOR: 0.6})
    words = candidate("cache eviction", {Channel.TEXT: 2.0})
    fewer = candidate("cache", {Channel.TEXT: 1.0})
    assert texts("cache eviction", fewer, words, both) == [
        "cache eviction policy",
        "cache eviction",
        "cache",
    ]


def test_evidence_for_one_uuid_is_taken_together():
    parts = [
        candidate("cache", {Channel.TEXT: 1.0}, uuid="1"),
        candidate("cache", {Channel.VECTOR: 0.7}, uuid="1"),
    ]
    (whole,) = rank(question("cache"), parts, 5)
    (alone,) = rank(question("cache"), parts[:1], 5)
    assert whole.score > alone.score


def test_facts_and_episodes_have_scales_of_their_own():
    fact = candidate("cache is redis", {Channel.TEXT: 2.0}, kind="fact")
    episode = candidate("cache is redis, we said", {Channel.TEXT: 200.0})
    scores = {h.kind: h.score for h in rank(question("cache redis"), [fact, episode], 5)}
    assert scores["fact"] == scores["note"]


def test_a_path_in_the_question_is_evidence():
    touched = candidate("rounding was wrong", {Channel.NEAR: 0.0}, paths=("src/cart.py",))
    assert texts("what happened here", touched, paths=["src/cart.py"]) == ["rounding was wrong"]
    assert texts("what happened here", touched) == []


def test_the_newer_of_two_equals_comes_first():
    old = candidate("cache eviction changed", at=NOW - 60 * DAY, uuid="a")
    new = candidate("eviction changed: the cache", at=NOW, uuid="b")
    assert texts("cache eviction changed", old, new)[0] == "eviction changed: the cache"


def test_age_alone_never_beats_relevance():
    old = candidate("cache eviction is allkeys-lru", at=NOW - 400 * DAY)
    new = candidate("cache", at=NOW)
    assert texts("cache eviction lru", new, old)[0].startswith("cache eviction")


def test_recency_counts_from_the_questions_time():
    old = candidate("cache", at=NOW - 100 * DAY)
    asked = question("cache", now=NOW - 100 * DAY)
    assert rank(asked, [old], 1)[0].score == rank(question("cache"), [old], 1)[0].score


def test_what_says_the_same_is_given_once_and_makes_room():
    same = [
        candidate("Modified: src/app.py", at=NOW + n, uuid=str(n), paths=("src/app.py",))
        for n in range(5)
    ]
    other = candidate("src/app.py imports json", {Channel.TEXT: 0.5})
    result = rank(question("src/app.py"), [*same, other], 2)
    assert [h.uuid for h in result] == ["4", "src/app.py imports json"]


def test_a_plain_word_that_is_also_a_name_is_not_enough():
    beside = candidate("something about other things", {Channel.NEAR: naming(["run"], "run")})
    assert texts("how do we run it", beside) == []


def test_naming_is_how_much_of_a_name_the_question_says():
    words = question("why does src/cart.py fail with TimeoutError").words
    assert naming(words, "src/cart.py") == 1.0
    assert naming(words, "TimeoutError") == 1.0
    assert naming(words, "src/other/deep/place.py") < 0.5
    assert naming(words, "") == 0.0
    assert naming(words, "fail the long way round") < 0.5
    assert 0.5 < naming(words, "fail") < 1.0
    assert naming(words, "the") == 0.0


def test_short_words_are_not_found_inside_others():
    assert coverage(["app"], hit("happy apple pie"), 8) > 0  # a begin is a stem
    assert coverage(["app"], hit("happy"), 8) == 0.0
    assert coverage(["happi"], hit("happy"), 8) == 1.0


evidence = st.dictionaries(
    st.sampled_from(Channel), st.floats(-10, 10, allow_nan=False), min_size=1, max_size=3
)
candidates = st.lists(
    st.builds(
        Candidate,
        st.builds(
            hit,
            st.text(max_size=40),
            uuid=st.sampled_from("abcdef"),
            at=st.floats(0, 4e9),
            kind=st.sampled_from(["note", "fact"]),
        ),
        evidence,
    ),
    max_size=12,
    unique_by=lambda each: each.hit.uuid,
)


@given(st.text(max_size=60), candidates, st.integers(0, 6), st.randoms())
def test_the_order_of_candidates_never_matters(asked, found, limit, chance):
    shuffled = list(found)
    chance.shuffle(shuffled)
    first = rank(question(asked), found, limit)
    assert first == rank(question(asked), shuffled, limit)
    assert len(first) <= limit
    assert len({h.uuid for h in first}) == len(first)
    assert all(h.score > 0 for h in first)
    assert [h.score for h in first] == sorted((h.score for h in first), reverse=True)
    assert DEFAULT.floor > 0
