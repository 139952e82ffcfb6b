"""`python -m metrics event TITLE TEXT` sends one event; `python -m metrics docs` prints the table."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, NoReturn

from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

_DONE, _MALFORMED = 0, 2

_TAG = re.compile(r"[A-Za-z][\w./-]{0,63}:[^\s,|]{1,128}")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(_MALFORMED, f"{self.prog}: {' '.join(message.split())}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 done (an event is fire and forget, as DogStatsD is), 2 malformed."""
    parser = _Parser(prog="python -m metrics", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    event = commands.add_parser("event", help="send one Datadog event to the agent")
    event.add_argument("title", metavar="TITLE", type=_title)
    event.add_argument("text", metavar="TEXT")
    event.add_argument("--alert-type", choices=sorted(catalog.ALERT_TYPES), default="info")
    event.add_argument("--aggregation-key", default="", metavar="KEY")
    event.add_argument("--tag", action="append", default=[], metavar="K:V", type=_tag, dest="tags")
    commands.add_parser("docs", help="print the catalogue as a Markdown table")
    asked = parser.parse_args(argv)
    if asked.command == "docs":
        sys.stdout.write(catalog.table())
        return _DONE
    return _send(parser, asked)


def _send(parser: _Parser, asked: argparse.Namespace) -> int:
    from pydantic import ValidationError  # noqa: PLC0415 - a malformed call is refused before it

    from metrics.settings import MetricsSettings  # noqa: PLC0415 - the same

    try:
        settings = MetricsSettings()
    except ValidationError as fault:
        first = fault.errors()[0]
        parser.error(f"{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}")
    if not settings.enabled:
        sys.stderr.write("metrics are switched off (OPENCODE_MEM_METRICS): nothing sent\n")
        return _DONE

    from metrics.statsd import StatsdMetrics  # noqa: PLC0415 - imports datadog, 130 ms

    # Interval 0: nothing to pack with, and close() need not wait for the packing thread.
    metrics = StatsdMetrics(
        host=settings.host,
        port=settings.port,
        socket_path=settings.socket_path,
        flush_interval=0,
        telemetry=False,
    )
    metrics.send_event(
        asked.title,
        asked.text,
        alert_type=asked.alert_type,
        aggregation_key=asked.aggregation_key,
        tags=asked.tags,
    )
    metrics.close()
    if metrics.dropped:
        parser.error("the event does not fit a datagram: fewer or shorter tags")
    return _DONE


def _title(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("the title is empty")
    return value


def _tag(value: str) -> str:
    if not _TAG.fullmatch(value):
        raise argparse.ArgumentTypeError(f"{value!r:.80} is not a tag of the form key:value")
    return value


if __name__ == "__main__":
    sys.exit(main())
