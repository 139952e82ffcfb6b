"""One call, whatever the state of the bridge: asked, started first, or written to the spool.

Imported at every call, like `client.py`: what is heavy is imported only when it is needed.
"""

import os
import time

from memory_manager import client, contract
from memory_manager.errors import InvalidRequest, MemoryFault, Rejected, Unavailable

#: Methods whose event can go to the spool without a bridge.
_SPOOLED = ("store", "ingest", "hook", "event")

#: The hook that writes nothing.
_REPLAY = "context:replay"

#: What an error code of the bridge means here; every other one is `Rejected`.
_ERRORS: dict[int, type[MemoryFault]] = {
    contract.INVALID_PARAMS: InvalidRequest,
    contract.NOT_AVAILABLE: Unavailable,
}


def call(
    method: str, params: dict[str, object], began: float, deadline: float
) -> tuple[object, str]:
    """What the bridge answers, started if need be; a write goes to the spool when there is none.

    Args:
        method: the method.
        params: its parameters.
        began: the monotonic time at which the command began.
        deadline: seconds that it may take in all.

    Returns:
        The result, and a note for the person when it is not the bridge's.

    Raises:
        InvalidRequest: the request is malformed, or a setting is.
        Unavailable: there is no bridge, or no answer in time.
        Rejected: the bridge refuses, failed, or may not be talked to.
    """
    data = contract.data_dir(os.environ)
    path = contract.socket_path(os.environ, os.getuid())
    if fault := contract.fault_of_address(data, path, os.environ.get("SPOOL_URL", "")):
        raise InvalidRequest(fault)
    line = contract.request_line(method, params)
    if len(line) > contract.LINE_LIMIT:
        raise InvalidRequest(f"{method}: more than {contract.LINE_LIMIT} bytes; send it in parts")
    until = began + deadline
    try:
        try:
            reply = client.ask(path, line, until)
        except client.Absent:
            from memory_manager import starting  # noqa: PLC0415 - heavy, and rarely needed

            start_until = min(until, began + contract.START_WAIT) if method in _SPOOLED else until
            reply = starting.ask(data, path, line, until, start_until)
        result, code, why = contract.reply_of(reply)
    except (Unavailable, Rejected) as error:
        if method not in _SPOOLED:
            raise
        result, code, why = None, contract.NOT_AVAILABLE, str(error)
    if code == contract.NOT_AVAILABLE and method in _SPOOLED and params.get("name") != _REPLAY:
        return _spooled(method, params, began), f"{why}; the event waits in the spool"
    if code:
        raise _ERRORS.get(code, Rejected)(why)
    return result, ""


def _spooled(method: str, params: dict[str, object], began: float) -> object:
    from memory_manager import starting  # noqa: PLC0415 - heavy, and rarely needed

    left = contract.BULK_DEADLINE if method == "event" else contract.APPEND_DEADLINE
    if method == "hook":
        left = max(left / 2, left - (time.monotonic() - began))
    return starting.append(method, params, left)
