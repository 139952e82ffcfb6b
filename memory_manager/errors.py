"""The errors of the memory, named by what the caller can do.

    MemoryFault
    ├── Unavailable      try again later; nothing was changed, or a retry is harmless
    ├── InvalidRequest   the request is malformed; mend it, retrying is useless
    ├── Rejected         the engine understood and refuses (a limit, a permission, a full disk)
    └── Corrupt          durable data is not what it should be; a person has to look

Adapters translate their library's errors into these once; nothing else is caught there.
"""


class MemoryFault(Exception):  # noqa: N818 - named by what it is, like its children
    """Root of every error that the memory raises on purpose."""


class Unavailable(MemoryFault):
    """An engine does not answer; try again later."""


class InvalidRequest(MemoryFault):
    """The request is malformed; the message names the field and the mend."""


class Rejected(MemoryFault):
    """The engine refuses: a limit is reached, the disk is full, a permission is missing."""


class Corrupt(MemoryFault):
    """Durable data is damaged or from an unknown version."""
