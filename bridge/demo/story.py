"""The demo's steps: each does one thing with a real bridge and gives what it saw as a value."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING

from bridge.demo.replay import Call, calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.demo.listener import Listener
    from bridge.sandbox import Line, Sandbox
    from memory_manager.model import Json

#: Where the recorded project stood, and its name.
DIRECTORY, PROJECT = "/project", "checkout (demo)"

QUESTIONS = (
    "How often may the payment client retry?",
    "Why were prices wrong with more than one coupon, and how was it fixed?",
    "What broke the migration in src/checkout/migrate.py?",
)
#: Two questions about different files, and the file that is written between asking them again.
ABOUT_WRITTEN = "What was changed in src/checkout/migrate.py?"
ABOUT_OTHER = "What was changed in src/checkout/retry.py?"
WRITTEN = "src/checkout/migrate.py"


@dataclass(frozen=True, slots=True)
class Answered:
    """A question through the chat:start hook: what came of it, and its time in ms."""

    question: str
    outcome: str
    context: str
    ms: float


@dataclass(frozen=True, slots=True)
class Looked:
    """A question's cache outcome, and its time in ms."""

    question: str
    cache: str
    ms: float


@dataclass(slots=True)
class Story:
    """Everything that the demo saw; `faults` is empty when the product did its whole job."""

    started_ms: float = 0.0
    live_ms: float = 0.0
    hooks: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    hook_median_ms: float = 0.0
    flushed: dict[str, Json] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)
    entities: dict[str, int] = field(default_factory=dict)
    facts: list[dict[str, Json]] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    missed: Looked | None = None
    hit: Looked | None = None
    before_write: list[Looked] = field(default_factory=list)
    after_write: list[Looked] = field(default_factory=list)
    statsd: list[str] = field(default_factory=list)
    metrics: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def json(self) -> str:
        """For machines."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)


def recording() -> list[Call]:
    """The recorded session of the real OpenCode that ships with the product."""
    text = files("bridge.demo").joinpath("recording.jsonl").read_text(encoding="utf-8")
    return list(calls(text.splitlines()))


def begin(box: Sandbox, story: Story) -> None:
    """Start the bridge: it takes hooks at once, its engines come in behind."""
    began = time.perf_counter()
    box.start()
    story.started_ms = _since(began)
    box.until_live()
    story.live_ms = _since(began)


def replay(line: Line, story: Story, recorded: list[Call], tick: Callable[[], None]) -> None:
    """Every hook call of the recording, as the plugin makes it."""
    times: list[float] = []
    outcomes: Counter[str] = Counter()
    notes: list[str] = []
    for call in recorded:
        began = time.perf_counter()
        reply = _hook(line, call.hook, call.payload)
        times.append(_since(began))
        outcomes[str(reply["outcome"])] += 1
        if reply["outcome"] in {"invalid", "failed"}:
            notes.append(f"{call.hook}: {reply.get('note', '')}")
        tick()
    story.hooks = dict(Counter(call.hook for call in recorded))
    story.outcomes = dict(outcomes)
    story.hook_median_ms = sorted(times)[len(times) // 2]
    story.faults += [f"a hook failed: {note}" for note in notes]


def flush(line: Line, story: Story) -> None:
    """What was spooled becomes episodes, entities and facts."""
    report = line.call("flush")
    story.flushed = report if isinstance(report, dict) else {}
    if story.flushed.get("failed") or not story.flushed.get("episodes"):
        story.faults.append(f"the flush: {report}")


def look_inside(box: Sandbox, line: Line, story: Story) -> None:
    """The graph, as an export shows it."""
    path = box.folder / "export.json"
    line.call("export", path=str(path), cwd=DIRECTORY, project=PROJECT)
    dump = json.loads(path.read_text(encoding="utf-8"))
    kinds = ("episodes", "entities", "facts", "mentions")
    story.stored = {kind: len(dump[kind]) for kind in kinds}
    story.entities = dict(Counter(entity["type"] for entity in dump["entities"]).most_common())
    names = {entity["uuid"]: entity["name"] for entity in dump["entities"]}
    story.facts = [
        {
            "source": names.get(fact["source"], "?"),
            "relation": fact["relation"],
            "target": names.get(fact["target"], "?"),
            "text": fact["text"],
            "invalid_at": fact["invalid_at"],
        }
        for fact in dump["facts"]
    ]


def ask(line: Line, story: Story) -> None:
    """Three questions of a new session, through the hook."""
    for number, question in enumerate(QUESTIONS):
        began = time.perf_counter()
        reply = _hook(
            line,
            "chat:start",
            {"query": question, "session_id": "ses_new", "message_id": f"msg_new_{number}"},
        )
        answer = Answered(
            question, str(reply["outcome"]), str(reply.get("context", "")), _since(began)
        )
        story.answers.append(answer)
        if not answer.context:
            story.faults.append(f"no context for {question!r}: {reply}")


def miss_then_hit(line: Line, story: Story) -> None:
    """The same question twice."""
    story.missed = _look(line, "Which exception made the payment tests fail at first?")
    story.hit = _look(line, "Which exception made the payment tests fail at first?")
    if (story.missed.cache, story.hit.cache) != ("miss", "hit"):
        story.faults.append(f"miss, then hit: {story.missed.cache}, {story.hit.cache}")


def outdate_one(line: Line, story: Story) -> None:
    """Two cached answers, a write to a file that one of them depends on, and both asked again."""
    for question in (ABOUT_WRITTEN, ABOUT_OTHER):
        _look(line, question)
        story.before_write.append(_look(line, question))
    _hook(line, "file:write", {"path": WRITTEN, "session_id": "ses_new", "event_id": "demo-write"})
    story.after_write = [_look(line, question) for question in (ABOUT_WRITTEN, ABOUT_OTHER)]
    words = [look.cache for look in (*story.before_write, *story.after_write)]
    if words != ["hit", "hit", "outdated", "hit"]:
        story.faults.append(f"a write should outdate exactly one of two answers: {words}")


def heard(listener: Listener, story: Story) -> None:
    """What the metrics listener got; called once the bridge has ended and sent everything."""
    story.statsd = listener.lines
    story.metrics = dict(listener.counts().most_common())
    wanted = {
        "opencode.memory.cache_hit",
        "opencode.memory.cache_miss",
        "opencode.memory.query_duration",
        "opencode.tokens.used",
        "OpenCode Error",
    }
    if missing := wanted - story.metrics.keys():
        story.faults.append(f"metrics that never came: {sorted(missing)}")


def _look(line: Line, question: str) -> Looked:
    began = time.perf_counter()
    answer = line.call("query", text=question, cwd=DIRECTORY, project=PROJECT)
    cache = answer["cache"] if isinstance(answer, dict) else "?"
    return Looked(question, str(cache), _since(began))


def _hook(line: Line, name: str, payload: dict[str, Json]) -> dict[str, Json]:
    reply = line.call("hook", name=name, payload=payload, cwd=DIRECTORY, project=PROJECT)
    return reply if isinstance(reply, dict) else {}


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
