"""The listening sockets: loopback only, on both of its addresses where there are two."""

from __future__ import annotations

import contextlib
import socket

from memory_manager.errors import Unavailable

#: Connections that may wait to be taken.
_BACKLOG = 512
#: How often another free port is tried, when the one that was picked is free on one address only.
_TRIES = 8


def listeners(port: int) -> tuple[int, list[socket.socket]]:
    """The port and its sockets, already listening: who connects is answered once the app is there.

    Both addresses are taken, for `localhost` may mean either, and somebody else on the other one
    would be given what is meant for us.

    Args:
        port: 0 picks one.

    Raises:
        Unavailable: the port is taken.
    """
    for _ in range(_TRIES):
        first = _listening(socket.AF_INET, "127.0.0.1", port)
        found = int(first.getsockname()[1])
        try:
            return found, [first, *_second(found)]
        except Unavailable:
            first.close()
            if port:
                raise
    raise Unavailable("no free port for HTTP was found; set OPENCODE_MEM_PORT to one")


def _second(port: int) -> list[socket.socket]:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::1", 0))
        return [_listening(socket.AF_INET6, "::1", port)]
    return []  # this machine has no such address


def _listening(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # Named as TCP, for only then does asyncio switch Nagle's algorithm off: an answer is two
    # writes, and the second would wait 40 ms for the other side's acknowledgement of the first.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A bridge that just ended leaves connections behind; nobody listens there any more.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the standard library's way
    except (OSError, OverflowError) as error:
        listener.close()
        raise Unavailable(
            f"the HTTP port {port} on {host} can't be opened: {error}; "
            "set OPENCODE_MEM_PORT to a free one, or to 0"
        ) from error
    return listener
