"""The bytes of one cached answer. Pure.

    version 1 | incarnation 16 | sequence u64 | fields u32 | 16 bytes for each field | rest

The scripts read up to `rest` and must agree with it; `rest` is for us alone:

    taken at f64 | crc32 u32 | value
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from bridge.cache.keys import FIELD_BYTES
from bridge.cache.protocol import INCARNATION_BYTES, Ticket

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = b"1"

#: Paths that one answer may depend on, and bytes that it may have; beyond it, it is not kept.
MOST_PATHS = 2_000
MOST_BYTES = 262_144

_HEAD = struct.Struct(f">c{INCARNATION_BYTES}sQI")
_REST = struct.Struct(">dI")


def pack(key: str, ticket: Ticket, fields: Sequence[bytes], value: bytes) -> bytes:
    """The entry to keep under `key`."""
    head = _HEAD.pack(VERSION, ticket.incarnation, ticket.sequence, len(fields)) + b"".join(fields)
    check = _check(key, head, ticket.at, value)
    return b"".join((head, _REST.pack(ticket.at, check), value))


def unpack(key: str, entry: bytes) -> tuple[float, bytes] | None:
    """When the entry's ticket was taken, and its value; None when it is not what `pack` made."""
    if len(entry) < _HEAD.size or not entry.startswith(VERSION):
        return None
    *_, count = _HEAD.unpack_from(entry)
    start = _HEAD.size + count * FIELD_BYTES
    if len(entry) < start + _REST.size:
        return None
    at, check = _REST.unpack_from(entry, start)
    value = entry[start + _REST.size :]
    return (at, value) if check == _check(key, entry[:start], at, value) else None


def _check(key: str, head: bytes, at: float, value: bytes) -> int:
    # The key is part of the sum: an entry under another question's key is as good as corrupt.
    return zlib.crc32(value, zlib.crc32(struct.pack(">d", at), zlib.crc32(head + key.encode())))
