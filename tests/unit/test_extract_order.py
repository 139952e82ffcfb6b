"""The graph is a function of the set of events: not of their order, nor of how they are batched."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_manager.extract import HISTORY_CONTENT, HISTORY_KINDS, extract, is_low_signal
from memory_manager.model import EventKind, RawEvent

SESSIONS = st.sampled_from(["s1", "s2"])
PATHS = st.sampled_from(["src/a.py", "src/b.py", "c.ts", "requirements.txt"])
LINES = st.sampled_from(["pytest -q", "cd x && pytest", "go test ./...", "uv add httpx", "ls"])
OUTPUTS = st.sampled_from(
    [
        "",
        "E       ValueError: bad\n\nsrc/a.py:3: ValueError\nFAILED t/test_a.py::test_x - ValueError: bad\n",
        "--- FAIL: TestX (0.1s)\n    a_test.go:3: got 1\n--- PASS: TestY (0.1s)\nFAIL\n",
        "t/test_a.py::test_x PASSED\n",
        "panic: boom\n",
    ]
)
DIFFS = st.sampled_from(
    [
        "",
        "@@ -1 +1 @@\n+def f():\n+    pass\n",
        "@@ -1 +1 @@\n-def f():\n-    pass\n",
        "@@ -1 +1 @@ def f():\n-    x\n+    y\n",
        "@@ -1 +1 @@\n+httpx==1\n",
        "+def f():\n+    pass\n",
        "@@ -1 +1 @@\n-httpx==1\n+requests\n",
    ]
)
SAID = st.sampled_from(
    ["Use npm", "use pnpm instead of npm", "Never use npm", "continue", "Add the cart to a.py"]
)
CHANGES = st.sampled_from(["modified", "added", "deleted", "moved"])
KINDS = st.sampled_from(
    [
        EventKind.FILE_EDIT, EventKind.FILE_EDIT, EventKind.COMMAND, EventKind.COMMAND,
        EventKind.ERROR, EventKind.PROMPT, EventKind.SUCCESS, EventKind.NOTE, EventKind.MESSAGE,
        EventKind.SESSION,
    ]
)  # fmt: skip


@st.composite
def event(draw, number):
    kind = draw(KINDS)
    metadata = {"type": kind.value}
    content = draw(SAID)
    match kind:
        case EventKind.FILE_EDIT:
            metadata |= {"path": draw(PATHS), "change": draw(CHANGES), "diff": draw(DIFFS)}
            metadata |= {"old_path": draw(PATHS)}
        case EventKind.COMMAND:
            metadata |= {"command": draw(LINES), "output": draw(OUTPUTS)}
            metadata |= {"exit": draw(st.sampled_from([0, 0, 1, None]))}
        case EventKind.ERROR:
            content = "Error: " + draw(st.sampled_from(["", "x" * 3000])) + draw(OUTPUTS)
            metadata |= draw(st.sampled_from([{}, {"name": "APIError"}, {"command": "pytest"}]))
        case EventKind.SUCCESS:
            metadata |= {"task": content}
    # Few moments, so that many events share one.
    at = float(draw(st.integers(0, 12)))
    return RawEvent(f"e{number}", "g", draw(SESSIONS), kind, at, content, metadata)


@st.composite
def events(draw):
    return [draw(event(number)) for number in range(draw(st.integers(1, 14)))]


class Store:
    """The rules of `relations.py`, in memory."""

    def __init__(self):
        self.nodes, self.facts, self.episodes, self.mentions = {}, {}, {}, set()

    def write(self, extraction):
        self.episodes.update((one.uuid, one) for one in extraction.episodes)
        self.nodes.update((one.uuid, one) for one in extraction.entities)
        self.mentions.update(extraction.mentions)
        new = {fact.uuid for fact in extraction.facts}
        for uuid, fact in list(self.facts.items()):
            if fact.scope in extraction.scopes and uuid not in new:
                del self.facts[uuid]
        for fact in extraction.facts:
            known = self.facts.get(fact.uuid)
            if (
                known is None
                or fact.scope
                or (fact.valid_at, fact.event_ids) < (known.valid_at, known.event_ids)
            ):
                self.facts[fact.uuid] = fact

    def graph(self):
        chains = {}
        for fact in sorted(self.facts.values(), key=lambda fact: (fact.valid_at, fact.uuid)):
            chains.setdefault(fact.closes or fact.uuid, []).append(fact)
        ends = {
            one.uuid: later.valid_at for chain in chains.values() for one, later in pairwise(chain)
        }
        return self.episodes, self.nodes, self.facts, self.mentions, ends


def cut(one):
    """An event as history may give it: its content cut, without its diff."""
    metadata = {key: value for key, value in one.metadata.items() if key != "diff"}
    content = one.content[:HISTORY_CONTENT]
    return RawEvent(one.event_id, one.group, one.session, one.kind, one.at, content, metadata)


def fold(batches, *, all_known):
    store = Store()
    everything = [one for batch in batches for one in batch]
    before = []
    for batch in batches:
        known = everything if all_known else before
        history = [cut(one) for one in known if one.kind in HISTORY_KINDS and one not in batch]
        before = before + batch
        if not is_low_signal(batch):
            store.write(extract("g", batch, history))
    return store.graph()


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(events(), st.data())
def test_order_and_batches_do_not_matter(given_events, data):
    shuffled = data.draw(st.permutations(given_events))
    batches, rest = [], list(shuffled)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        batches.append(rest[:size])
        rest = rest[size:]
    whole = fold([given_events], all_known=False)
    assert fold(batches, all_known=False) == whole
    assert fold(batches, all_known=True) == whole
    # Delivered twice, and retried in another batch: still the same.
    assert fold([*batches, shuffled], all_known=False) == whole


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(events())
def test_one_event_puts_one_fact_into_a_chain(given_events):
    facts = [fact for fact in extract("g", given_events).facts if fact.closes and not fact.scope]
    keys = [(fact.closes, fact.event_ids) for fact in facts]
    assert len(keys) == len(set(keys))
