"""What comes from outside neither begins a line of the log nor steers the terminal that shows it."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from bridge.log_lines import LogLines


def written(message, *args, error=None):
    """The record as it stands in the log."""
    record = logging.LogRecord("bridge.x", logging.INFO, "f.py", 1, message, args, None)
    if error is not None:
        try:
            raise error
        except type(error) as raised:
            record.exc_info = (type(raised), raised, raised.__traceback__)
    return LogLines().format(record)


def test_a_session_s_name_can_t_forge_a_line_of_the_log():
    name = "s\n2026-11-20 10:00:00,000 CRITICAL bridge.app all is lost\r\x1b[2J\u202e"

    line = written("flushed batch %d of %s: %s", 3, name, "completed")

    assert "\n" not in line
    assert r"of s\n2026-11-20" in line
    assert r"\r\x1b[2J\u202e: completed" in line


@given(st.text(st.characters(categories=["L", "Cc", "Cs", "Zl", "Zp", "Cf"])))
def test_a_record_is_one_line_that_can_be_written_whatever_it_says(text):
    line = written("%s", text)

    assert len(line.splitlines()) == 1
    assert line.isprintable() or all(ord(one) > 0xA0 for one in line if not one.isprintable())
    line.encode("utf-8")


def test_a_traceback_keeps_its_lines_and_loses_what_steers():
    text = written("it failed", error=ValueError("bad \x1b[31m \ud800"))

    assert text.splitlines()[1] == "Traceback (most recent call last):"
    assert text.endswith(r"ValueError: bad \x1b[31m \ud800")


def test_the_log_s_level_and_lines_are_those_of_every_handler():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogLines())
    logger = logging.Logger("a.name")  # noqa: LOG001 - nobody else's
    logger.addHandler(handler)

    logger.warning("one\ntwo")

    assert stream.getvalue().endswith(" WARNING a.name one\\ntwo\n")


def test_the_bridge_s_own_log_is_written_so(tmp_path):
    work = """
import logging, pathlib, sys
from bridge.process import _logging
_logging(pathlib.Path(sys.argv[1]))
logging.getLogger("bridge.flush.sweep").info("flushed batch of %s", "s\\nCRITICAL all is lost \\ud800")
"""
    subprocess.run([sys.executable, "-c", work, str(tmp_path / "log")], check=True, timeout=60)

    (line,) = (tmp_path / "log" / "bridge.log").read_text().splitlines()
    assert line.endswith(r"flushed batch of s\nCRITICAL all is lost \ud800")
