"""Knocks at doors: the hook's command, the agent, the page's port, Valkey. A fault is said, not raised."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from metrics.settings import MetricsSettings

#: Seconds that one answer may take, and a whole command.
_PATIENCE_S, _COMMAND_S = 2.0, 10.0
#: Seconds of life of the value that the cache is given, and until a refused datagram comes back.
_LIFE_S, _REFUSED_S = 1.0, 0.2
#: An agent takes it and makes nothing of it.
_DATAGRAM = b"\n"


def hook(script: Path, environment: Mapping[str, str]) -> tuple[int, str, float, str]:
    """One hook call as the plugin makes it: status, outcome, ms, what it complained about."""
    began = time.perf_counter()
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, str(script), "hook", "context:replay"],
            input=b'{"session_id": "doctor", "message_ids": []}',
            capture_output=True,
            timeout=_COMMAND_S,
            # By a name of its own: the folder that we happen to stand in is not made a project.
            env={**environment, "OPENCODE_MEM_PROJECT": "doctor"},
            check=False,
        )
        reply = json.loads(done.stdout)
        outcome = str(reply.get("outcome", "")) if isinstance(reply, dict) else ""
    except (OSError, subprocess.TimeoutExpired, ValueError) as fault:
        return 1, "", (time.perf_counter() - began) * 1000, str(fault)
    said = done.stderr.decode(errors="replace").strip()
    return done.returncode, outcome, (time.perf_counter() - began) * 1000, said


def datagram_fault(settings: MetricsSettings) -> str:
    """Why the agent does not take datagrams, "" when nothing speaks against it."""
    try:
        if settings.socket_path:
            return _unix_fault(settings.socket_path)
        return _udp_fault(settings.host, settings.port)
    except OSError as fault:
        return fault.strerror or str(fault)


def _unix_fault(address: str) -> str:
    scheme, _, path = address.partition("://")
    kinds = {
        "unixgram": (socket.SOCK_DGRAM,),
        "unixstream": (socket.SOCK_STREAM,),
    }.get(scheme, (socket.SOCK_DGRAM, socket.SOCK_STREAM))
    fault = ""
    for kind in kinds:
        with closing(socket.socket(socket.AF_UNIX, kind)) as one:
            one.settimeout(_PATIENCE_S)
            try:
                one.connect(path)
            except OSError as error:
                fault = error.strerror or str(error)
                if error.errno != errno.EPROTOTYPE:
                    return fault
            else:
                return ""
    return fault


def _udp_fault(host: str, port: int) -> str:
    """A refusal comes back to a connected socket, a moment after the first datagram."""
    kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with closing(socket.socket(kind, socket.SOCK_DGRAM)) as one:
        one.settimeout(_REFUSED_S)
        one.connect(address)
        one.send(_DATAGRAM)
        try:
            one.recv(1)
        except TimeoutError:
            return ""
    return ""


def http_fault(url: str) -> str:
    """Why the page's port does not answer as it should."""
    parts = urlsplit(url)
    try:
        with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE_S)) as line:
            line.request("GET", "/healthz")
            status = line.getresponse().status
    except (OSError, HTTPException) as fault:
        return str(fault) or type(fault).__name__
    return "" if status == 200 else f"/healthz answers {status}"  # noqa: PLR2004 - HTTP's OK


def taken(port: int) -> bool:
    """Whether somebody has the loopback port."""
    with closing(socket.socket()) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def cache_fault(address: str) -> str:
    """Why a value could not be set, got and seen to expire, "" when it could."""
    return asyncio.run(_cache_round_trip(address))


async def _cache_round_trip(address: str) -> str:
    from bridge.cache import keys  # noqa: PLC0415 - with Valkey's client: only when there is a Valkey
    from bridge.cache.link import ValkeyLink  # noqa: PLC0415 - as above
    from bridge.cache.protocol import CacheOutcome  # noqa: PLC0415 - as above
    from bridge.cache.valkey import ValkeyCache  # noqa: PLC0415 - as above

    # Its clock stands still: that the value goes is the server's doing.
    began = time.time()
    try:
        cache = ValkeyCache(ValkeyLink(address, _PATIENCE_S), ttl=_LIFE_S, clock=lambda: began)
    except ValueError as fault:
        return str(fault)
    try:
        group = f"doctor_{os.urandom(8).hex()}"
        key = keys.entry_key(group, "a question", 0, 0)
        found = await cache.lookup(group, key)
        if found.outcome is CacheOutcome.BYPASS:
            return "no answer"
        if not await cache.fill(group, key, b"a value", (), found.ticket):
            return "a value could not be set"
        if (await cache.lookup(group, key)).value != b"a value":
            return "a value that was set is not there"
        until = time.monotonic() + _LIFE_S + _PATIENCE_S
        while (await cache.lookup(group, key)).value is not None:
            if time.monotonic() > until:
                return "a value does not expire"
            await asyncio.sleep(_LIFE_S / 20)
    finally:
        await cache.close()
    return ""
