"""What filtering costs is bounded, whatever the shape; counted in calls, so on any machine."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_manager import reporting
from memory_manager.hook_payload import clean
from memory_manager.model import EventKind
from memory_manager.project import Project
from memory_manager.spool import redact
from memory_manager.spool.events import raw_event
from memory_manager.spool.opened import Opened

HALF = 3 << 17
#: Repeated to 400 KB and to twice as much: it may not take twice the work.
SHAPES = [
    "<private>", "</private>", "<private", "&lt;private ", "<private>x</private>", "%3Cprivate%3E",
    "<pri<private></private>vate>", "<private " + "x" * 190, "<system-reminder>",
    "</system-reminder>", "<system-reminder>x</system-reminder>", "[Memory Context]\n",
    "[Memory Context]\nReference data[/Memory Context]", "<", "&", "\\", "%", "[", "a", "\n", " ",
    "error: x refused\n", "Traceback\n", "0 errors\n", "error token=a1b2c3d4\n", "漢", "[[{",
    '{"password": "hunter2", "error": "x"},', "\ud800", "a\ud800",
]  # fmt: skip


def calls(work) -> int:
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


def event(text="c", **metadata):
    return raw_event(
        event_id="e", group="g", session="s", kind=EventKind.COMMAND, at=1.0, now=1.0, content=text,
        metadata={"message_id": "m", **metadata},
    )  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: json.dumps(shape[:32]))
def test_the_work_on_much_text_of_any_shape_is_bounded(shape):
    redact.warm()
    size = len(shape.encode("utf-8", "surrogatepass"))
    once, twice = (shape * (most // size) for most in (HALF, 2 * HALF - 512))
    event(output=once)

    first, second = calls(lambda: event(output=once)), calls(lambda: event(output=twice))

    assert first < 40 * redact.BUDGET
    assert second < 1.3 * first + 2000


@pytest.mark.parametrize("value", ["a", "<b", "password"])
def test_so_is_the_work_on_very_many_small_values(value):
    wide = [[value] * 400 for _ in range(200)]
    deep = value
    for _ in range(14):
        deep = [deep, {value: deep}]
    names = {f"{value}{number}": value for number in range(20_000)}

    for metadata in ({"x": wide}, {"x": deep}, names):
        assert calls(lambda metadata=metadata: event(**metadata)) < 300_000


def test_so_is_the_look_at_a_report_as_it_arrives():
    project = Project("g", "p", "/")
    items = [{"content": "c", "metadata": {"x": ["<a"] * 200, "message_id": "m"}}] * 500

    work = calls(lambda: reporting.standings_of_ingest(items, project, Opened()))

    assert work < 500 * 1000


@given(st.text(st.characters(exclude_categories=[]) | st.sampled_from("?\0\ud83d\ude00\udc00")))
def test_text_is_made_valid_as_utf_16_would(text):
    slow = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    assert clean(text) == slow.replace("\0", "\ufffd")
