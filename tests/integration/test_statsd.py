"""What leaves `metrics.statsd` on real sockets, judged by a strict reader of the wire format."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics import catalog, statsd
from metrics.__main__ import main
from metrics.statsd import StatsdMetrics

ROOT = Path(__file__).parents[2]
WAIT_S = 5

# --- the reader: the rules of the Datadog Agent 7's parser, and nothing more lenient


@dataclass(frozen=True)
class Line:
    """One metric or event as an agent understands it."""

    name: str
    kind: str
    value: str
    tags: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
NUMBER = re.compile(r"-?(\d+(\.\d+)?|\.\d+)([eE][+-]?\d+)?")
TAG = re.compile(r"[^\W\d_][\w.:/-]{0,199}")


def read(datagram: bytes) -> list[Line]:
    assert len(datagram) < 8 * 1024
    text = datagram.decode("utf-8")
    assert text.endswith("\n")
    return [read_line(line) for line in text[:-1].split("\n")]


def read_line(line: str) -> Line:
    assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line)
    if line.startswith("_e{"):
        return read_event(line.encode())
    head, kind, *rest = line.split("|")
    name, _, value = head.partition(":")
    assert NAME.fullmatch(name)
    assert NUMBER.fullmatch(value)
    assert kind in {"c", "g", "d"}
    tags, fields = read_fields(rest, "#cT")
    return Line(name, kind, value, tags, fields)


def read_event(line: bytes) -> Line:
    lengths = re.match(rb"_e\{(\d+),(\d+)\}:", line)
    assert lengths
    title_end = lengths.end() + int(lengths[1])
    text_end = title_end + 1 + int(lengths[2])
    assert int(lengths[1]) > 0
    assert line[title_end : title_end + 1] == b"|"
    assert text_end <= len(line)
    title, text = line[lengths.end() : title_end].decode(), line[title_end + 1 : text_end].decode()
    rest = line[text_end:].decode()
    assert rest[:1] in ("", "|")
    tags, fields = read_fields(rest[1:].split("|") if rest else [], "dhkpst#c")
    return Line(title, "event", text.replace("\\n", "\n"), tags, fields)


def read_fields(parts, known):
    tags: tuple[str, ...] = ()
    others = []
    for part in parts:
        assert part[:1] in known
        if part.startswith("#"):
            assert not tags
            tags = tuple(part[1:].split(","))
            assert all(TAG.fullmatch(tag) for tag in tags), tags
        else:
            assert part[1] == ":"
            assert len(part) > 2
            assert not part.startswith("p:") or part[2:] in {"low", "normal"}
            assert not part.startswith("t:") or part[2:] in catalog.ALERT_TYPES
            others.append(part)
    assert len({part[0] for part in others}) == len(others)
    return tags, tuple(others)


# --- agents: sockets of the test


class Agent:
    """A bound datagram socket, and how to reach it."""

    def __init__(self, receiver: socket.socket, address: dict[str, object]) -> None:
        self.receiver = receiver
        self.address = address

    def open(self, **options) -> StatsdMetrics:
        """A sender that packs only when full or closed, so that datagrams are predictable."""
        return StatsdMetrics(
            **self.address, **({"flush_interval": 0, "telemetry": False} | options)
        )

    def next(self) -> bytes:
        self.receiver.settimeout(WAIT_S)
        return self.receiver.recv(65536)

    def rest(self) -> list[bytes]:
        self.receiver.settimeout(0)
        found = []
        while True:
            try:
                found.append(self.receiver.recv(65536))
            except BlockingIOError:
                return found


@pytest.fixture(autouse=True)
def bare_lines(monkeypatch):
    """No container id, so that the bytes are the same everywhere."""
    monkeypatch.setenv("DD_ORIGIN_DETECTION_ENABLED", "false")


@pytest.fixture
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        yield Agent(receiver, {"host": "127.0.0.1", "port": receiver.getsockname()[1]})


@pytest.fixture
def unix(own_folders):
    path = str(own_folders / "dsd.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        yield Agent(receiver, {"socket_path": f"unix://{path}"})


@pytest.fixture(params=["udp", "unix"])
def agent(request):
    return request.getfixturevalue(request.param)


def client_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("DogStatsd")]


HOOKED = {"outcome": "cached", "hook": "chat:start"}
FAILED = {"error_name": "ProviderAuthError"}


def send_one_of_each(metrics):
    metrics.count(catalog.CACHE_HIT)
    metrics.count(catalog.TOKENS_USED, 1234)
    metrics.count(catalog.HOOK_COUNT, 2, HOOKED)
    metrics.count(catalog.HOOK_COUNT, 3, HOOKED)
    metrics.gauge(catalog.SPOOL_PENDING, 7)
    metrics.gauge(catalog.SPOOL_PENDING, 5)
    metrics.distribution(catalog.QUERY_DURATION, 12.5)
    metrics.distribution(catalog.QUERY_DURATION, 1e-07)
    metrics.event(catalog.OPENCODE_ERROR, "a|b\nc", aggregation_key="k|1", tags=FAILED)


EACH = (
    b"opencode.memory.query_duration:12.5|d\n"
    b"opencode.memory.query_duration:1e-07|d\n"
    b"_e{14,6}:OpenCode Error|a|b\\nc|k:k_1|t:error|#error_name:ProviderAuthError\n"
    b"opencode.memory.cache_hit:1|c\n"
    b"opencode.tokens.used:1234|c\n"
    b"opencode.memory.hook_count:5|c|#hook:chat:start,outcome:cached\n"
    b"opencode.memory.spool_pending:5|g\n"
)


def test_the_bytes_of_each_kind(agent):
    metrics = agent.open()
    send_one_of_each(metrics)
    metrics.close()

    [datagram] = agent.rest()
    assert datagram == EACH
    assert len(read(datagram)) == 7


def test_the_environment_s_tags_are_added(udp, monkeypatch):
    monkeypatch.setenv("DD_ENV", "test")
    monkeypatch.setenv("DD_SERVICE", "memory")
    metrics = udp.open()
    metrics.count(catalog.CACHE_HIT)
    metrics.event(catalog.OPENCODE_ERROR, "text", tags=FAILED)
    metrics.close()

    lines = read(b"".join(udp.rest()))
    assert all(line.tags[-2:] == ("env:test", "service:memory") for line in lines)


def test_the_address_given_wins_over_the_environment(udp, monkeypatch):
    monkeypatch.setenv("DD_DOGSTATSD_URL", "udp://192.0.2.1:1")
    monkeypatch.setenv("DD_AGENT_HOST", "192.0.2.1")
    metrics = udp.open()
    metrics.count(catalog.CACHE_HIT)
    metrics.close()

    assert udp.rest() == [b"opencode.memory.cache_hit:1|c\n"]


def test_metrics_leave_by_themselves_after_the_interval(agent):
    metrics = agent.open(flush_interval=0.001)
    metrics.count(catalog.CACHE_HIT)
    came = agent.next()
    metrics.close()

    assert came == b"opencode.memory.cache_hit:1|c\n"


def test_a_thousand_distributions_arrive_packed_and_in_order(agent):
    metrics = agent.open()
    datagrams, lines = 0, []
    for number in range(1000):
        metrics.distribution(catalog.HOOK_DURATION, number, HOOKED)
        # Read as it comes, like an agent: a Unix socket holds ten datagrams.
        if number % 100 == 99:
            metrics._client.wait_for_pending(WAIT_S)
            while len(lines) <= number:
                lines += read(agent.next())
                datagrams += 1
    metrics.close()

    assert [line.value for line in lines] == [str(number) for number in range(1000)]
    assert datagrams < 100


def test_close_sends_what_is_held_and_leaves_neither_thread_nor_socket(agent):
    metrics = agent.open(flush_interval=0.05)
    metrics.count(catalog.CACHE_HIT)
    assert client_threads()
    metrics.close()

    assert b"".join(agent.rest()) == b"opencode.memory.cache_hit:1|c\n"
    assert client_threads() == []
    assert metrics._client.socket is None


def test_many_counters_at_close_are_packed_and_not_lost(unix):
    metrics = unix.open()
    for number in range(50):
        metrics.count(catalog.ERRORS, 1, {"where": f"place.{number}"})
    metrics.close()

    assert sum(len(read(datagram)) for datagram in unix.rest()) == 50


def test_a_process_that_forgets_to_close_loses_nothing(udp):
    code = (
        "from metrics import catalog, statsd; "
        f"metrics = statsd.StatsdMetrics(host='127.0.0.1', port={udp.address['port']}); "
        "metrics.count(catalog.CACHE_HIT)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=30)

    assert read(udp.next()) == [Line("opencode.memory.cache_hit", "c", "1")]


def test_a_forked_child_sends_what_is_its_own(udp):
    code = (
        "import os, warnings; warnings.simplefilter('ignore')\n"
        "from metrics import catalog, statsd\n"
        f"metrics = statsd.StatsdMetrics(host='127.0.0.1', port={udp.address['port']})\n"
        "metrics.count(catalog.CACHE_HIT, 5)\n"
        "child = os.fork()\n"
        "metrics.count(catalog.CACHE_HIT, 3 if child else 2)\n"
        "metrics.close()\n"
        "child and os.waitpid(child, 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=30)

    values = [
        int(line.value)
        for datagram in udp.rest()
        for line in read(datagram)
        if not line.name.startswith("datadog.")
    ]
    assert sum(values) == 10


def test_telemetry_of_the_client_can_be_switched(udp):
    for telemetry in (True, False):
        metrics = udp.open(telemetry=telemetry)
        metrics._client._telemetry_flush_interval = -1
        metrics.count(catalog.CACHE_HIT)
        metrics.close()
        names = {line.name for datagram in udp.rest() for line in read(datagram)}

        assert ("datadog.dogstatsd.client.packets_dropped" in names) is telemetry


# --- when nobody listens


def absent_addresses(folder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stale = folder / "stale.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
        gone.bind(str(stale))
    plain = folder / "plain"
    plain.write_text("")
    return {
        "closed port": {"host": "127.0.0.1", "port": port},
        "no such host": {"host": "agent.invalid"},
        "no socket": {"socket_path": f"{folder}/none.sock"},
        "stale socket": {"socket_path": f"unix://{stale}"},
        "not a socket": {"socket_path": f"unix://{plain}"},
        "path too long": {"socket_path": "/" + "x" * 200},
    }


def test_an_absent_agent_costs_nothing_and_logs_nothing(own_folders, caplog):
    caplog.set_level(logging.DEBUG)
    for address in absent_addresses(own_folders).values():
        metrics = StatsdMetrics(**address, flush_interval=0.001, telemetry=False)
        for _ in range(3):
            send_one_of_each(metrics)
            metrics._client.wait_for_pending(WAIT_S)
        metrics.close()

    assert caplog.records == []
    assert client_threads() == []


def test_a_receiver_that_reads_nothing_never_holds_up_the_caller(unix, caplog):
    caplog.set_level(logging.DEBUG)
    metrics = unix.open()
    for number in range(20_000):
        metrics.distribution(catalog.HOOK_DURATION, number, HOOKED)
    metrics.close()

    assert 0 < len([read(datagram) for datagram in unix.rest()]) < 1000
    assert caplog.records == []


def test_a_resolver_that_hangs_never_holds_up_the_caller(monkeypatch):
    asked, answer, given_up = threading.Event(), threading.Event(), threading.Event()

    def hang(*_, **__):
        asked.set()
        if not answer.wait(WAIT_S * 4):
            given_up.set()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(statsd, "_CLOSE_S", 0.05)
    metrics = StatsdMetrics(host="slow.invalid", flush_interval=0.001, telemetry=False)
    metrics.count(catalog.CACHE_HIT)
    assert asked.wait(WAIT_S)
    for number in range(20_000):
        metrics.distribution(catalog.HOOK_DURATION, number, HOOKED)
        metrics.count(catalog.HOOK_COUNT, 1, HOOKED)
    metrics.event(catalog.OPENCODE_ERROR, "text", tags=FAILED)
    metrics.close()

    assert not given_up.is_set()  # the resolver hangs still
    answer.set()
    metrics._client.stop(WAIT_S)
    assert client_threads() == []


# --- what is malformed


def test_undeclared_calls_are_counted_and_not_sent(udp):
    metrics = udp.open()
    metrics.count(catalog.Counter("opencode.memory.new", "x", "New."))
    metrics.count(catalog.CACHE_HIT, 1, {"session": "s"})
    metrics.gauge(catalog.SPOOL_PENDING, float("nan"))
    metrics.event(catalog.OPENCODE_ERROR, "no tag")
    assert metrics.dropped == 4
    metrics.close()

    assert udp.rest() == []


def test_open_tag_values_are_identifiers_and_bounded(udp):
    metrics = udp.open()
    for value in ("src/secret.py", "what is it?", "", "x" * 65, "é", "a,b:c|d"):
        metrics.count(catalog.ERRORS, 1, {"where": value})
    for number in range(statsd.DISTINCT_LIMIT + 7):
        metrics.count(catalog.ERRORS, 1, {"where": f"place{number}"})
    metrics.close()

    lines = [line for datagram in udp.rest() for line in read(datagram)]
    assert len(lines) == statsd.DISTINCT_LIMIT + 1
    assert [line.value for line in lines if line.tags == ("where:other",)] == ["13"]


def test_an_event_is_clipped_below_the_limit_between_characters(agent):
    for pad in range(9):
        metrics = agent.open()
        text = "x" * pad + "🧠é" * 5000
        metrics.event(catalog.OPENCODE_ERROR, text, tags=FAILED)
        metrics.close()

        [datagram] = agent.rest()
        [event] = read(datagram)
        assert event.value.endswith("…")
        assert text.startswith(event.value[:-1])
        assert len(datagram) > statsd.DATAGRAM_LIMIT - statsd._CONTAINER_FIELD - 40


def test_an_event_is_clipped_for_the_tags_and_the_container_it_travels_with(agent, monkeypatch):
    monkeypatch.setenv("DATADOG_TAGS", ",".join(f"tag{number}:{'ä' * 90}" for number in range(20)))
    metrics = agent.open()
    metrics._client._container_id = "ci-" + "f" * 64
    metrics.event(catalog.OPENCODE_ERROR, "🧠" * 9000, aggregation_key="é" * 200, tags=FAILED)
    metrics.close()

    [datagram] = agent.rest()
    [event] = read(datagram)
    assert len(event.tags) == 21
    assert event.fields[0] == "k:" + "é" * 48 + "…"


def test_lines_packed_with_events_stay_below_the_limit(agent):
    metrics = agent.open()
    metrics.distribution(catalog.QUERY_DURATION, 1)
    # Connected first, so that the packing size is that of the transport.
    metrics._client.wait_for_pending(WAIT_S)
    assert len(read(agent.next())) == 1
    for characters in (500, 900, 1400, 1900, 3000):
        for number in range(25):
            metrics.distribution(catalog.QUERY_DURATION, number)
        for _ in range(2):
            metrics.event(catalog.OPENCODE_ERROR, "🧠" * characters, tags=FAILED)
        metrics._client.wait_for_pending(WAIT_S)

        assert sum(len(read(datagram)) for datagram in agent.rest()) == 27
    metrics.close()


class State(str, Enum):  # noqa: UP042 - a caller may have one, and it formats as its name
    LOST = "error"


def test_a_member_of_an_enum_is_sent_as_its_value(udp):
    metrics = udp.open()
    metrics.gauge(catalog.BATCHES, 1, {"state": State.LOST})
    metrics.close()

    assert udp.rest() == [b"opencode.memory.batches:1|g|#state:error\n"]


@pytest.mark.parametrize("limit", range(12))
def test_clipping_keeps_to_the_bytes(limit):
    for text in ("", "abc", "a\\nb\\nc\\nd\\ne", "ééééééé", "🧠🧠🧠", "\ud800" * 20):
        clipped = statsd.clip(text, limit)

        assert len(clipped.encode()) <= limit
        assert not clipped.removesuffix("…").endswith("\\")


def test_texts_keep_their_lines_and_lose_what_is_no_text(udp):
    metrics = udp.open()
    metrics.send_event(
        "two\nlines \x00 here",
        "a\r\nb\rc\u2028d\x00e\tf\udcff",
        aggregation_key="k\n" * 200,
        tags=["team:memory", "what:a b|c"],
    )
    metrics.close()

    [event] = read(b"".join(udp.rest()))
    assert event.name == "two lines here"
    assert event.value == "a\nb\nc\nd e\tf?"
    assert event.tags == ("team:memory", "what:a_b_c")


def test_an_event_without_a_title_or_with_too_many_tags_is_dropped(udp):
    metrics = udp.open()
    metrics.send_event(" \n", "text")
    metrics.send_event("title", "text", tags=[f"k{number}:{'v' * 90}" for number in range(100)])
    assert metrics.dropped == 2
    metrics.close()

    assert udp.rest() == []


class Hostile:
    """Raises at whatever is done with it."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    def __str__(self):
        raise RuntimeError


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
    st.just(10**5000), st.builds(Hostile), st.lists(st.integers(), max_size=2),
)  # fmt: skip
TEXTS = st.text(st.characters(codec=None), max_size=40)
TAGS = st.one_of(
    st.dictionaries(st.sampled_from(["where", "hook", "outcome", "rule"]), TEXTS, max_size=3),
    st.dictionaries(st.sampled_from(["where", "bound", "error_name"]), JUNK, min_size=1, max_size=1),
    st.sampled_from([HOOKED, FAILED, {"where": "sweep"}]),
    JUNK,
)  # fmt: skip
CALLS = st.tuples(
    st.sampled_from(["count", "distribution", "gauge", "event"]),
    st.one_of(st.sampled_from(list(catalog.CATALOGUE.values())), JUNK),
    st.one_of(st.floats(), st.integers(), JUNK),
    TAGS,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(calls=st.lists(CALLS, max_size=8), title=TEXTS, text=st.one_of(TEXTS, JUNK), key=JUNK)
def test_no_input_raises_and_no_datagram_is_malformed(udp, calls, title, text, key):
    metrics = udp.open()
    for method, metric, value, tags in calls:
        if method == "event":
            metrics.event(metric, text, aggregation_key=key, tags=tags)
        else:
            getattr(metrics, method)(metric, value, tags)
    metrics.send_event(title, text, aggregation_key=key, tags=["a:b"])
    metrics.event(catalog.OPENCODE_ERROR, title, aggregation_key=title, tags=FAILED)
    metrics.event(catalog.OPENCODE_ERROR, title, alert_type=key, tags=FAILED)
    metrics.close()

    for datagram in udp.rest():
        read(datagram)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec=None), max_size=200), times=st.integers(1, 400))
def test_any_long_text_fits_one_datagram(udp, text, times):
    metrics = udp.open()
    metrics.event(catalog.OPENCODE_ERROR, text * times, aggregation_key=text * times, tags=FAILED)
    metrics.close()

    [datagram] = udp.rest()
    [event] = read(datagram)
    assert event.kind == "event"


# --- the command


def run(*argv):
    with pytest.raises(SystemExit) as stopped:
        sys.exit(main(argv))
    return stopped.value.code


def test_the_command_sends_one_event_before_it_exits(unix, monkeypatch, capsys):
    monkeypatch.setenv("DD_DOGSTATSD_URL", unix.address["socket_path"])
    sent = run("event", "Deploy done", "all\nwell", "--alert-type", "success",
               "--aggregation-key", "deploy", "--tag", "team:memory", "--tag", "n:1")  # fmt: skip

    assert sent == 0
    assert unix.rest() == [b"_e{11,9}:Deploy done|all\\nwell|k:deploy|t:success|#team:memory,n:1\n"]
    assert capsys.readouterr() == ("", "")
    assert client_threads() == []


def test_the_command_is_a_program(udp):
    env = os.environ | {"DD_AGENT_HOST": "127.0.0.1", "DD_DOGSTATSD_PORT": str(udp.address["port"])}
    argv = [sys.executable, "-m", "metrics", "event", "OpenCode Error", "it broke"]
    subprocess.run(argv, cwd=ROOT, env=env, check=True, timeout=30)

    assert udp.rest() == [b"_e{14,8}:OpenCode Error|it broke|t:info\n"]


def test_the_command_sends_nothing_when_switched_off(monkeypatch, capsys):
    monkeypatch.setenv("OPENCODE_MEM_METRICS", "0")

    assert run("event", "title", "text") == 0
    assert "switched off" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        ((), "required"),
        (("send",), "invalid choice"),
        (("event", "title"), "TEXT"),
        (("event", " ", "text"), "the title is empty"),
        (("event", "title", "text", "--tag", "alone"), "key:value"),
        (("event", "title", "text", "--tag", "a:b c"), "key:value"),
        (("event", "title", "text", "--alert-type", "bad"), "bad"),
        (("event", "title", "text", *["--tag", "a:" + "x" * 128] * 70), "fit"),
    ],
)
def test_a_malformed_command_is_refused_in_one_line(argv, reason, capsys):
    assert run(*argv) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert reason in told.err
    assert told.err.count("\n") == 1


def test_a_bad_setting_is_refused_in_one_line_with_its_name(monkeypatch, capsys):
    monkeypatch.setenv("DD_DOGSTATSD_URL", "tcp://agent")

    assert run("event", "title", "text") == 2
    told = capsys.readouterr().err
    assert "DD_DOGSTATSD_URL" in told
    assert told.count("\n") == 1
