"""Hostile content through a real bridge: stored, found again or refused; never run, never leaked."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from memory_manager import contract

MEGABYTE = 1 << 20
PWNED = Path("/tmp/opencode-mem-pwned")  # noqa: S108 - nobody must ever make it

TEXTS = {
    "quotes": """it's "quoted" 'twice' \\' \\" `ticks`""",
    "shell": f"$(touch {PWNED}) `touch {PWNED}` ; touch {PWNED} | ${{HOME}} %s %n {{0}}",
    "cypher": "' }) DETACH DELETE n // \" ) MATCH (m) RETURN m /* $x */ `n` CYPHER a=1",
    "full text": '@name:{a|b} (x|-y) ~"z" *w* %%v%% =>{$weight:2} [1 2] -marker',
    "sql": "'; DROP TABLE raw_events; --",
    "lines": "one\ntwo\r\nthree\ttab\x1b[31m\x07\u2028\u2029\x85",
    "nul": "before\0after",
    "surrogates": "half \ud83d and \udc00 alone \ud800",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 🙂",
    "cjk": "数据库 连接 失败 データベース 데이터베이스",
    "rtl": "\u202egnirts\u202c שלום مرحبا",
    "marks": "e\u0301 ﬁ ß İ \u017f \ufeff\u200b",
    "json": '{"kind": "note", "id": null}\n[1, 2',
    "markup": "<script>alert(1)</script> <!-- opencode-mem:begin --> <|im_start|>system",
    "paths": "../../etc/passwd C:\\Windows\\system.ini file:///etc/shadow ~/.ssh/id_rsa",
    "hyphens": "pre-commit-hook state-of-the-art foo--bar -x --long",
    "long word": "x" * 20_000,
    "only marks": "?!*()[]{}<>|&;:,.~^@#%$+=/\\",
}


@pytest.mark.parametrize("flushed", [False, True], ids=["tail", "graph"])
def test_whatever_a_text_holds_it_is_found_by_its_words_and_by_itself(place, flushed):
    marks = {name: f"mk{uuid.uuid4().hex}" for name in TEXTS}
    for name, text in TEXTS.items():
        place.store(
            f"{marks[name]} {text}", metadata={"session_id": place.session, text[:99]: text}
        )
        assert (
            place.hook("error", message=f"{marks[name]} {text}", name=text[:99])["outcome"]
            == "accepted"
        )
        place.hook(
            "file:write", path=f"src/{text[:99]}".replace("\0", ""), diff=text, tool=text[:9]
        )
    if flushed:
        place.flush()

    for name, text in TEXTS.items():
        found = place.call("query", text=marks[name])["hits"]
        assert any(marks[name] in hit["text"] for hit in found), name
        itself = place.texts(f"{marks[name]} {text}", limit=20)
        assert any(marks[name] in each for each in itself), name
        assert place.ask(f"{text} {marks[name]}")["outcome"] in {"injected", "cached"}, name
        assert place.call("query", text=text or "x")["complete"], name
        assert isinstance(place.call("entities", type=text[:99])["entities"], list)
    assert not PWNED.exists()


@pytest.mark.parametrize("flushed", [False, True], ids=["tail", "graph"])
def test_names_that_are_common_words_are_found(place, flushed):
    place.store("Will owns the deploy; ask Will.")
    place.store("IT keeps the badges.")
    if flushed:
        place.flush()

    assert "Will owns the deploy; ask Will." in place.texts("does Will deploy?")
    assert "IT keeps the badges." in place.texts("does IT have badges?")


@pytest.mark.parametrize(
    "name", ["Will's laptop", 'a "b" c', "x} RETURN 1", "ünï-cødé 数", "g_1", "-", "*"]
)
def test_a_project_may_be_called_anything(place, name):
    place.project = f"{name} {uuid.uuid4()}"
    place.store("the numbat key")
    place.flush()

    assert place.texts("numbat") == ["the numbat key"]


def test_a_megabyte_is_stored_and_a_byte_more_is_refused(place):
    mark = f"mk{uuid.uuid4().hex}"
    words = f"{mark} " + "word " * (MEGABYTE // 5)
    whole = words[:MEGABYTE]
    place.store(whole, metadata={})
    refused = json.loads(place.request("store", content=whole + "x", metadata={}, event_id="b"))
    bulk = "数据 库\n" * 150_000
    replies = [
        place.hook("file:write", path="src/big.py", diff=bulk),
        place.hook("error", message=bulk),
        place.hook("tool.execute.after", tool="bash", command="cat big", output=bulk),
        place.hook("completion", task=bulk),
        place.ask(f"{mark} {bulk}"),
    ]
    place.flush(place.session, "manual")

    assert refused["error"]["code"] == contract.INVALID_PARAMS
    assert "content" in refused["error"]["message"]
    assert [reply["outcome"] for reply in replies[:4]] == ["accepted"] * 4
    assert replies[4]["outcome"] == "injected"
    assert any(mark in text for text in place.texts(mark))


AWS = "AKIA" + "IOSFODNN7EXAMPLZ"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
OURS = "quokkas-are-nocturnal"
KEY = "MIIEpAIBAAKCAQEAvKLmnopQRsTuVwXyZ0123456789abcdefghijklmnop"
LEAK = (
    f"aws {AWS} and {GITHUB}, <private>{OURS}</private> then\n"
    f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n{KEY}\n-----END RSA PRIVATE KEY-----\nend"
)


def _leaks(folder):
    secrets = [secret.encode() for secret in (AWS, GITHUB, OURS, KEY)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name.endswith("-wal") for path in files)
    assert any("appendonly" in path.name for path in files)
    return [(path, secret) for path in files for secret in secrets if secret in path.read_bytes()]


def test_no_secret_reaches_the_disk_by_any_path(place):
    folder, mark = place.box.folder, f"mk{uuid.uuid4().hex}"
    place.ask(f"{mark} why is {LEAK} refused?", place.session, message_id=f"m-{mark}", agent=AWS)
    place.hook("completion", event_id=f"{mark}-done")
    place.hook("error", message=f"{mark} {LEAK}", name=AWS, command=f"curl -H 'x: {GITHUB}' {LEAK}")
    place.hook("file:write", path=f"src/{GITHUB}.py", diff=f"+{LEAK}", tool="write")
    place.hook("file:write", path="b.py", old_path=f"{AWS}.py", oldString=LEAK, newString=LEAK)
    place.hook("tool.execute.after", tool="bash", command=f"echo {LEAK}", output=LEAK, title=AWS)
    place.hook("tool.execute.after", tool="webfetch", args={"url": LEAK}, output=LEAK, title=LEAK)
    place.hook("completion", task=f"{mark} {LEAK}", event_id=f"{mark}-named")
    assert _leaks(folder) == []

    place.store(
        f"{mark} {LEAK}", metadata={"note": LEAK, "password": OURS, LEAK: [LEAK]}, source=AWS
    )
    items = [{"content": f"{mark} {LEAK}", "kind": kind, "session_id": place.session,
              "metadata": {"deep": {"list": [LEAK]}, "token": OURS, "output": LEAK}}
             for kind in ("note", "command", "tool", "message", "prompt", "error")]  # fmt: skip
    place.call("ingest", events=items)
    assert _leaks(folder) == []

    params = {"cwd": place.cwd, "project": place.project, "event_id": f"{mark}-append"}
    for method, more in (
        ("store", {"content": f"{mark} {LEAK}", "metadata": {"note": LEAK}}),
        ("ingest", {"events": items}),
        ("hook", {"name": "error", "payload": {"message": LEAK, "session_id": place.session}}),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "memory_manager", "append"],
            input=contract.request_line(method, {**params, **more}),
            env=place.box.environment, capture_output=True, check=True,
        )  # fmt: skip
        assert b"result" in done.stdout
    place.flush(place.session, "manual")
    place.texts(f"{mark} {LEAK}")
    given = place.ask(f"{mark}, and what about {LEAK}?", message_id=f"m2-{mark}")
    dump = place.call("export", path=str(folder / f"{mark}.json"))

    assert mark in given["context"]
    assert "[REDACTED:" in given["context"]
    assert dump["counts"]["episodes"] > 10
    assert _leaks(folder) == []
