from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.cache.entry import pack, unpack
from bridge.cache.keys import FIELD_BYTES, entry_key, path_fields, stamps_key
from bridge.cache.protocol import Ticket
from bridge.cache.trust import Trust

# Lone surrogates too: JSON can carry them.
texts = st.text(st.characters(exclude_categories=()), max_size=12)
askings = st.tuples(texts, texts, st.integers(0, 10**6), st.integers(0, 99))


@given(askings, askings)
def test_two_askings_share_a_key_only_when_they_are_the_same(one, other):
    assert (entry_key(*one) == entry_key(*other)) == (one == other)


def test_moving_a_character_over_a_boundary_changes_the_key():
    keys = {
        entry_key("g_a", "bc", 1, 1),
        entry_key("g_ab", "c", 1, 1),
        entry_key("g_a", "bc1", 1, 1),
        entry_key("g_a", "bc", 11, 1),
        entry_key("g_a", "bc", 1, 11),
        entry_key("g_a", "bc", 1, "v2"),
    }

    assert len(keys) == 6


@given(texts, texts)
def test_stamps_have_a_key_of_their_own_for_each_group(one, other):
    assert (stamps_key(one) == stamps_key(other)) == (one == other)
    assert stamps_key(one) != entry_key(other, one, 1, 1)


def test_keys_begin_with_the_promised_word_and_show_the_group_but_not_the_question():
    key = entry_key("g_1f83", "why does the build fail?", 1500, 1)

    assert key.startswith("memory:{g_1f83}:answer:")
    assert "build" not in key
    assert stamps_key("g_1f83") == "memory:{g_1f83}:stamps"


def test_a_group_cannot_break_out_of_its_braces():
    assert stamps_key("g}:x{").count("}") == 1


@given(st.lists(texts))
def test_each_path_has_one_field_whatever_the_order(paths):
    fields = path_fields(paths)

    assert len(fields) == len(set(paths))
    assert fields == path_fields(reversed(paths))
    assert all(len(field) == FIELD_BYTES for field in fields)


tickets = st.builds(
    Ticket,
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**64 - 1),
    st.floats(allow_nan=False),
)


@given(texts, tickets, st.lists(texts, max_size=5), st.binary(max_size=64))
def test_an_entry_comes_back_as_it_was_packed(question, ticket, paths, value):
    key = entry_key("g", question, 1, 1)

    assert unpack(key, pack(key, ticket, path_fields(paths), value)) == (ticket.at, value)


@given(st.data())
def test_a_damaged_or_misplaced_entry_is_none(data):
    entry = pack("k", Ticket(b"i" * 16, 3, 1.5), path_fields(["a", "b"]), b"value")
    at = data.draw(st.integers(0, len(entry) - 1))
    flipped = bytes([entry[at] ^ data.draw(st.integers(1, 255))])

    assert unpack("k", entry[:at] + flipped + entry[at + 1 :]) is None
    assert unpack("k", entry[:at]) is None
    assert unpack("k", entry + b"x") is None
    assert unpack("other", entry) is None


@given(st.binary(max_size=128))
def test_any_bytes_are_either_nothing_or_an_entry(noise):
    assert unpack("k", noise) is None


def test_a_group_is_trusted_on_the_run_of_the_server_where_it_was_rotated():
    trust = Trust()
    first = trust.due("g", b"run 1")
    assert first is not None
    assert first.groups == ("g",)

    trust.settle(first, b"run 1")

    assert trust.due("g", b"run 1") is None
    assert trust.due("g", b"run 2") is not None
    assert trust.due("h", b"run 1") is not None


def test_what_is_suspected_is_owed_with_the_next_command_of_any_group():
    trust = Trust()
    trust.suspect("g")
    due = trust.due("h", b"run")
    assert due is not None
    assert set(due.groups) == {"g", "h"}

    trust.settle(due, b"run")

    assert trust.due("g", b"run") is None


def test_a_suspicion_that_comes_up_during_a_rotation_outlives_it():
    trust = Trust()
    due = trust.due("g", b"run")
    assert due is not None
    trust.suspect("g")

    trust.settle(due, b"run")

    assert trust.due("g", b"run") is not None


def test_the_books_are_bounded_and_forgetting_costs_a_rotation_only():
    trust = Trust(most=2)
    for group in "abcd":
        due = trust.due(group, b"run")
        assert due is not None
        trust.settle(due, b"run")

    assert trust.due("a", b"run") is not None
    assert trust.due("d", b"run") is None
    for group in "abcd":
        trust.suspect(group)
    due = trust.due("z", b"run")
    assert due is not None
    assert due.groups == ("c", "d", "z")
    assert trust.due("a", b"run") is not None
