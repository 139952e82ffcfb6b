"""The operator's side of the socket: asks the resident bridge, starting it when none runs."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_manager import client, contract
from memory_manager.errors import InvalidRequest, MemoryFault, Rejected, Unavailable

if TYPE_CHECKING:
    from memory_manager.model import Json

_FAULTS: dict[int, type[MemoryFault]] = {
    contract.INVALID_PARAMS: InvalidRequest,
    contract.NOT_AVAILABLE: Unavailable,
    contract.REJECTED: Rejected,
}


@dataclass(frozen=True, slots=True)
class Bridge:
    """The bridge at one socket."""

    socket: str

    @classmethod
    def from_environment(cls) -> Bridge:
        """The bridge of this user's environment."""
        return cls(contract.socket_path(os.environ, os.getuid()))

    def ask(self, method: str, params: dict[str, Json], *, deadline: float = 30.0) -> Json:
        """The result of one request.

        Args:
            method: of the line protocol.
            params: its parameters.
            deadline: seconds.

        Raises:
            MemoryFault: what the bridge answered, or `Unavailable` when it did not.
        """
        line = contract.request_line(method, dict(params))
        answer = json.loads(client.ask(self.socket, line, time.monotonic() + deadline))
        error = answer.get("error")
        if error is not None:
            raise _FAULTS.get(error["code"], MemoryFault)(error["message"])
        result: Json = answer.get("result")
        return result

    def stop(self, *, deadline: float = 30.0) -> None:
        """End it and wait until it is gone.

        Raises:
            Unavailable: none is running, or it did not end in time.
        """
        identity = self.ask("ping", {})
        self.ask("stop", {})
        pid = identity["pid"] if isinstance(identity, dict) else None
        until = time.monotonic() + deadline
        while isinstance(pid, int) and _alive(pid):
            if time.monotonic() > until:
                raise Unavailable(f"the bridge (pid {pid}) has not ended yet")
            time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
