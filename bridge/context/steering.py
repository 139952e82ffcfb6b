"""Prompts that steer the agent and ask nothing: for them, nothing is looked up. Pure."""

from __future__ import annotations

import re

from memory_manager.terms import terms

#: Compared without case, punctuation and spaces at the ends.
_STEERING = frozenset((
    "again", "agreed", "all right", "alright", "approve", "approved", "carry on", "commit",
    "commit it", "continue", "cool", "correct", "do it", "done", "exactly", "fine", "go",
    "go ahead", "go on", "good", "got it", "great", "hello", "hey", "hi", "hmm", "k",
    "keep going", "lgtm", "looks good", "n", "next", "nice", "no", "no thanks", "nope", "ok",
    "okay", "perfect", "please continue", "please do", "proceed", "push", "push it", "retry",
    "revert", "right", "sounds good", "stop", "sure", "thank you", "thanks", "that works", "thx",
    "try again", "understood", "undo", "undo that", "wait", "y", "yeah", "yep", "yes",
    "yes please",
))  # fmt: skip
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def asks_something(text: str) -> bool:
    """Whether a prompt has content to look up; "yes" and "continue" have none."""
    plain = _EDGES.sub("", " ".join(text.split())).lower()
    return plain not in _STEERING and bool(terms(plain, 8))
