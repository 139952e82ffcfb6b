"""What a flush writes beside the events' own episodes: one summary, tags, counts of repeats."""

from __future__ import annotations

from memory_manager.extract import extract, is_low_signal, worth_keeping
from memory_manager.extract.batch import flushed, summed_up
from memory_manager.model import EventKind, RawEvent, episode_uuid


def event(number, kind, content, session="s", **metadata):
    return RawEvent(f"e{number}", "g", session, kind, 100.0 + number, content, metadata)


def edit(number, path, **more):
    return event(number, EventKind.FILE_EDIT, f"Modified: {path}", path=path, **more)


BATCH = [
    event(1, EventKind.PROMPT, "Add a retry to src/pay.py"),
    edit(2, "src/pay.py"),
    edit(3, "src/retry.py"),
    event(4, EventKind.SUCCESS, "Completed: Add a retry", task="Add a retry to src/pay.py"),
]


def stub(number, of):
    return event(number, EventKind.COMMAND, "", type="command", same_as=f"e{of}")


def test_a_flush_is_the_extraction_and_one_summary_more():
    plain, whole = extract("g", BATCH), flushed("g", BATCH)

    assert whole.extraction.episodes[:-1] == plain.episodes
    assert whole.extraction.facts == plain.facts
    assert whole.extraction.entities == plain.entities
    assert whole.extraction.scopes == plain.scopes
    assert whole.extraction.mentions[: len(plain.mentions)] == plain.mentions


def test_the_summary_is_an_episode_of_its_session():
    found = flushed("g", BATCH)

    summary = found.extraction.episodes[-1]

    assert summary.kind is EventKind.SUMMARY
    assert summary.event_id == "summary:s:e1"
    assert summary.uuid == episode_uuid("g", "summary:s:e1")
    assert (summary.session, summary.at, summary.source) == ("s", 104.0, "opencode")
    assert summary.paths == ("src/pay.py", "src/retry.py")
    assert summary.content == found.summary != ""
    assert summary.metadata == {
        "type": "summary",
        "tags": list(found.tags),
        "first_at": 101.0,
        "last_at": 104.0,
        "events": 4,
    }


def test_the_summary_mentions_its_files_and_brings_no_others():
    found = flushed("g", BATCH).extraction
    uuid = found.episodes[-1].uuid
    names = {entity.uuid: (entity.type, entity.name) for entity in found.entities}

    mentioned = [names[entity] for episode, entity in found.mentions if episode == uuid]

    assert sorted(mentioned) == [("File", "src/pay.py"), ("File", "src/retry.py")]
    assert len(names) == len(found.entities)
    assert len(set(found.mentions)) == len(found.mentions)


def test_the_same_range_gives_the_same_summary_and_alone_it_is_the_same_too():
    again = summed_up("g", BATCH)

    assert flushed("g", BATCH) == flushed("g", list(BATCH))
    assert again.extraction.episodes == flushed("g", BATCH).extraction.episodes[-1:]
    assert (again.summary, again.tags) == (flushed("g", BATCH).summary, flushed("g", BATCH).tags)
    assert again.extraction.facts == again.extraction.scopes == ()


def test_the_entities_that_a_summary_alone_mentions_come_with_it():
    found = summed_up("g", BATCH).extraction

    assert {entity for _, entity in found.mentions} == {entity.uuid for entity in found.entities}
    assert len(found.entities) == 2


def test_what_the_session_does_later_leaves_the_summary_as_it_is():
    later = [edit(9, "src/other.py")]

    assert flushed("g", BATCH, later).summary == flushed("g", BATCH).summary


def test_a_batch_without_news_writes_nothing_more():
    note = [event(1, EventKind.NOTE, "We use uv.")]

    assert flushed("g", note).extraction == extract("g", note)
    assert flushed("g", note).summary == ""
    assert flushed("g", []).extraction.episodes == ()


def test_a_repeat_makes_no_episode_and_counts_in_the_first_ones():
    command = event(1, EventKind.COMMAND, "Ran: make", command="make all", exit=0)

    found = extract("g", [command, stub(2, 1), stub(3, 1), edit(4, "a.py")])

    assert [episode.event_id for episode in found.episodes] == ["e1", "e4"]
    assert found.episodes[0].metadata["repeats"] == 3
    assert "repeats" not in found.episodes[1].metadata


def test_a_batch_of_repeats_alone_is_not_worth_keeping():
    assert is_low_signal([stub(2, 1), stub(3, 1)])


def test_an_event_with_something_to_say_is_no_repeat_whatever_it_claims():
    claiming = event(1, EventKind.NOTE, "We use uv.", same_as="e0")

    assert worth_keeping(claiming)
