"""The command contract, stated once: addresses, deadlines, exit statuses, the line protocol. Pure.

Imported by the thin client at every call: nothing but what is built in and `wire`.
"""

from binascii import crc32

from memory_manager import wire
from memory_manager.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: Exit statuses of every command.
DONE, FAILED, MALFORMED, UNAVAILABLE = 0, 1, 2, 3

#: Error codes of the line protocol. Every other one is a failure.
INVALID_PARAMS, NOT_AVAILABLE, REJECTED = -32602, -32001, -32002

#: Longest line of the socket protocol, in bytes, the line feed included.
LINE_LIMIT = 8 * 1024 * 1024

#: Longest body of one raw event, in bytes of UTF-8 (`spec.md`, section 5).
BODY_LIMIT = 1024 * 1024

#: Bytes that a Unix socket's path may hold on every platform we support.
SOCKET_PATH_LIMIT = 103

#: Seconds that each method may take in all, the start of a bridge included.
DEADLINES = {
    "query": 10.0,
    "store": 30.0,
    "entities": 30.0,
    "export": 300.0,
    "ingest": 30.0,
    "event": 30.0,
    "ping": 15.0,
}

#: Seconds that a method which can go to the spool instead waits for a starting bridge.
START_WAIT = 5.0

#: Seconds for the way into the spool without a bridge; for many events at once.
APPEND_DEADLINE, BULK_DEADLINE = 2.0, 20.0

#: The deadlines of hooks: variable and default, in ms, and the range that counts as meant.
CHAT_DEADLINE = ("OPENCODE_MEM_CHAT_DEADLINE_MS", 800)
HOOK_DEADLINE = ("OPENCODE_MEM_HOOK_DEADLINE_MS", 250)
DEADLINE_RANGE_MS = (20, 60_000)

HOOKS = {
    "chat:start": "chat:start",
    "chat_start": "chat:start",
    "chat-start": "chat:start",
    "chat.message": "chat:start",
    "file:write": "file:write",
    "file_write": "file:write",
    "file-write": "file:write",
    "tool.execute.after": "file:write",
    "file.edited": "file:write",
    "error": "error",
    "session.error": "error",
    "completion": "completion",
    "session.idle": "completion",
    "context:replay": "context:replay",
}
"""Every accepted spelling of a hook, and its name."""

OUTCOMES = (
    "injected", "cached", "empty", "accepted", "duplicate", "disabled", "invalid", "failed",
)  # fmt: skip


def data_dir(env: "Mapping[str, str]") -> str:
    """The project's data folder: `OPENCODE_MEM_DATA_DIR`, else under the XDG data folder."""
    named = env.get("OPENCODE_MEM_DATA_DIR")
    if named:
        return named
    share = env.get("XDG_DATA_HOME", "")
    if not share.startswith("/"):  # the XDG specification: a relative one counts as unset
        share = (env.get("HOME") or "") + "/.local/share"
    return f"{share}/opencode-mem"


def spool_path(env: "Mapping[str, str]") -> str:
    """The spool's file: the path of `SPOOL_URL` (`sqlite:////path`), else in the data folder.

    Raises:
        InvalidRequest: the URL names no absolute path.
    """
    url = env.get("SPOOL_URL", "")
    if fault := fault_of_spool(url):
        raise InvalidRequest(f"SPOOL_URL={url}: {fault}")
    return url.removeprefix("sqlite:///") if url else f"{data_dir(env)}/spool.sqlite3"


def fault_of_spool(url: str) -> str:
    """Why this is no place for the spool, and the mend; "" when it is, or when it is not set."""
    if not url or (url.startswith("sqlite:////") and url.strip("/") != "sqlite:"):
        return ""
    path = url.removeprefix("sqlite:").lstrip("/")
    if not url.startswith("sqlite:///") or not path:
        return "give a file's URL, as in sqlite:////srv/spool.sqlite3"
    return (
        f"a relative path (the bridge runs elsewhere); four slashes are absolute: sqlite:////{path}"
    )


def socket_path(env: "Mapping[str, str]", uid: int) -> str:
    """The bridge's Unix socket: `OPENCODE_MEM_SOCKET`, else one for each data folder.

    The default's folder is below `XDG_RUNTIME_DIR`, else (also when that would be too long for a
    socket) a per-user one in the temporary directory; its name carries a checksum of the data
    folder, so that two never share a bridge.
    """
    named = env.get("OPENCODE_MEM_SOCKET")
    if named:
        return named
    name = f"{crc32(data_dir(env).encode('utf-8', 'surrogateescape')):08x}.sock"
    runtime = env.get("XDG_RUNTIME_DIR", "")
    temporary = env.get("TMPDIR") or "/tmp"  # noqa: S108 - a per-user folder, its owner and mode are checked before use
    for folder in (f"{runtime}/opencode-mem", f"{temporary}/opencode-mem-{uid}"):
        path = f"{folder}/{name}"
        if path.startswith("/") and not path.startswith("/opencode-mem") and _fits(path):
            return path
    return f"/tmp/opencode-mem-{uid}/{name}"  # noqa: S108 - as above


def fault_of_address(data: str, socket: str, spool_url: str = "") -> str:
    """Why these can't be used, in one line naming the variable; "" when they can."""
    if not data.startswith("/"):
        return f"OPENCODE_MEM_DATA_DIR={data}: give an absolute path (the bridge runs elsewhere)"
    if not socket.startswith("/"):
        return f"OPENCODE_MEM_SOCKET={socket}: give an absolute path (the bridge runs elsewhere)"
    if not _fits(socket):
        return (
            f"OPENCODE_MEM_SOCKET={socket}: a Unix socket's path holds {SOCKET_PATH_LIMIT} bytes; "
            "give a shorter one"
        )
    fault = fault_of_spool(spool_url)
    return f"SPOOL_URL={spool_url}: {fault}" if fault else ""


def hook_deadline(name: str, env: "Mapping[str, str]") -> tuple[float, str]:
    """Seconds that the hook `name` may take, and a note when a setting was of no use."""
    variable, default = CHAT_DEADLINE if HOOKS.get(name) == "chat:start" else HOOK_DEADLINE
    value = env.get(variable, "").strip()
    low, high = DEADLINE_RANGE_MS
    # Six digits are beyond the range, and int() need not look at a megabyte of them.
    if value.isascii() and value.isdigit() and low <= int(value[:6]) <= high:
        return int(value[:6]) / 1000, ""
    note = f"{variable}={value[:40]}: not a number from {low} to {high}; using {default}"
    return default / 1000, note if value else ""


def uuid7(seconds: float, noise: bytes) -> str:
    """The UUIDv7 of a time and ten random bytes: the id of an event that brings none."""
    stamp = int(seconds * 1000).to_bytes(6, "big")
    raw = bytearray(stamp + noise)
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def request_line(method: str, params: dict[str, object], id_: int = 1) -> bytes:
    """One JSON-RPC 2.0 request as a line."""
    message = {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}
    return wire.dumps(message).encode() + b"\n"


def reply_of(line: bytes) -> tuple[object, int, str]:
    """`(result, 0, "")` or `(None, error code, one line that says why)`."""
    try:
        message = wire.loads(line.decode())
    except ValueError as error:
        return None, FAILED, f"the bridge's reply is not JSON: {error}"
    if isinstance(message, dict) and "result" in message:
        return message["result"], 0, ""
    error_ = message.get("error") if isinstance(message, dict) else None
    if isinstance(error_, dict):
        code, why = error_.get("code"), error_.get("message")
        return None, code if isinstance(code, int) and code else FAILED, one_line(str(why))
    return None, FAILED, "the bridge's reply is neither a result nor an error"


def one_line(text: str, limit: int = 500) -> str:
    """`text` without line breaks and control characters, at most `limit` characters."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * limit])
    clean = " ".join(clean.split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _fits(path: str) -> bool:
    return len(path.encode("utf-8", "surrogateescape")) <= SOCKET_PATH_LIMIT
