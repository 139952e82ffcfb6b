"""Stock Graphiti reads what we wrote; a server that hangs, dies or reloads is survived."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from memory_manager.embed import open_embedder
from memory_manager.engine import Engine, EngineState
from memory_manager.engine_spec import falkordb_binaries, falkordb_spec
from memory_manager.errors import InvalidRequest, Rejected, Unavailable
from memory_manager.model import (
    Entity,
    Episode,
    EventKind,
    Extraction,
    Fact,
    Query,
    entity_uuid,
    episode_uuid,
)
from memory_manager.settings import MemorySettings

pytestmark = pytest.mark.engine

NOON = 1_763_640_000.25
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def embedder():
    return open_embedder("local")


@pytest.fixture
def group() -> str:
    return f"g_{uuid.uuid4().hex}"


def opened(socket: str, embedder, **more):
    from memory_manager.graph.memory import GraphMemory

    return GraphMemory.open(MemorySettings(**more), embedder, socket=socket)


@pytest.fixture
async def memory(falkordb_server, embedder):
    graph = opened(falkordb_server, embedder)
    yield graph
    await graph.close()


def batch(group: str, count: int = 1) -> Extraction:
    names = [("file", "src/Will.py"), ("error_type", "TimeoutError"), ("the", "The")]
    file, error, the = (Entity(entity_uuid(group, t, n), group, t, n) for t, n in names)
    episodes = tuple(
        Episode(
            uuid=episode_uuid(group, f"e{number}"),
            group=group,
            session="s",
            event_id=f"e{number}",
            kind=EventKind.ERROR,
            name=f"episode {number}",
            content=f"TimeoutError in src/Will.py, number {number}",
            source="hook",
            at=NOON + number,
            paths=("src/Will.py",),
        )
        for number in range(count)
    )
    raised = Fact(
        uuid="00000000-0000-5000-8000-000000000001",
        group=group,
        source=file.uuid,
        target=error.uuid,
        relation="RAISED",
        text="src/Will.py raised TimeoutError",
        valid_at=NOON,
        invalid_at=NOON + 5,
        episodes=(episodes[0].uuid,),
    )
    return Extraction(
        group, episodes, (file, error, the), (raised,), tuple((e.uuid, file.uuid) for e in episodes)
    )


async def test_stock_classes_read_what_we_wrote(memory, group):
    from graphiti_core.edges import EntityEdge, EpisodicEdge
    from graphiti_core.nodes import EntityNode, EpisodicNode

    told = batch(group)
    await memory.store(told)
    driver = memory.driver(group)

    episode = await EpisodicNode.get_by_uuid(driver, told.episodes[0].uuid)
    assert (episode.content, episode.group_id) == (told.episodes[0].content, group)
    assert episode.valid_at.timestamp() == NOON
    assert episode.entity_edges == [told.facts[0].uuid]
    assert len(await EpisodicNode.get_by_group_ids(driver, [group])) == 1

    entity = await EntityNode.get_by_uuid(driver, told.entities[1].uuid)
    assert (entity.name, set(entity.labels)) == ("TimeoutError", {"Entity", "ErrorType"})
    assert {e.name for e in await EntityNode.get_by_group_ids(driver, [group])} == {
        "src/Will.py",
        "TimeoutError",
        "The",
    }

    edge = await EntityEdge.get_by_uuid(driver, told.facts[0].uuid)
    assert (edge.name, edge.fact) == ("RAISED", told.facts[0].text)
    assert edge.valid_at is not None
    assert edge.invalid_at is not None
    assert edge.valid_at.timestamp() == NOON
    assert edge.invalid_at.timestamp() == NOON + 5
    assert edge.episodes == [told.episodes[0].uuid]
    assert (edge.source_node_uuid, edge.target_node_uuid) == (
        told.entities[0].uuid,
        told.entities[1].uuid,
    )
    mentions = await EpisodicEdge.get_by_group_ids(driver, [group])
    assert [(m.source_node_uuid, m.target_node_uuid) for m in mentions] == list(told.mentions)


async def test_stock_search_works_on_our_driver(memory, group, embedder):
    from graphiti_core import Graphiti
    from graphiti_core.cross_encoder.client import CrossEncoderClient
    from graphiti_core.embedder.client import EmbedderClient
    from graphiti_core.llm_client.client import LLMClient
    from graphiti_core.llm_client.config import LLMConfig
    from graphiti_core.search.search_config_recipes import COMBINED_HYBRID_SEARCH_RRF

    class Local(EmbedderClient):
        async def create(self, input_data):
            text = input_data if isinstance(input_data, str) else input_data[0]
            return embedder.embed([text])[0].tolist()

    class Silent(LLMClient):
        async def _generate_response(self, *_args, **_kwargs):
            raise AssertionError("no model is asked")

    class Unused(CrossEncoderClient):
        async def rank(self, query, passages):
            raise AssertionError("no model is asked")

    await memory.store(batch(group, 3))
    graphiti = Graphiti(
        graph_driver=memory.driver(group),
        llm_client=Silent(LLMConfig(api_key="none")),
        embedder=Local(),
        cross_encoder=Unused(),
    )
    for groups in (None, [group]):
        found = await graphiti.search_(
            "TimeoutError in src/Will.py", COMBINED_HYBRID_SEARCH_RRF, group_ids=groups
        )
        assert [edge.name for edge in found.edges] == ["RAISED"]
        assert {node.name for node in found.nodes} == {"src/Will.py", "TimeoutError"}
        assert len(found.episodes) == 3
    for text in ("the a _ b", "", "\x01", "'\"`@|-(*)", "word " * 500):
        await graphiti.search_(text, COMBINED_HYBRID_SEARCH_RRF)
    assert [edge.name for edge in await graphiti.search("raised timeout")] == ["RAISED"]


async def test_names_that_are_stop_words_do_not_kill_the_server(memory, group):
    from graphiti_core.nodes import EntityNode

    await memory.store(batch(group))
    driver = memory.driver(group)
    await driver.build_indices_and_constraints()
    for name in ("the", "The", "a", "no"):
        found = await EntityNode.get_by_group_ids(driver, [name])
        assert found == []
        records, _, _ = await driver.execute_query(
            "MATCH (n:Entity) WHERE n.name IN $names RETURN n.name AS name",
            names=[name],
            routing_="r",
        )
        assert [record["name"] for record in records] == (["The"] if name == "The" else [])
    await memory.ready()


async def test_stock_reads_make_no_graph(memory, group):
    from graphiti_core.nodes import EpisodicNode

    driver = memory.driver(group)
    assert await EpisodicNode.get_by_uuids(driver, ["x"]) == []
    other = driver.clone(f"{group}_b")
    assert other.clone(f"{group}_b") is other
    behind = asyncio.all_tasks() - {asyncio.current_task()}  # stock drivers make indices there
    await asyncio.gather(*behind)
    assert not {group, f"{group}_b"} & set(await memory._link.execute("GRAPH.LIST"))


@pytest.mark.parametrize("name", ["", "a-b", "a/b", "é", "x" * 129, "g_1\n", "'"])
async def test_what_is_no_group_is_refused(memory, name):
    with pytest.raises(InvalidRequest, match="not a group"):
        await memory.query(Query(name, "anything"))


def test_importing_is_silent_offline_and_reads_no_dotenv(tmp_path):
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-a-dotenv-file\n")
    program = (
        "import json, os, sys, logging; logging.basicConfig()\n"
        "import memory_manager.graph\n"
        "assert 'graphiti_core' not in sys.modules\n"
        "import memory_manager.graph.memory\n"
        "print(json.dumps([os.environ.get('OPENAI_API_KEY'), 'posthog' in sys.modules]))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GRAPHITI_TELEMETRY_ENABLED"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [None, False]
    assert done.stderr == ""


async def test_a_refused_query_is_not_logged(memory, group, caplog):
    driver = memory.driver(group)
    with pytest.raises(Rejected) as refusal:
        await driver.execute_query("THIS IS NO CYPHER $secret", secret="hunter2")
    assert "hunter2" not in caplog.text
    assert "hunter2" not in str(refusal.value)


@pytest.fixture
async def engine(own_folders):
    started = Engine(
        falkordb_spec(falkordb_binaries(), own_folders / "data" / "falkordb", own_folders / "s")
    )
    await started.start()
    yield started
    if started.pid is not None:
        os.kill(started.pid, signal.SIGCONT)
    await started.stop()


async def test_a_hanging_server_is_unavailable_in_time_and_recovers(engine, embedder, group):
    memory = opened(str(engine.spec.socket), embedder, graph_timeout_s=0.3)
    await memory.store(batch(group))
    os.kill(engine.pid, signal.SIGSTOP)
    with pytest.raises(Unavailable):  # and the server hangs still
        await memory.query(Query(group, "TimeoutError"))
    with pytest.raises(Unavailable):
        await memory.ready()
    os.kill(engine.pid, signal.SIGCONT)
    assert len((await memory.query(Query(group, "TimeoutError"))).hits) == 1
    await memory.close()


async def test_a_killed_server_is_unavailable_then_back_with_everything(engine, embedder, group):
    memory = opened(str(engine.spec.socket), embedder)
    told = batch(group, 300)
    await memory.store(told)
    before = await memory.export(group)
    os.kill(engine.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    refused = 0
    while True:
        try:
            hits = (await memory.query(Query(group, "TimeoutError number 7"))).hits
        except Unavailable:
            refused += 1
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)
        else:
            break
    # The very first answer after the reload is a whole one: its indices are ready.
    assert refused > 0
    assert hits[0].text.startswith("TimeoutError in src/Will.py")
    assert engine.state is EngineState.READY
    assert await memory.export(group) == before
    await memory.store(told)
    assert await memory.export(group) == before
    await memory.close()


async def test_persisted_is_written_and_no_wait_for_the_disk(engine, embedder, group):
    memory = opened(str(engine.spec.socket), embedder)
    times = []
    for number in range(5):
        await memory.store(batch(group, 20 + number))
        began = time.perf_counter()
        await memory.persist()
        times.append(time.perf_counter() - began)
    written = (engine.spec.data / "appendonlydir").glob("*.incr.aof")
    assert sum(part.stat().st_size for part in written) > 1000
    assert sorted(times)[2] < 0.1
    os.kill(engine.pid, signal.SIGKILL)
    while True:
        try:
            episodes = (await memory.size(group)).episodes
        except Unavailable:
            await asyncio.sleep(0.01)
        else:
            break
    assert episodes == 24
    await memory.close()


async def test_what_a_server_without_aof_or_answer_keeps_is_its_operators_matter(engine, embedder):
    memory = opened(str(engine.spec.socket), embedder)
    await memory._link.execute("CONFIG", "SET", "appendonly", "no")
    await memory.persist()
    await memory._link.execute("CONFIG", "SET", "appendonly", "yes")
    await memory._link.execute("ACL", "SETUSER", "default", "-info")
    await memory.persist()
    await memory.close()


class Telling:
    """A server that says one thing about its disk after the other, then the last one again."""

    def __init__(self, *said):
        self.said = list(said)
        self.asked = 0

    async def __call__(self, *_):
        self.asked += 1
        return self.said.pop(0) if len(self.said) > 1 else self.said[0]


async def test_a_server_that_cannot_write_its_aof_is_refused(memory, monkeypatch):
    telling = Telling({"aof_enabled": 1, "aof_last_write_status": "err"})
    monkeypatch.setattr(memory._link._client, "execute_command", telling)
    with pytest.raises(Rejected, match="append-only"):
        await memory.persist()


async def test_what_a_server_holds_back_is_waited_for(memory, monkeypatch):
    fine = {"aof_enabled": 1, "aof_last_write_status": "ok", "aof_buffer_length": 0}
    full = fine | {"aof_buffer_length": 10}
    telling = Telling(full, full, fine)
    monkeypatch.setattr(memory._link._client, "execute_command", telling)
    await memory.persist()
    assert telling.asked == 3
    telling.said = [full]
    with pytest.raises(Unavailable, match="in time"):
        await memory._link.persisted(0.02)


async def test_a_full_server_rejects_writes_and_still_answers(engine, embedder, group):
    memory = opened(str(engine.spec.socket), embedder)
    await memory.store(batch(group))
    await memory._link.execute("CONFIG", "SET", "maxmemory", "1mb")
    with pytest.raises(Rejected):
        await memory.store(batch(group, 2))
    assert (await memory.query(Query(group, "TimeoutError"))).hits
    await memory._link.execute("CONFIG", "SET", "maxmemory", "0")
    await memory.store(batch(group, 2))
    await memory.close()


async def test_many_askers_share_few_connections(memory, group):
    await memory.store(batch(group, 20))
    answers = await asyncio.gather(
        *(memory.query(Query(group, f"TimeoutError number {n}")) for n in range(200))
    )
    assert all(answer.hits for answer in answers)


async def test_an_unnoticed_restart_costs_no_answer(engine, embedder, group):
    """The pooled connection is stale, the new server still builds its indices."""
    memory = opened(str(engine.spec.socket), embedder)
    await memory.store(batch(group, 500))
    for _ in range(3):
        pid = engine.pid
        os.kill(pid, signal.SIGKILL)
        while engine.pid in {None, pid} or engine.state is not EngineState.READY:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert len((await memory.query(Query(group, "TimeoutError number 7"))).hits) > 0
    await memory.close()


async def test_a_cancelled_question_does_not_answer_the_next_one(falkordb_server, embedder, group):
    memory = opened(falkordb_server, embedder, graph_connections=1)
    await memory.store(batch(group, 50))
    for patience in range(12):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(memory.export(group), patience * 0.0005)
        assert (await memory.size(group)).episodes == 50
    await memory.close()


async def test_an_engine_that_loads_its_data_is_waited_for(engine, embedder, group):
    memory = opened(str(engine.spec.socket), embedder)
    for number in range(4):
        await memory.store(batch(f"{group}{number}", 300))
    await engine.stop()
    await engine.start()
    assert (await memory.size(f"{group}3")).episodes == 300
    await memory.close()


async def test_vectors_of_another_kind_are_never_compared(memory, falkordb_server, embedder, group):
    """A graph that was made without vectors, or with others, is searched by words."""
    none = opened(falkordb_server, open_embedder("none"))
    await none.store(batch(group))
    assert (await memory.query(Query(group, "TimeoutError"))).hits
    assert (await none.query(Query(group, "TimeoutError"))).hits
    await memory.store(batch(group))
    assert (await memory.query(Query(group, "TimeoutError"))).hits
    assert (await none.query(Query(group, "TimeoutError"))).hits
    await none.close()
