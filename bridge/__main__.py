"""`python -m bridge`: `serve` without the weight of the operator's CLI, everything else through it."""

from __future__ import annotations

import sys


def main() -> int:
    """Run and give the exit status."""
    if sys.argv[1:] == ["serve"]:
        from bridge.process import serve

        return serve()
    from bridge.cli import main as operate

    return operate()


if __name__ == "__main__":
    sys.exit(main())
