"""The operator's side of the socket: asks the resident bridge, starting it where that is wanted."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from memory_manager import client, contract, starting
from memory_manager.errors import InvalidRequest, MemoryFault, Rejected, Unavailable

if TYPE_CHECKING:
    from memory_manager.model import Json

_FAULTS: dict[int, type[MemoryFault]] = {
    contract.INVALID_PARAMS: InvalidRequest,
    contract.NOT_AVAILABLE: Unavailable,
    contract.REJECTED: Rejected,
}
_UNKNOWN_METHOD = -32601

#: Seconds that a bridge may take to come up.
_START_S = 15.0


@dataclass(frozen=True, slots=True)
class Bridge:
    """The bridge at one socket; `data` is the folder that a new one would work in."""

    socket: str
    data: str

    @classmethod
    def from_environment(cls) -> Bridge:
        """The bridge of this user's environment.

        Raises:
            InvalidRequest: a variable holds an address of no use.
        """
        data = contract.data_dir(os.environ)
        socket = contract.socket_path(os.environ, os.getuid())
        if fault := contract.fault_of_address(data, socket, os.environ.get("SPOOL_URL", "")):
            raise InvalidRequest(fault)
        return cls(socket, data)

    def ask(
        self,
        method: str,
        params: dict[str, Json] | None = None,
        *,
        deadline: float = 30.0,
        start: bool = False,
    ) -> Json:
        """The result of one request.

        Args:
            method: of the line protocol.
            params: its parameters.
            deadline: seconds.
            start: start a bridge when none runs.

        Raises:
            MemoryFault: what the bridge answered, or `Unavailable` when it did not.
        """
        line = contract.request_line(method, dict(params or {}))
        began = time.monotonic()
        try:
            answer = client.ask(self.socket, line, began + deadline)
        except client.Absent:
            if not start:
                raise
            until = began + _START_S
            answer = starting.ask(self.data, self.socket, line, began + deadline, until)
        result, code, why = contract.reply_of(answer)
        if code == _UNKNOWN_METHOD:
            raise Rejected(f"{why}; a bridge of another version runs: end it (opencode-mem stop)")
        if code:
            raise _FAULTS.get(code, MemoryFault)(why)
        return cast("Json", result)

    def asked(
        self,
        method: str,
        params: dict[str, Json] | None = None,
        *,
        deadline: float = 30.0,
        start: bool = True,
    ) -> dict[str, Json]:
        """The same for a method whose result is an object; starts a bridge unless told not to.

        Raises:
            MemoryFault: as `ask`; also when the result is something else.
        """
        result = self.ask(method, params, deadline=deadline, start=start)
        if not isinstance(result, dict):
            raise MemoryFault(f"{method}: the bridge's answer is not an object")
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
        while isinstance(pid, int) and alive(pid):
            if time.monotonic() > until:
                raise Unavailable(f"the bridge (pid {pid}) has not ended yet")
            time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process of this number is there, whoever's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
