"""Become an engine that cannot outlive the process that wanted it.

Run by path as `python -I -S launch.py LEASH PARENT PIPE PROGRAM ARGUMENT…`, so the standard library
only and as little of it as possible. LEASH is `signal` (Linux: the kernel kills us when the parent
dies, whatever it dies of) or `guard` (elsewhere: a watcher kills us when the parent's end of PIPE
closes, which the kernel does at any end of a process). PARENT is the pid that has to be there still.
"""

from __future__ import annotations

import os
import signal
import sys

#: `PR_SET_PDEATHSIG` of Linux's <sys/prctl.h>.
_PR_SET_PDEATHSIG = 1


def _signal_leash() -> None:
    import ctypes  # noqa: PLC0415 - macOS's interpreter may lack it and has no use for it

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def _guard_leash(pipe: int) -> None:
    """Fork a watcher. The engine stays our parent's own child; the watcher is the engine's."""
    engine = os.getpid()
    if os.fork() != 0:
        os.close(pipe)
        return
    # The watcher must not hold the data folder's lock, nor the log, once the engine is gone.
    os.dup2(pipe, 3)
    os.closerange(4, 4096)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    while os.read(3, 1):
        pass
    # Our own parent is the engine for exactly as long as it lives: no recycled pid is ever hit.
    if os.getppid() == engine:
        os.kill(engine, signal.SIGKILL)
    os._exit(0)


def main(arguments: list[str]) -> None:
    """Put the leash on, see that the parent is still there, and become the program."""
    leash, parent, pipe, program = arguments[0], int(arguments[1]), int(arguments[2]), arguments[3]
    if leash == "signal":
        _signal_leash()
    else:
        _guard_leash(pipe)
    if os.getppid() != parent:  # it died before the leash was on
        sys.exit(1)
    os.umask(0o077)
    os.execv(program, arguments[3:])  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
