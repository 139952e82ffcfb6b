"""A disk that is really full: refused with a clear line, nothing acknowledged lost, no restart needed."""

from __future__ import annotations

import resource
import subprocess

import pytest

from memory_manager.errors import Rejected
from memory_manager.model import EventKind, RawEvent
from memory_manager.spool.batches import BatchState
from memory_manager.spool.store import Spool
from memory_manager.spool.thread import SpoolThread


@pytest.fixture
def disk(tmp_path):
    """A filesystem of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a filesystem can't be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class Ballast:
    """What fills the rest of the disk, to the last byte."""

    def __init__(self, folder):
        self._file = folder / "ballast"

    def fill(self):
        with self._file.open("ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                while True:
                    try:
                        if file.write(b"x" * size) < size:
                            break
                    except OSError:
                        break

    def drop(self):
        self._file.unlink()


@pytest.fixture
def ballast(disk):
    return Ballast(disk)


@pytest.fixture
def path(disk):
    return disk / "spool.sqlite3"


@pytest.fixture
def spool(path):
    opened = Spool.open(path, now=lambda: 1000.0)
    yield opened
    opened.close()


def event(name, size=2000):
    return RawEvent(name, "g", "s", EventKind.NOTE, 1.0, "x" * size, {"type": "note"})


def until_refused(spool):
    """Appends until the disk takes no more; gives what was acknowledged, and the fault."""
    done = []
    while True:
        try:
            spool.append([event(f"e{len(done)}")])
        except Rejected as fault:
            return done, fault
        done.append(f"e{len(done)}")


def names(spool):
    return [row.event.event_id for row in spool.tail(flushed_since=0.0, limit=10_000)]


def test_an_append_is_refused_with_what_is_wrong_and_the_mend(spool, path, ballast):
    spool.append([event("first")])
    ballast.fill()
    done, fault = until_refused(spool)

    line = str(fault)
    assert str(path) in line
    assert "full" in line
    assert "no space left: free some" in line
    assert "\n" not in line
    assert not spool._db.in_transaction
    assert names(spool) == ["first", *done]
    assert spool.status().pending == 1 + len(done)


def test_when_there_is_room_again_the_same_spool_goes_on(spool, path, ballast):
    ballast.fill()
    done, _ = until_refused(spool)
    for _ in range(3):
        with pytest.raises(Rejected):
            spool.append([event("many0"), event("many1")])
        with pytest.raises(Rejected):
            spool.append([event("lone")])
    ballast.drop()

    assert spool.append([event("lone")]).inserted == 1
    assert spool.append([event("many0"), event("many1")]).inserted == 2
    spool.checkpoint()
    other = Spool.open(path, readonly=True)
    assert names(other) == [*done, "lone", "many0", "many1"]
    assert other._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    other.close()


def writes(batch):
    """Every operation that writes, by name."""
    return {
        "append": lambda spool: spool.append([event("late")]),
        "claim": lambda spool: spool.claim("g", "s"),
        "heartbeat": lambda spool: spool.heartbeat(batch),
        "complete": lambda spool: spool.complete(batch, summary="x" * 16_000, tags=("a",)),
        "fail": lambda spool: spool.fail(batch, "x" * 2000, 0.0),
        "release": lambda spool: spool.release(),
        "stuck": lambda spool: spool.stuck(-1.0),
        "retry": lambda spool: spool.retry(),
        "reopen": lambda spool: spool.reopen([batch.id]),
        "note_summary": lambda spool: spool.note_summary(batch.id, "x" * 16_000, ("a",), 1),
        "register": lambda spool: spool.register(["place:h:/x"], "g", name="x" * 9000),
        "discard": lambda spool: spool.discard("g"),
        "sample": lambda spool: spool.sample(),
        "purge": lambda spool: spool.purge(1e9, 0.0),
        "shrink": lambda spool: spool.shrink(0),
    }


@pytest.mark.parametrize("name", writes(None))
def test_whatever_cannot_be_written_leaves_nothing_open_and_nothing_half_done(spool, ballast, name):
    spool.append([event(f"b{n}", 100) for n in range(50)])
    batch = spool.claim("g", "s", limit=49)
    if name == "claim":
        spool.complete(batch)
    ballast.fill()
    done, _ = until_refused(spool)
    before = (names(spool), spool.status(), spool.batch(batch.id))
    operation = writes(batch)[name]
    try:
        operation(spool)
    except Rejected as fault:
        assert "no space left" in str(fault)  # noqa: PT017 - some still fit, which is as well
        assert (names(spool), spool.status(), spool.batch(batch.id)) == before
    assert not spool._db.in_transaction
    ballast.drop()

    operation(spool)
    assert spool.append([event("after")]).inserted == 1
    if name != "discard":
        assert {f"b{n}" for n in range(50)} | set(done) | {"after"} <= set(names(spool)) | {
            f"b{n}" for n in range(50) if name in {"purge", "shrink"}
        }


def test_a_flush_that_could_not_be_noted_is_noted_later(spool, ballast):
    spool.append([event("a")])
    batch = spool.claim("g", "s")
    ballast.fill()
    until_refused(spool)
    with pytest.raises(Rejected):
        spool.complete(batch, summary="x" * 16_000)
    assert spool.batch(batch.id).state is BatchState.STARTED
    ballast.drop()

    assert spool.heartbeat(batch)
    assert spool.complete(batch)
    assert spool.batch(batch.id).state is BatchState.COMPLETED


def test_a_new_spool_on_a_full_disk_is_refused_and_made_later(disk, ballast):
    ballast.fill()
    with pytest.raises(Rejected):
        Spool.open(disk / "new.sqlite3")
    ballast.drop()

    Spool.open(disk / "new.sqlite3").close()


async def test_the_spools_thread_lives_through_it(path, ballast):
    thread = await SpoolThread.start(lambda: Spool.open(path))
    try:
        ballast.fill()
        done, fault = await thread.call(until_refused)
        assert "no space left" in str(fault)
        with pytest.raises(Rejected, match="no space left"):
            await thread.append([event("refused", 4000)])
        assert await thread.call(names) == done
        assert (await thread.call(Spool.status)).pending == len(done)
        ballast.drop()
        assert (await thread.append([event("after")])).inserted == 1
        assert await thread.call(names) == [*done, "after"]
    finally:
        await thread.close()


def test_a_write_that_the_disk_fails_is_refused_and_the_spool_goes_on(tmp_path):
    spool = Spool.open(tmp_path / "spool.sqlite3")
    spool.append([event("a")])
    written = (tmp_path / "spool.sqlite3-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written + 4096, hard))
    try:
        for _ in range(2):
            with pytest.raises(Rejected, match="disk I/O error; the disk fails"):
                spool.append([event("b", 50_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert not spool._db.in_transaction
    assert names(spool) == ["a"]
    assert spool.append([event("b", 50_000)]).inserted == 1
    spool.close()
