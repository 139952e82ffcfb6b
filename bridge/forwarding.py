"""What OpenCode's plugin asks for besides hooks: who is there, and that a block did not arrive."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge import params as given
from bridge.cache import keys
from bridge.cache.protocol import CacheOutcome
from bridge.hooks import MOST_REPLAYED
from memory_manager import __version__
from memory_manager.errors import InvalidRequest
from memory_manager.optout import opted_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bridge.commands import Method
    from bridge.params import Params
    from bridge.parts import Parts
    from bridge.settings import BridgeSettings
    from memory_manager.model import Json

_log = logging.getLogger(__name__)

#: The version of the line between plugin and bridge; a plugin works only with its own.
PROTOCOL = 1
#: What the cache is asked, in no project's name, to see whether it is there.
_PROBE = "probe"
_SHORT = 200


class Forwarding:
    """The methods by name in `table`."""

    def __init__(self, parts: Parts, sockets: Path, offers: Callable[[str], bool]) -> None:
        """`sockets` is the folder of the embedded engines; `offers`: is there such a method?"""
        self._parts = parts
        self._sockets = sockets
        self._offers = offers
        #: Called with directory and worktree of a plugin that has come.
        self.greeted: Callable[[str, str], None] = lambda _directory, _worktree: None
        self.table: Mapping[str, Method] = {"hello": self.hello, "withheld": self.withheld}

    async def hello(self, params: Params) -> Json:
        """What a plugin has to know before its first hook."""
        settings = self._parts.settings
        directory = given.text(params, "directory") or ""
        worktree = given.text(params, "worktree") or ""
        told = (given.text(params, name) or "" for name in ("plugin", "opencode"))
        plugin, opencode = (text[:_SHORT] for text in told)
        pid = int(given.number(params, "pid") or 0)
        _log.info("plugin %r of OpenCode %r (pid %d) in %r", plugin, opencode, pid, directory)
        self.greeted(directory, worktree)
        probe = await self._parts.cache.lookup(_PROBE, keys.entry_key(_PROBE, "", 0, 0))
        return {
            "version": __version__,
            "protocol": PROTOCOL,
            "cache": {
                **_address(settings, self._sockets),
                "up": probe.outcome is not CacheOutcome.BYPASS,
            },
            "inject": settings.inject,
            "disabled": settings.disabled,
            "chat_deadline_ms": settings.chat_deadline_ms,
            "hook_deadline_ms": settings.hook_deadline_ms,
            "tools": self._offers("tool"),
            "opted_out": opted_out(directory, worktree),
        }

    async def withheld(self, params: Params) -> Json:
        """These messages went to the model without a block: from now on the ledger says so too.

        Else a later replay would put one where the provider's cached prefix has none.
        """
        session = given.required(params, "session_id")
        messages = (given.text(params, "message_id"), *given.texts(params, "message_ids"))
        named = [message for message in messages if message]
        if not named or len(named) > MOST_REPLAYED:
            raise InvalidRequest(f"message_id: give the message, or up to {MOST_REPLAYED}")
        project = await self._parts.projects.of(
            given.text(params, "cwd") or "", given.text(params, "project") or ""
        )
        self._parts.ledger.withhold(session, named, project.group)
        return {}


def _address(settings: BridgeSettings, sockets: Path) -> dict[str, Json]:
    """Where the cache is; never the password in its URL."""
    if settings.embedded_cache:
        return {"kind": "socket", "at": str(sockets / "valkey.sock")}
    if not settings.valkey_url:
        return {"kind": "tcp", "at": _joined(settings.valkey_host, settings.valkey_port)}
    url = urlsplit(settings.valkey_url)
    if url.scheme == "unix":
        return {"kind": "socket", "at": url.path}
    return {"kind": "tcp", "at": _joined(url.hostname or "localhost", url.port or 6379)}


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
