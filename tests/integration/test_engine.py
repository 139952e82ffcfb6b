"""The embedded servers: they come up, keep their data, come back, and never outlive their owner."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memory_manager import engine_spec
from memory_manager.engine import Engine, EngineState, pause
from memory_manager.engine_spec import (
    EngineSpec,
    falkordb_binaries,
    falkordb_spec,
    valkey_binary,
    valkey_spec,
)
from memory_manager.errors import Corrupt, InvalidRequest, Unavailable

pytestmark = pytest.mark.engine

REPOSITORY = Path(__file__).parents[2]

#: A stand-in for the bridge: starts one engine, prints both pids' facts, waits to be killed.
OWNER = """
import asyncio, sys
from pathlib import Path
from memory_manager.engine import Engine
from memory_manager.engine_spec import falkordb_binaries, falkordb_spec
from memory_manager.errors import Unavailable

async def main(data, sockets, leash, patience):
    engine = Engine(falkordb_spec(falkordb_binaries(), Path(data), Path(sockets)), leash=leash)
    try:
        await engine.start(patience=float(patience))
    except Unavailable as fault:
        print("unavailable", fault, flush=True)
        return
    print("ready", engine.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


def falkordb(folder: Path) -> EngineSpec:
    return falkordb_spec(falkordb_binaries(), folder / "data" / "falkordb", folder / "s")


def valkey(folder: Path) -> EngineSpec:
    return valkey_spec(valkey_binary(), folder / "data" / "valkey", folder / "s")


async def ask(socket: Path, *words: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    writer.write(f"*{len(words)}\r\n{parts}".encode())
    answer = await asyncio.wait_for(reader.read(65536), 10)
    writer.close()
    await writer.wait_closed()
    return answer


async def until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # An orphan's corpse waits for PID 1, which may be slow to bury it.
        status = Path(f"/proc/{pid}/stat").read_text()
        return status.rpartition(") ")[2][0] not in "ZX"
    return sys.platform != "linux"


def proc(pid: int | None, name: str) -> bytes:
    path = Path(f"/proc/{pid}/{name}")
    return path.read_bytes() if path.exists() else b""


def open_files(pid: int | None) -> set[str] | None:
    folder = Path(f"/proc/{pid}/fd")
    return {str(link.resolve()) for link in folder.iterdir()} if folder.exists() else None


def inheritor(descriptor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], pass_fds=(descriptor,))


def owner(folder: Path, *, leash: str = "signal", patience: float = 10) -> subprocess.Popen[str]:
    where = [str(folder / "data" / "falkordb"), str(folder / "s"), leash, str(patience)]
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, *where],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize("spec_of", [falkordb, valkey])
async def test_an_engine_answers_once_started_and_is_gone_once_stopped(spec_of, own_folders):
    seen: list[EngineState] = []
    engine = Engine(spec_of(own_folders), on_state=lambda _name, state: seen.append(state))
    await engine.start()
    pid = engine.pid
    try:
        assert await ask(engine.spec.socket, "PING") == b"+PONG\r\n"
        assert pid is not None
        assert os.getpgid(pid) != os.getpgid(0), "a terminal's Ctrl-C must not reach it"
    finally:
        await engine.stop()
    assert seen == [EngineState.STARTING, EngineState.READY, EngineState.STOPPED]
    assert not alive(pid)
    assert not engine.spec.socket.exists()
    await engine.stop()
    await engine.start()
    await engine.stop()


async def test_sockets_are_private_and_files_stay_in_our_folders(own_folders, tmp_path):
    engines = [Engine(falkordb(own_folders)), Engine(valkey(own_folders))]
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    try:
        for engine in engines:
            await engine.start()
            assert stat.S_IMODE(engine.spec.socket.stat().st_mode) == 0o600
            assert stat.S_IMODE(engine.spec.socket.parent.stat().st_mode) == 0o700
            for path in engine.spec.data.rglob("*"):
                assert path.stat().st_mode & 0o077 == 0, path
        assert (own_folders / "data" / "falkordb" / "graphblas").is_dir()
        # No key of ours shows in a child's environment.
        assert b"HOME=" not in proc(engines[0].pid, "environ")
    finally:
        for engine in engines:
            await engine.stop()
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    assert [path.name for path in (own_folders / "data" / "valkey").iterdir()] != []
    assert not list((own_folders / "data" / "valkey").glob("*.rdb"))


async def test_valkey_is_a_bounded_cache(own_folders):
    engine = Engine(valkey(own_folders))
    await engine.start()
    try:
        assert b"allkeys-lru" in await ask(engine.spec.socket, "CONFIG", "GET", "maxmemory-policy")
        assert b"67108864" in await ask(engine.spec.socket, "CONFIG", "GET", "maxmemory")
    finally:
        await engine.stop()


@pytest.mark.parametrize("leash", ["signal", "guard"])
async def test_a_killed_engine_comes_back_with_its_data(leash, own_folders):
    seen: list[EngineState] = []
    engine = Engine(
        falkordb(own_folders), on_state=lambda _, state: seen.append(state), leash=leash
    )
    await engine.start()
    try:
        for number in range(50):
            await ask(engine.spec.socket, "GRAPH.QUERY", "g_1", f"CREATE (:N {{n:{number}}})")
        pid = engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: engine.state is EngineState.READY and engine.pid != pid)
        answer = await ask(
            engine.spec.socket, "GRAPH.RO_QUERY", "g_1", "MATCH (n:N) RETURN count(n)"
        )
        assert b":50\r\n" in answer
        assert seen[1:] == [
            EngineState.READY,
            EngineState.DOWN,
            EngineState.STARTING,
            EngineState.READY,
        ]
    finally:
        await engine.stop()


@pytest.mark.parametrize("leash", ["signal", "guard"])
async def test_a_killed_owner_takes_its_engine_along(leash, own_folders):
    process = owner(own_folders, leash=leash)
    try:
        assert process.stdout is not None
        word, pid = process.stdout.readline().split()
        assert word == "ready"
        assert alive(int(pid))
        process.send_signal(signal.SIGKILL)
        await until(lambda: not alive(int(pid)))
    finally:
        end(process)
    engine = Engine(falkordb(own_folders))
    await engine.start()
    await engine.stop()


async def test_of_several_starters_one_wins_and_the_others_say_so(own_folders):
    starters = [owner(own_folders, patience=1) for _ in range(3)]
    try:
        lines = await asyncio.gather(
            *(asyncio.to_thread(starter.stdout.readline) for starter in starters)
        )
    finally:
        for starter in starters:
            end(starter)
    assert sorted(line.split()[0] for line in lines) == ["ready", "unavailable", "unavailable"]


async def test_a_second_starter_waits_for_the_first_ones_server_to_be_gone(own_folders):
    first = Engine(falkordb(own_folders))
    await first.start()
    pid = first.pid
    assert pid is not None
    second = Engine(falkordb(own_folders))
    starting = asyncio.create_task(second.start())
    for _ in range(100):  # it tries the lock in its first round
        await asyncio.sleep(0)
    assert not starting.done()
    await first.stop()
    await starting
    assert second.pid != pid
    await second.stop()


async def test_the_lock_lasts_as_long_as_whatever_inherited_it(own_folders):
    data = own_folders / "data" / "falkordb"
    data.mkdir(parents=True)
    lock = os.open(data / "engine.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    left_behind = inheritor(lock)
    os.close(lock)  # its owner is gone; its server is not
    with pytest.raises(Unavailable, match="in use"):
        await Engine(falkordb(own_folders)).start(patience=0.1)
    left_behind.kill()
    left_behind.wait(10)
    engine = Engine(falkordb(own_folders))
    await engine.start(patience=1)
    held = open_files(engine.pid)
    assert held is None or str(data / "engine.lock") in held
    await engine.stop()


async def test_a_server_that_ignores_the_request_to_end_is_killed(own_folders):
    engine = Engine(valkey(own_folders))
    await engine.start()
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await engine.stop(deadline=0.2)
    assert not alive(pid)


async def test_a_server_that_cannot_start_says_why(own_folders):
    spec = valkey(own_folders)
    broken = EngineSpec(spec.name, (*spec.argv, "--no-such-option", "1"), spec.socket, spec.data)
    engine = Engine(broken)
    with pytest.raises(Unavailable, match="valkey ended at its start"):
        await engine.start()
    assert engine.state is EngineState.STOPPED
    sound = Engine(spec)
    await sound.start(patience=0.5)
    await sound.stop()


async def test_damaged_data_is_corrupt_not_unavailable(own_folders):
    engine = Engine(falkordb(own_folders))
    await engine.start()
    await ask(engine.spec.socket, "GRAPH.QUERY", "g_1", "CREATE (:N {n:1})")
    await engine.stop()
    for part in (engine.spec.data / "appendonlydir").glob("*.incr.aof"):
        part.write_bytes(b"*2\r\nno such thing\r\n" * 1000)
    with pytest.raises(Corrupt, match="refuses its data"):
        await Engine(falkordb(own_folders)).start()


async def test_a_socket_path_that_no_system_takes_is_refused_early(own_folders):
    spec = valkey_spec(valkey_binary(), own_folders / "data", own_folders / ("long" * 30))
    with pytest.raises(InvalidRequest, match="103 bytes"):
        await Engine(spec).start()


def test_a_platform_without_the_packages_is_told_the_mend(monkeypatch):
    monkeypatch.setattr(engine_spec, "find_spec", lambda _name: None)
    with pytest.raises(Unavailable, match=r"install .*\[embedded\].*FALKORDB_URL"):
        falkordb_binaries()
    with pytest.raises(Unavailable, match="VALKEY_URL"):
        valkey_binary()


def test_pauses_double_up_to_half_a_minute_and_are_spread():
    assert [pause(n, 1.0) for n in (1, 2, 3, 4)] == [0.1, 0.2, 0.4, 0.8]
    assert pause(50, 1.0) == 30.0
    assert pause(50, 0.0) == 15.0
