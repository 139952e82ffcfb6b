"""The checks, one after the other. None of them raises, and none needs the bridge to be up."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from pydantic import ValidationError

from bridge.asking import Bridge, alive
from bridge.doctor import installed, judging, judging_plugin, knocking, probing
from bridge.doctor.finding import Finding, Verdict, fail, skip
from bridge.sandbox import SCRIPT
from bridge.server import sockets_folder
from bridge.settings import BridgeSettings
from bridge.settings_table import explained
from memory_manager import __version__, client, contract
from memory_manager.errors import MemoryFault
from memory_manager.settings import MemorySettings
from metrics.settings import MetricsSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from memory_manager.model import Json

#: Seconds for a question, and for the canary's whole way.
_ASK_S, _CANARY_S = 5.0, 60.0
#: Libraries that nothing works without.
PACKAGES = (
    "graphiti-core", "falkordb", "valkey", "datadog", "pydantic", "pydantic-settings",
    "google-re2", "numpy", "tokenizers",
)  # fmt: skip
#: Variables that say that somebody runs an agent.
_AGENT = ("DD_AGENT_HOST", "DD_DOGSTATSD_URL", "DD_DOGSTATSD_PORT")


@dataclass(slots=True)
class Patient:
    """What is examined, and what earlier checks have found out about it."""

    environment: Mapping[str, str]
    data: Path
    address: Bridge
    fault: str = ""
    nowhere: str = ""
    memory: MemorySettings | None = None
    bridge: BridgeSettings | None = None
    metrics: MetricsSettings | None = None
    identity: dict[str, Json] | None = None
    status: dict[str, Json] = field(default_factory=dict)
    why: str = ""
    installed: installed.Found | None = None


def examine(told: Callable[[int], None] = lambda _: None, *, start: bool = False) -> list[Finding]:
    """Everything, in an order in which a reader understands it.

    Args:
        told: is told how many checks are done.
        start: start a bridge when none runs.
    """
    patient = _admitted(start=start)
    findings: list[Finding] = []
    for name, check in CHECKS.items():
        findings.append(_checked(name, check, patient))
        told(len(findings))
    return findings


def _checked(name: str, check: Callable[[Patient], Finding], patient: Patient) -> Finding:
    try:
        return check(patient)
    except Exception as error:  # noqa: BLE001 - a doctor who faints is of no use; the error is the finding
        said = contract.one_line(f"{type(error).__name__}: {error}")
        return fail(name, f"could not be checked: {said}", "this is a bug; please report the line")


def _admitted(*, start: bool) -> Patient:
    environment = dict(os.environ)
    data = contract.data_dir(environment)
    address = Bridge(contract.socket_path(environment, os.getuid()), data)
    patient = Patient(environment, Path(data), address)
    try:
        patient.memory = MemorySettings()
        patient.bridge = BridgeSettings()
        patient.metrics = MetricsSettings()
    except ValidationError as error:
        patient.fault = explained(error).removeprefix("opencode-mem: ")
    patient.nowhere = contract.fault_of_address(data, address.socket)
    patient.fault = patient.fault or patient.nowhere
    if patient.fault:
        patient.why = "the settings are not valid"
        return patient
    try:
        patient.identity = address.asked("ping", deadline=_ASK_S * (4 if start else 1), start=start)
        patient.status = address.asked("status", deadline=_ASK_S, start=False)
    except client.Absent:
        patient.why = "none is running"
    except MemoryFault as fault:
        patient.why = str(fault)
    return patient


def _python(_: Patient) -> Finding:
    return judging.python(sys.version_info[:3], sys.executable)


def _packages(_: Patient) -> Finding:
    return judging.packages(probing.package_versions(PACKAGES))


def _settings(patient: Patient) -> Finding:
    return judging.settings(patient.fault)


def _data_folder(patient: Patient) -> Finding:
    return judging.data_folder(str(patient.data), probing.folder(patient.data), os.getuid())


def _disk(patient: Patient) -> Finding:
    return judging.disk(*probing.room(patient.data))


def _clock(patient: Patient) -> Finding:
    theirs: Json = None
    if patient.identity is not None:
        with suppress(MemoryFault):
            theirs = patient.address.asked("clock", deadline=_ASK_S, start=False).get("now")
    newest = probing.newest_file(patient.data)
    return judging.clock(time.time(), newest, theirs if isinstance(theirs, int | float) else None)


def _leftovers(patient: Patient) -> Finding:
    if patient.nowhere:
        return skip("sockets and locks", patient.why)
    socket = Path(patient.address.socket)
    listens = probing.listens(socket)
    engines = [] if listens else sorted(sockets_folder(socket).glob("*.sock"))
    return judging.leftovers(
        str(socket),
        there=socket.exists(),
        listens=listens,
        locked=probing.locked(patient.data / "bridge.lock"),
        orphans=[str(engine) for engine in engines if probing.listens(engine)],
    )


def _bridge(patient: Patient) -> Finding:
    return judging.bridge(patient.identity, __version__, patient.why)


def _degradation(patient: Patient) -> Finding:
    if not patient.status:
        return judging.unreachable("degradation", patient.why)
    return judging.degradation(patient.status.get("degradation"))


def _worker(patient: Patient) -> Finding:
    if not patient.status:
        return judging.unreachable("flush worker", patient.why)
    pid = patient.status.get("worker")
    return judging.worker(pid, alive=isinstance(pid, int) and alive(pid))


def _hook(patient: Patient) -> Finding:
    if patient.identity is None:
        return judging.unreachable("hook", patient.why)
    script = Path(patient.environment.get("MEMORY_SCRIPT") or SCRIPT)
    return judging.hook(*knocking.hook(script, patient.environment))


def _spool(patient: Patient) -> Finding:
    if patient.memory is None:
        return skip("spool", patient.why)
    path = patient.memory.spool_path
    if not path.exists():
        return skip("spool", f"{path} is not there yet")
    fault, size, faults, writable = probing.spool(path, judging.SMALL_SPOOL)
    return judging.spool(path=str(path), fault=fault, size=size, faults=faults, writable=writable)


def _cache(patient: Patient) -> Finding:
    if patient.bridge is None:
        return skip("cache", patient.why)
    settings = patient.bridge
    if not settings.embedded_cache:
        url = settings.valkey_url or f"redis://{settings.valkey_host}:{settings.valkey_port}"
        return judging.cache(url.rpartition("@")[2], knocking.cache_fault(url))
    if patient.identity is None:
        return judging.unreachable("cache", patient.why)
    engines = patient.status.get("engines")
    if isinstance(engines, dict) and "valkey" not in engines:
        return judging.cache("embedded", "no embedded Valkey on this platform (./dev setup)")
    socket = sockets_folder(Path(patient.address.socket)) / "valkey.sock"
    return judging.cache("embedded", knocking.cache_fault(f"unix://{socket}"))


def _canary(patient: Patient) -> Finding:
    if patient.identity is None:
        return judging.unreachable("canary", patient.why)
    try:
        return judging.canary(patient.address.asked("canary", deadline=_CANARY_S, start=False), "")
    except MemoryFault as fault:
        return judging.canary(None, str(fault))


def _metrics(patient: Patient) -> Finding:
    settings = patient.metrics
    if settings is None:
        return skip("metrics", patient.why)
    return judging.metrics(
        enabled=settings.enabled,
        address=settings.socket_path or f"{settings.host}:{settings.port}",
        fault=knocking.datagram_fault(settings) if settings.enabled else "",
        asked_for=any(patient.environment.get(name) for name in _AGENT),
    )


def _opencode_database(patient: Patient) -> Finding:
    path = probing.opencode_database(patient.environment)
    there = path.exists()
    fault = probing.opencode_fault(path) if there else ""
    return judging.opencode_database(str(path), exists=there, fault=fault)


def _opencode(patient: Patient) -> Finding:
    path = which("opencode", path=patient.environment.get("PATH"))
    return judging.opencode(path, probing.opencode_version(path) if path else "")


def _installed(patient: Patient) -> installed.Found:
    if patient.installed is None:
        database = probing.opencode_database(patient.environment)
        patient.installed = installed.look(patient.environment, database)
    return patient.installed


def _config(patient: Patient) -> Finding:
    return judging_plugin.config(_installed(patient))


def _plugin(patient: Patient) -> Finding:
    return judging_plugin.plugin(_installed(patient), __version__)


def _projects(patient: Patient) -> Finding:
    return judging_plugin.projects(_installed(patient))


def _opencode_start(patient: Patient) -> Finding:
    return judging_plugin.start(_installed(patient))


def _http(patient: Patient) -> Finding:
    if patient.bridge is None:
        return skip("http", patient.why)
    port = patient.bridge.port
    url = patient.identity.get("url") if patient.identity else None
    if isinstance(url, str) and url:
        return judging.http(url, port, knocking.http_fault(url))
    if patient.identity is None and port and knocking.taken(port):
        return judging.http(None, port, f"port {port} is taken by another program")
    return judging.http(None, port if patient.identity else None, "")


#: Every check by name, in the order of the report.
CHECKS: dict[str, Callable[[Patient], Finding]] = {
    "python": _python,
    "packages": _packages,
    "settings": _settings,
    "data folder": _data_folder,
    "disk": _disk,
    "clock": _clock,
    "sockets and locks": _leftovers,
    "bridge": _bridge,
    "degradation": _degradation,
    "flush worker": _worker,
    "hook": _hook,
    "spool": _spool,
    "cache": _cache,
    "canary": _canary,
    "metrics": _metrics,
    "opencode database": _opencode_database,
    "opencode": _opencode,
    "opencode config": _config,
    "plugin": _plugin,
    "plugin in projects": _projects,
    "opencode start": _opencode_start,
    "http": _http,
}

#: What makes `doctor` end with status 1.
BROKEN = frozenset({Verdict.FAIL})
