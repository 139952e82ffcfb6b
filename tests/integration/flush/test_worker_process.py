"""The flush worker as a process, with a real graph: it flushes, and sums up later."""

from __future__ import annotations

import pytest

from bridge.flush.link import FlushWorker
from bridge.flush.messages import Gone
from memory_manager.embed import open_embedder
from memory_manager.errors import InvalidRequest
from memory_manager.graph.memory import GraphMemory
from memory_manager.model import EventKind, Query, RawEvent
from memory_manager.settings import MemorySettings
from memory_manager.spool.store import Spool

GROUP = "g_0f1a5e"


def event(number, kind, content, **metadata):
    return RawEvent(f"e{number}", GROUP, "s", kind, 1000.0 + number, content, metadata)


EVENTS = [
    event(1, EventKind.PROMPT, "Teach the heron to read maps"),
    event(2, EventKind.FILE_EDIT, "Modified: src/heron.py", path="src/heron.py"),
    event(3, EventKind.COMMAND, "Ran: pytest", command="pytest", exit=0),
]


@pytest.mark.engine
async def test_a_batch_is_flushed_and_its_summary_written_again_by_a_process(
    tmp_path, falkordb_server
):
    settings = MemorySettings(data_dir=tmp_path, falkordb_url=f"unix://{falkordb_server}")
    spool = Spool.open(settings.spool_path)
    spool.append(EVENTS)
    batch = spool.claim(GROUP, "s")
    environment = {"OPENCODE_MEM_DATA_DIR": str(tmp_path), "FALKORDB_URL": settings.falkordb_url}
    worker = FlushWorker(environment, tmp_path / "log" / "worker.log")
    memory = GraphMemory.open(settings, open_embedder(settings.embedder))
    patient = {"beat": lambda: None, "silence": 60.0}
    try:
        flushed = await worker.flush(batch.id, **patient)
        with pytest.raises(InvalidRequest, match="started"):
            await worker.summarise(batch.id, **patient)
        spool.complete(batch)
        again = await worker.summarise(batch.id, **patient)
        answer = await memory.query(Query(GROUP, "what did the heron learn", 10))
        size = await memory.size(GROUP)
        spool.append([event(9, EventKind.NOTE, "Herons read maps.")])
        later = spool.claim(GROUP, "s")
        spool.complete(later)
        with spool._transaction() as db:
            db.execute("DELETE FROM raw_events WHERE event_id = 'e9'")
        gone = await worker.summarise(later.id, **patient)
    finally:
        await worker.stop(10.0)
        await memory.close()
        spool.close()

    assert size.episodes == len(EVENTS) + 1 == flushed.episodes
    assert (again.summary, again.tags, again.episodes) == (flushed.summary, flushed.tags, 1)
    assert isinstance(gone, Gone)
    (summary,) = [hit for hit in answer.hits if hit.kind == "summary"]
    assert summary.text == flushed.summary
    assert summary.paths == ("src/heron.py",)
    assert answer.hits[0].kind == "prompt"
