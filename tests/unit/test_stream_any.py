"""Whatever JSON comes as an event: the stream tells something or nothing, and never fails."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from memory_manager.stream import WANTED, Call, Item, Stream

NAMES = (
    "id", "type", "properties", "info", "part", "sessionID", "messageID", "parentID", "role", "time",
    "created", "completed", "end", "state", "status", "error", "name", "data", "message", "tool",
    "callID", "input", "output", "metadata", "files", "gone", "text", "synthetic", "summary", "mode",
    "tokens", "cache", "cost", "finish", "overflow", "model", "filediff", "filePath", "attempt",
)  # fmt: skip
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    ["assistant", "user", "tool", "text", "patch", "compaction", "completed", "error", "retry",
     "ses_1", "msg_1", "msg_2", "bash", "write", "\ud800"]
)  # fmt: skip
JSON = st.recursive(
    VALUES | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8)
    ),
    max_leaves=25,
)
INFO = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["id", "role", "parentID", "time", "error", "tokens", "mode", "finish", "summary", "cost"], JSON)
)  # fmt: skip
PART = st.fixed_dictionaries(
    {"type": WORDS}, optional=dict.fromkeys(["id", "messageID", "state", "files", "text", "tool", "callID", "time", "overflow"], JSON)
)  # fmt: skip
EVENT = JSON | st.builds(
    lambda kind, properties: {"type": kind, "properties": properties},
    st.sampled_from(sorted(WANTED)),
    JSON
    | st.fixed_dictionaries(
        {"sessionID": WORDS}, optional={"info": INFO, "part": PART, "status": JSON, "error": JSON}
    ),
)


@settings(max_examples=150, deadline=None)
@given(events=st.lists(EVENT, max_size=12))
def test_whatever_comes_is_told_or_passed_over(events):
    stream = Stream()
    for each in events:
        for told in stream.tell(each, 5.0):
            assert isinstance(told.key, str)
            assert isinstance(told, Call | Item)
            stream.keep(told)
    stream.finish("ses_1", 5.0)
