#!/usr/bin/env python3
"""The command that OpenCode runs by path: `python3 memory_manager.py <command> ...`.

Any Python 3 can read this file, so that an old one gets a sentence and not a SyntaxError. Being a
script it is compiled at every start: everything else lives in `cli.py`.
"""

import os
import sys


def main() -> None:
    """Check the interpreter, then run the command and end the process with its status."""
    if sys.version_info < (3, 12):  # noqa: UP036 - the reason for this file
        version = sys.version.split()[0]
        sys.stderr.write(
            f"memory_manager: needs Python 3.12 or newer, and {sys.executable} is {version}; "
            "run it with a newer python3\n"
        )
        # A hook's exit status is 0 whatever happens.
        sys.exit(0 if sys.argv[1:2] == ["hook"] else 1)
    from memory_manager.cli import run  # noqa: PLC0415 - an old Python could not parse it

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    if not __package__:
        # Run by path: the first entry is this file's own folder, where `memory_manager` is the
        # script itself and not the package (unless -P or -I left it out). Its parent is meant.
        folder = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - pathlib costs 10 ms
        if sys.path and os.path.realpath(sys.path[0]) == folder:
            del sys.path[0]
        sys.path.insert(0, os.path.dirname(folder))  # noqa: PTH120 - as above
    main()
