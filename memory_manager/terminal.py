"""The command's streams and folder: bytes in, bytes out, whatever the locale says.

Output goes past Python's buffers: a broken pipe found only while the interpreter ends would be
reported by it, and change the exit status.
"""

import os
import sys
import time

from memory_manager import contract
from memory_manager.errors import InvalidRequest


def say(text: str) -> int:
    """Write `text` and a line feed to stdout, nothing for nothing; gives the exit status."""
    fault = _write(sys.stdout, f"{text}\n") if text else ""
    return fail(f"stdout: {fault}", contract.FAILED) if fault else contract.DONE


def note(*notes: str) -> None:
    """Tell a person what was taken how; empty notes don't count."""
    for text in filter(None, notes):
        _write(sys.stderr, f"memory_manager: note: {contract.one_line(text)}\n")


def complain(why: str) -> None:
    """Log what a hook could not do, in the words that people search for."""
    _write(sys.stderr, f"Memory plugin error: {contract.one_line(why)}\n")


def fail(why: str, status: int) -> int:
    """Give the reason in one line, and the status back."""
    _write(sys.stderr, f"memory_manager: {contract.one_line(why)}\n")
    return status


def read(limit: int) -> str:
    """All of stdin; what is not UTF-8 in it becomes U+FFFD."""
    data = sys.stdin.buffer.read(limit + 1) if sys.stdin is not None else b""
    if len(data) > limit:
        raise InvalidRequest(f"stdin: more than {limit} bytes; send it in parts")
    return data.decode("utf-8", "replace")


def read_until(until: float, limit: int) -> str:
    """All of stdin, or what has come by `until` (monotonic) when nobody closes the other end."""
    from select import select  # noqa: PLC0415 - only hooks must not wait for ever

    chunks: list[bytes] = []
    size = 0
    while sys.stdin is not None and size <= limit:
        if not select([sys.stdin], [], [], max(0.0, until - time.monotonic()))[0]:
            break
        chunk = os.read(sys.stdin.fileno(), 1 << 20)
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
    if size > limit:
        raise InvalidRequest(f"payload: more than {limit} bytes; send less")
    return b"".join(chunks).decode("utf-8", "replace")


def folder() -> str:
    """The working directory, also when its name is not UTF-8 or it was deleted."""
    try:
        return os.getcwdb().decode("utf-8", "surrogateescape")  # noqa: PTH109 - bytes, and pathlib costs 10 ms
    except OSError:
        return os.environ.get("PWD", "/")


def _write(stream: object, text: str) -> str:
    """Why `text` could not be written, "" when it was, or when nobody reads any more."""
    if stream is None:
        return ""
    data = memoryview(text.encode("utf-8", "replace"))
    try:
        target = stream.fileno()  # type: ignore[attr-defined] # one of the three standard streams
        while data:
            try:
                data = data[os.write(target, data) :]
            except BlockingIOError:  # Node's pipes don't block
                time.sleep(0.001)
    except BrokenPipeError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""
