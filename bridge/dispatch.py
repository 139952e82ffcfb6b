"""Where failures end: every request is answered, inside its deadline, whatever happens inside."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from bridge.hooks import Outcome, Reply
from memory_manager import contract
from memory_manager.errors import (
    Corrupt,
    InvalidRequest,
    MemoryFault,
    Rejected,
    Unavailable,
)
from metrics import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.commands import Method
    from bridge.handlers import Handlers
    from bridge.settings import BridgeSettings
    from memory_manager.model import Json
    from metrics.recorder import Metrics

_log = logging.getLogger(__name__)

_CODES: tuple[tuple[type[MemoryFault], int], ...] = (
    (InvalidRequest, -32602),
    (Unavailable, -32001),
    (Rejected, -32002),
    (Corrupt, -32003),
)
_UNKNOWN_METHOD, _INTERNAL = -32601, -32603


class Dispatch:
    """Requests to replies. Never raises: what goes wrong is logged, counted and put in words."""

    def __init__(
        self,
        handlers: Handlers,
        commands: Mapping[str, Method],
        settings: BridgeSettings,
        metrics: Metrics,
        keep: Callable[[asyncio.Task[Any]], None],
    ) -> None:
        """`keep` looks after work that its reply could not wait for."""
        self._handlers = handlers
        self._commands = commands
        self._settings = settings
        self._metrics = metrics
        self._keep = keep

    async def __call__(
        self, method: str, params: dict[str, Json]
    ) -> tuple[Json, dict[str, Json] | None]:
        """The result of one request, or its error object."""
        if method == "hook":
            return await self._hook(params), None
        try:
            handler = self._commands.get(method)
            if handler is None:
                return None, {"code": _UNKNOWN_METHOD, "message": f"no such method: {method[:80]}"}
            return await handler(params), None
        except MemoryFault as fault:
            code = next(code for kind, code in _CODES if isinstance(fault, kind))
            return None, {"code": code, "message": str(fault)}
        except Exception as error:  # noqa: BLE001 - the boundary; the traceback is logged
            _log.exception("Memory plugin error: %s failed", method)
            self._metrics.count(catalog.ERRORS, tags={"where": "dispatch"})
            return None, {"code": _INTERNAL, "message": f"{type(error).__name__}: {error}"}

    async def _hook(self, params: dict[str, Json]) -> Json:
        began = time.perf_counter()
        named = params.get("name")
        name = contract.HOOKS.get(named, "") if isinstance(named, str) else ""
        chat = name in {"chat:start", "context:replay"}
        deadline = self._settings.chat_deadline if chat else self._settings.hook_deadline
        try:
            if chat:
                async with asyncio.timeout(deadline):
                    reply = await self._handlers.handle(name, params)
            else:
                reply = await self._written(name, params, deadline)
        except InvalidRequest as fault:
            reply = Reply(Outcome.INVALID, note=str(fault))
        except TimeoutError:
            _log.warning("Memory plugin error: %s took more than %.3f s", name, deadline)
            reply = Reply(Outcome.FAILED, note=f"not done within {deadline:g} s")
        except MemoryFault as fault:
            _log.warning("Memory plugin error: %s: %s: %s", name, type(fault).__name__, fault)
            reply = Reply(Outcome.FAILED, note=str(fault))
        except Exception as error:  # noqa: BLE001 - the boundary; the traceback is logged
            _log.exception("Memory plugin error: %s failed", name)
            reply = Reply(Outcome.FAILED, note=f"{type(error).__name__}: {error}")
        tags = {"hook": name or "unknown", "outcome": str(reply.outcome)}
        self._metrics.count(catalog.HOOK_COUNT, tags=tags)
        spent = (time.perf_counter() - began) * 1000
        self._metrics.distribution(catalog.HOOK_DURATION, spent, tags=tags)
        return reply.json()

    async def _written(self, name: str, params: dict[str, Json], deadline: float) -> Reply:
        """The reply to a hook that writes. What the reply could not wait for is still finished.

        Half a write must not be: on disk, and what was cached about its paths still given out.
        """
        work = asyncio.Task(
            self._handlers.handle(name, params),
            loop=asyncio.get_running_loop(),
            name=name,
            eager_start=True,
        )
        if not work.done():
            await asyncio.wait({work}, timeout=deadline)
        if not work.done():
            self._keep(work)
            raise TimeoutError
        return work.result()
