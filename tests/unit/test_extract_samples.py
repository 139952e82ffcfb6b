"""Payloads that OpenCode really sent, turned into events, give the facts one would expect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memory_manager.extract import extract
from memory_manager.model import EventKind, RawEvent
from memory_manager.paths import normalise

SAMPLES = Path(__file__).parent.parent / "samples" / "opencode-1.18.33"
ROOT = "/project"


def recorded(name):
    """The sessions of a recording as raw events, as the hook layer makes them."""
    events, task = [], {}
    for number, line in enumerate((SAMPLES / name).read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        session = row.get("input", {}).get("sessionID", "")

        def add(kind, said, /, session=session, number=number, row=row, **metadata):
            metadata = {"type": kind.value, "directory": ROOT, **metadata}
            events.append(RawEvent(f"e{number}-{len(events)}", "g", session, kind, row["ts"], said, metadata))  # fmt: skip

        match row["hook"], row.get("type", ""):
            case "chat.message", _:
                text = row["output"]["parts"][0]["text"]
                task[session] = text
                add(EventKind.PROMPT, text)
            case "tool.execute.after", _:
                _tool(add, row["input"], row["output"])
            case "event", "session.error":
                properties = row["input"]["properties"]
                error = properties["error"]
                add(
                    EventKind.ERROR,
                    f"Error: {error['data']['message']}",
                    session=properties["sessionID"],
                    name=error["name"],
                )
            case "event", "session.idle":
                idle = row["input"]["properties"]["sessionID"]
                add(EventKind.SUCCESS, "Completed", session=idle, task=task.get(idle, ""))
    return events


def _tool(add, called, result):
    args, metadata = called["args"], result["metadata"]
    match called["tool"]:
        case "write" | "edit":
            path = normalise(args["filePath"], ROOT)
            change = "added" if metadata.get("exists") is False else "modified"
            more = {"diff": metadata["diff"]} if "diff" in metadata else {}
            if "content" in args:
                more["content"] = args["content"]
            add(EventKind.FILE_EDIT, f"Modified: {path}", path=path, change=change, **more)
        case "apply_patch":
            for file in metadata["files"]:
                old = normalise(file["filePath"], ROOT)
                path = normalise(file.get("movePath", old), ROOT)
                change = {"add": "added", "move": "moved", "delete": "deleted"}[file["type"]]
                add(
                    EventKind.FILE_EDIT, f"{change}: {path}", path=path, old_path=old,
                    change=change, diff=file["patch"],
                )  # fmt: skip
        case "bash":
            add(
                EventKind.COMMAND, f"$ {args['command']}", command=args["command"],
                exit=metadata["exit"], output=metadata["output"],
            )  # fmt: skip
        case tool:
            add(EventKind.TOOL, result["output"], tool=tool)


@pytest.fixture(scope="module", params=["full.jsonl", "files.jsonl"])
def recording(request):
    found = extract("g", recorded(request.param))
    names = {entity.uuid: entity.name for entity in found.entities}
    triples = {(names[f.source][:3], f.relation, names[f.target]) for f in found.facts}
    return request.param, found, triples


def test_what_a_recording_comes_to(recording):
    name, _, triples = recording
    if name == "full.jsonl":
        assert {
            ("ses", "MODIFIED", "app.py"),
            ("app", "IN", "."),
            ("ech", "FAILED_WITH", "exit status 3: err"),
            ("ses", "HIT", "APIError: bad request scripted"),
            ("ses", "WORKED_ON", "Create app.py then edit it, then run it"),
            ("ses", "COMPLETED", "Create app.py then edit it, then run it"),
        } <= triples
        assert not {target for _, relation, target in triples if relation == "FIXED_BY"}
    else:
        assert {
            ("ses", "MODIFIED", "new.txt"),
            ("ses", "MODIFIED", "old.txt"),
            ("old", "MOVED", "moved.txt"),
            ("ses", "DELETED", "new.txt"),
            ("ses", "MODIFIED", "added.txt"),
            ("new", "CHANGED_WITH", "old.txt"),
        } <= triples
        assert ("ech", "PASSED") in {triple[:2] for triple in triples}


def test_every_episode_is_one_event(recording):
    _, found, _ = recording
    assert len({episode.event_id for episode in found.episodes}) == len(found.episodes)
    assert all(episode.content.strip() for episode in found.episodes)
