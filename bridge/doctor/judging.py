"""What to think of what was seen: decisions without a look at anything. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.doctor.finding import Finding, fail, ok, skip, warn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memory_manager.model import Json

#: The oldest Python that this runs on.
OLDEST_PYTHON = (3, 12)
#: Free bytes below which the disk is called full, and nearly full.
FULL, NEARLY_FULL = 200 * 1024**2, 1024**3
#: A clock before this is not set (2025-01-01), and files may be this many seconds ahead of it.
CLOCK_BEGINS, CLOCK_SKEW = 1_735_689_600.0, 120.0
#: Seconds between our clock and the bridge's.
BRIDGE_SKEW = 2.0
#: Spools above this many bytes are not read through.
SMALL_SPOOL = 256 * 1024**2
#: Hosts that only this machine reaches.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_OPEN_MODES = 0o077
_SETUP = "./dev setup (or: pip install --upgrade opencode-graph-memory)"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it was seen: its owner's number, its mode, whether we may write into it."""

    owner: int
    mode: int
    writable: bool


def python(version: tuple[int, ...], executable: str) -> Finding:
    """The interpreter."""
    seen = f"{'.'.join(map(str, version[:3]))} at {executable}"
    if version < OLDEST_PYTHON:
        return fail("python", seen, "run it with Python 3.12 or newer")
    return ok("python", seen)


def packages(versions: Mapping[str, str | None]) -> Finding:
    """The libraries that we can't do without; None: not installed."""
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        return fail("packages", f"missing: {', '.join(missing)}", _SETUP)
    return ok("packages", ", ".join(f"{name} {version}" for name, version in versions.items()))


def settings(fault: str) -> Finding:
    """`fault` is the explanation of the first bad setting, "" when there is none."""
    if fault:
        return fail(
            "settings", fault, "correct or unset the variable; opencode-mem settings lists all"
        )
    return ok("settings", "valid")


def data_folder(path: str, seen: Folder | None, us: int) -> Finding:
    """The folder that holds everything; `seen` None: it is not there."""
    name = "data folder"
    if seen is None:
        return warn(name, f"{path} is not there yet", "nothing to do: the bridge makes it")
    if seen.owner != us:
        return fail(
            name,
            f"{path} belongs to user {seen.owner}",
            f"chown -R {us} '{path}', or set OPENCODE_MEM_DATA_DIR",
        )
    if not seen.writable:
        return fail(name, f"{path} is not writable", f"chmod u+rwx '{path}'")
    if seen.mode & _OPEN_MODES:
        return warn(name, f"{path} is open to others (mode {seen.mode:o})", f"chmod 700 '{path}'")
    return ok(name, f"{path}, mode {seen.mode:o}")


def disk(free: int, total: int) -> Finding:
    """The room where the data folder is."""
    seen = f"{free / 1024**3:.1f} of {total / 1024**3:.0f} GiB free"
    mend = "free some space; OPENCODE_MEM_MAX_STORAGE_MB bounds the spool"
    if free < FULL:
        return fail("disk", seen, mend)
    if free < NEARLY_FULL:
        return warn("disk", seen, mend)
    return ok("disk", seen)


def clock(now: float, newest_file: float | None, bridge_now: float | None) -> Finding:
    """Our clock, against files that were written and against the bridge's.

    Args:
        now: seconds since the epoch.
        newest_file: when the newest file of the data folder was changed.
        bridge_now: what the bridge's clock said at that moment.
    """
    mend = "set the clock (timedatectl set-ntp true); times in the memory depend on it"
    if now < CLOCK_BEGINS:
        return fail("clock", "before 2025", mend)
    if newest_file is not None and newest_file - now > CLOCK_SKEW:
        return fail("clock", f"{newest_file - now:.0f} s behind files of the data folder", mend)
    if bridge_now is not None and abs(bridge_now - now) > BRIDGE_SKEW:
        return fail("clock", f"{abs(bridge_now - now):.0f} s from the bridge's", mend)
    return ok("clock", "sane" if bridge_now is None else "sane, the same as the bridge's")


def leftovers(
    socket: str, *, there: bool, listens: bool, locked: bool, orphans: Sequence[str]
) -> Finding:
    """What bridges leave behind: a socket without a listener, a lock without a socket.

    `orphans` are sockets of engines that answer although no bridge does.
    """
    name = "sockets and locks"
    if listens and locked:
        return ok(name, f"{socket}, lock held by its bridge")
    if listens:
        return fail(
            name,
            f"something listens at {socket} without the data folder's lock",
            "it works in another folder: make OPENCODE_MEM_DATA_DIR the same for all, then opencode-mem stop",
        )
    if locked:
        return fail(
            name,
            f"a bridge holds the data folder's lock and does not listen at {socket}",
            "make OPENCODE_MEM_SOCKET the same for all; or end the hung process (pgrep -f 'bridge serve')",
        )
    if orphans:
        return warn(
            name,
            f"engines answer without a bridge: {', '.join(orphans)}",
            "they end by themselves within seconds; if not, end them by their pid",
        )
    if there:
        return warn(name, f"stale socket {socket}", "nothing to do: the next bridge replaces it")
    return ok(name, "none left behind")


def bridge(identity: Mapping[str, Json] | None, ours: str, why: str) -> Finding:
    """Whether it answers, and its version; `why` it does not."""
    if identity is None:
        return warn(
            "bridge", why, "opencode-mem doctor --start; any use of the memory starts it too"
        )
    version = identity.get("version")
    if version != ours:
        return fail(
            "bridge",
            f"version {version}, this command is {ours}",
            "opencode-mem stop; the next use starts this version",
        )
    return ok("bridge", f"version {version}, pid {identity.get('pid')}")


def degradation(word: Json) -> Finding:
    """The one word for how much of it works."""
    mends = {
        "no-cache": "see the check `cache`: answers are slower, nothing else",
        "no-graph": "see the check `canary`: answers come from the spool alone",
        "spool-only": "see the checks `cache` and `canary`: nothing is lost, answers are poor",
    }
    if word == "live":
        return ok("degradation", "live")
    mend = mends.get(str(word), "opencode-mem status, and the log in the data folder")
    return warn("degradation", str(word), mend)


def worker(pid: Json, *, alive: bool) -> Finding:
    """The process that flushes."""
    mend = "see log/worker.log in the data folder; opencode-mem stop and any use starts it anew"
    if not isinstance(pid, int):
        return fail("flush worker", "not running", mend)
    if not alive:
        return fail("flush worker", f"pid {pid} is gone", mend)
    return ok("flush worker", f"pid {pid}")


def hook(status: int, outcome: Json, took_ms: float, complaint: str) -> Finding:
    """A hook call by the command that the plugin runs."""
    seen = f"{outcome or 'no reply'} in {took_ms:.0f} ms"
    if outcome == "disabled":
        return warn("hook", "disabled", "unset OPENCODE_MEM_DISABLED to switch the memory on")
    if status or outcome != "accepted":
        return fail(
            "hook",
            f"{seen} {complaint}".strip(),
            "run memory_manager.py ensure and read its message",
        )
    return ok("hook", seen)


def spool(
    *, path: str, fault: str, size: int, faults: Sequence[str] | None, writable: bool
) -> Finding:
    """The spool's file. `faults` is what its integrity check found, None when it was not run."""
    if fault:
        return fail("spool", fault, "the message names the mend; what is in the graph stays")
    if not writable:
        return fail("spool", f"{path} is not writable", f"chmod u+rw '{path}' and its folder")
    if faults:
        mend = f"opencode-mem stop, then: sqlite3 '{path}' .recover"
        return fail("spool", f"damaged: {faults[0]}", mend)
    seen = f"{size / 1024**2:.1f} MiB, "
    return ok("spool", seen + ("sound" if faults is not None else "too large to be read through"))


def canary(answer: Mapping[str, Json] | None, why: str) -> Finding:
    """A memory that was stored, found and removed again, or why not."""
    if answer is None:
        return fail("canary", why, "see the checks above, log/bridge.log and log/worker.log")
    return ok(
        "canary",
        f"spooled in {answer.get('spooled_ms')} ms, in the graph after {answer.get('stored_ms')} ms, "
        f"found in {answer.get('found_ms')} ms, removed",
    )


def cache(address: str, fault: str) -> Finding:
    """A value set, got and expired, or what went wrong."""
    if fault:
        return fail(
            "cache",
            f"{address}: {fault}",
            "start that Valkey, correct VALKEY_URL, or unset it for the embedded one",
        )
    return ok("cache", f"{address}: set, got, expired")


def metrics(*, enabled: bool, address: str, fault: str, asked_for: bool) -> Finding:
    """DogStatsD. `asked_for`: a variable names the agent, so somebody expects one."""
    if not enabled:
        return ok("metrics", "switched off (OPENCODE_MEM_METRICS)")
    if not fault:
        return ok("metrics", f"{address} takes datagrams")
    mend = (
        "start the agent, correct DD_AGENT_HOST or DD_DOGSTATSD_URL, or set OPENCODE_MEM_METRICS=0"
    )
    said = f"{address}: {fault}"
    return fail("metrics", said, mend) if asked_for else warn("metrics", said, mend)


def opencode_database(path: str, *, exists: bool, fault: str) -> Finding:
    """OpenCode's own database, from which history is read."""
    name = "opencode database"
    if not exists:
        return warn(
            name, f"{path} is not there", "run OpenCode once, or set OPENCODE_DB to its file"
        )
    if fault:
        return fail(name, f"{path}: {fault}", "mend its permissions, or set OPENCODE_DB")
    return ok(name, f"{path} readable")


def opencode(path: str | None, said: str) -> Finding:
    """OpenCode on PATH and its version."""
    if path is None:
        return warn("opencode", "not on PATH", "install OpenCode, or add it to PATH")
    found = re.search(r"\d+(\.\d+)+", said)
    if found is None:
        return warn("opencode", f"{path} does not tell its version", f"run '{path} --version'")
    return ok("opencode", f"{found[0]} at {path}")


def http(url: Json, port: int | None, fault: str) -> Finding:
    """The page's port. `fault` is why it did not answer as it should."""
    mend = "opencode-mem stop, then opencode-mem open; or set OPENCODE_MEM_PORT=0"
    if isinstance(url, str) and url:
        if urlsplit(url).hostname not in LOOPBACK:
            return fail("http", f"{url} is not on the loopback interface", mend)
        return fail("http", f"{url}: {fault}", mend) if fault else ok("http", f"{url} answers")
    if fault:
        return fail("http", fault, "set OPENCODE_MEM_PORT to a free port, or to 0")
    if port is not None:
        return warn("http", f"port {port} is set and nothing listens", mend)
    return ok("http", "off (opencode-mem open starts it)")


def unreachable(name: str, why: str) -> Finding:
    """A check that needs the bridge, without one."""
    return skip(name, f"needs the bridge: {why}")
