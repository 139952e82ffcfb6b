"""The demo on a terminal, or as JSON."""

from __future__ import annotations

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from bridge.context.render import HEAD, TAIL
from bridge.demo import story as steps
from bridge.demo.listener import Listener
from bridge.demo.story import Looked, Story
from bridge.sandbox import Line, sandbox
from memory_manager import contract

_NEXT = """\
./dev run status                                     how the bridge of your own data folder is
.venv/bin/python memory_manager/memory_manager.py store 'We decided …'
.venv/bin/python memory_manager/memory_manager.py query 'what did we decide?'
./dev test                                           every test, on the real engines
./dev bench hooks                                    the figures, on this machine"""

#: Relations worth a line in the small picture, most telling first.
_TELLING = ("FAILED_WITH", "OCCURRED_IN", "FIXED_BY", "DECIDED", "PREFERS", "AVOIDS", "MOVED")


def run(*, as_json: bool) -> int:
    """Run the demo; 0 when every step came out as it should, else 1."""
    told = Story()
    console = Console(stderr=as_json, quiet=as_json, highlight=False)
    with Listener() as listener:
        settings = {
            "DD_AGENT_HOST": "127.0.0.1",
            "DD_DOGSTATSD_PORT": str(listener.port),
            # What is shown is what the hooks do. How fast they are is the benchmark's to say: a
            # machine that is busy, or whose disk stalls, must not make the demo look broken.
            "OPENCODE_MEM_CHAT_DEADLINE_MS": "30000",
            "OPENCODE_MEM_HOOK_DEADLINE_MS": "30000",
        }
        with sandbox(settings) as box:
            _heading(console, "1", "A bridge in a temporary folder")
            steps.begin(box, told)
            console.print(
                f"  takes hooks after {told.started_ms:.0f} ms; "
                f"FalkorDB, Valkey and the flush worker are in after {told.live_ms:.0f} ms"
            )
            with box.line() as line:
                _replay(console, line, told)
                steps.flush(line, told)
                steps.look_inside(box, line, told)
                _stored(console, told)
                steps.ask(line, told)
                _answers(console, told)
                steps.miss_then_hit(line, told)
                steps.outdate_one(line, told)
                _cache(console, told)
            box.stop()
            steps.heard(listener, told)
            _metrics(console, told)
    _picture(console, told)
    _heading(console, "8", "What to type next")
    console.print(Text(_NEXT, style="cyan"))
    for fault in told.faults:
        console.print(f"[red]This went wrong:[/red] {fault}", markup=True)
    if as_json:
        print(told.json())
    return contract.FAILED if told.faults else contract.DONE


def _heading(console: Console, number: str, text: str) -> None:
    console.print(f"\n[bold green]{number}[/bold green] [bold]{text}[/bold]")


def _replay(console: Console, line: Line, told: Story) -> None:
    recorded = steps.recording()
    _heading(console, "2", f"A recorded session of the real OpenCode: {len(recorded)} hook calls")
    if console.is_terminal:
        columns = (TextColumn("  replaying"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=len(recorded))
            steps.replay(line, told, recorded, lambda: progress.advance(task))
    else:
        steps.replay(line, told, recorded, lambda: None)
    for name, count in told.hooks.items():
        console.print(f"  {count:4}  {name}")
    words = ", ".join(f"{count} {word}" for word, count in told.outcomes.items())
    console.print(f"  outcomes: {words}; median {told.hook_median_ms:.2f} ms, on disk each")


def _stored(console: Console, told: Story) -> None:
    _heading(console, "3", "What was stored")
    numbers = ", ".join(f"{count} {kind}" for kind, count in told.stored.items())
    console.print(f"  {numbers}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in told.entities.items())
    console.print(f"  {kinds}")


def _answers(console: Console, told: Story) -> None:
    _heading(console, "4", "Three questions of a new session")
    for answer in told.answers:
        shown = answer.context.removeprefix(HEAD).removesuffix(TAIL).strip()
        body = Text("\n".join(shown.splitlines()[1:7]), overflow="ellipsis", no_wrap=True)
        title = f"{answer.question}  ({answer.outcome}, {answer.ms:.1f} ms)"
        console.print(Panel(body, title=title, title_align="left", border_style="dim"))


def _cache(console: Console, told: Story) -> None:
    _heading(console, "5", "Miss, then hit; then a write outdates exactly one of two answers")
    table = Table(box=None, pad_edge=False, show_header=False)
    looks: list[tuple[str, Looked | None]] = [("asked", told.missed), ("asked again", told.hit)]
    looks += [("cached", look) for look in told.before_write]
    looks += [(f"after a write to {steps.WRITTEN}", look) for look in told.after_write]
    colours = {"hit": "green", "miss": "yellow", "outdated": "magenta"}
    for when, look in looks:
        if look is not None:
            word = f"[{colours.get(look.cache, 'red')}]{look.cache}[/]"
            table.add_row("  " + when, look.question, word, f"{look.ms:.2f} ms")
    console.print(table)


def _metrics(console: Console, told: Story) -> None:
    _heading(console, "6", f"DogStatsD: {len(told.statsd)} lines came to a loopback listener")
    for name, count in told.metrics.items():
        console.print(f"  {count:4}  {name}")
    shown: set[str] = set()
    for text in told.statsd:
        name = text.partition(":")[0]
        if name not in shown and any(
            word in name for word in ("cache_hit", "query_duration", "tokens.used", "_e{")
        ):
            shown.add(name)
            console.print(Text("  " + text, style="dim", overflow="ellipsis", no_wrap=True))


def _picture(console: Console, told: Story) -> None:
    _heading(console, "7", "The graph, a small part of it")
    tree = Tree(Text(steps.PROJECT, style="bold"))
    for relation in _TELLING:
        facts = [fact for fact in told.facts if fact["relation"] == relation]
        if not facts:
            continue
        branch = tree.add(f"[cyan]{relation}[/cyan] ({len(facts)})")
        for fact in facts[:3]:
            ended = "  (closed)" if fact["invalid_at"] else ""
            text = f"{fact['source']} → {fact['target']}{ended}"
            branch.add(Text(text, overflow="ellipsis", no_wrap=True))
    console.print(tree)
