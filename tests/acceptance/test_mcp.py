"""`opencode-mem mcp`, spoken to by the SDK's own client over stdio, on a real bridge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid

import pytest
from mcp import Client, StdioServerParameters

NAMES = {"recall", "remember", "file_history", "error_fixes", "decisions", "changes"}


def server(box, *arguments):
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "bridge", "mcp", *arguments],
        env=box.environment,
        cwd=str(box.folder),
    )


def text_of(result):
    (content,) = result.content
    return content.text


@pytest.fixture
def named():
    return f"p-{uuid.uuid4().hex}"


async def test_the_tools_are_described_and_what_only_reads_says_so(box):
    async with Client(server(box)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert tools.keys() == NAMES
    for name, tool in tools.items():
        assert tool.annotations.read_only_hint is (name != "remember")
        assert len(tool.description) > 60
        assert tool.input_schema["properties"].keys() >= {"cwd", "project"}
    assert tools["recall"].input_schema["required"] == ["query"]


async def test_what_one_client_remembers_another_recalls(box, named):
    async with Client(server(box, "--project", named)) as client:
        said = await client.call_tool("remember", {"content": "The cart expires after 30 minutes"})
        assert text_of(said).startswith("Remembered")
    async with Client(server(box)) as client:
        asked = {"query": "when does the cart expire?"}
        known = await client.call_tool("recall", {**asked, "project": named})
        unknown = await client.call_tool("recall", asked)

    assert "The cart expires after 30 minutes" in text_of(known)
    assert "knows nothing" in text_of(unknown)
    assert not known.is_error


async def test_every_tool_answers(box, named):
    async with Client(server(box, "--project", named)) as client:
        for name, args in (
            ("file_history", {"path": "a.py"}),
            ("error_fixes", {"message": "KeyError: 'x'"}),
            ("decisions", {}),
            ("changes", {"since": "7d"}),
        ):
            result = await client.call_tool(name, args)
            assert not result.is_error
            assert "project" in text_of(result)


async def test_what_does_not_exist_is_a_failed_call_and_not_the_end(box):
    async with Client(server(box)) as client:
        assert (await client.call_tool("forget", {})).is_error
        assert "Call it so" in text_of(await client.call_tool("recall", {"query": ""}))


async def test_without_a_bridge_one_is_started(processes):
    from bridge.sandbox import sandbox

    with sandbox(processes.calm) as box:
        async with Client(server(box)) as client:
            result = await client.call_tool("decisions", {})
        assert not result.is_error
        assert "no decisions" in text_of(result)
        with box.line() as line:
            pid = line.call("ping")["pid"]
            line.call("stop")
        processes.gone([pid])


def test_it_ends_with_stdin_and_stdout_has_nothing_but_the_protocol(box):
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "mcp"],
        input="nonsense\n" + json.dumps(hello) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=box.environment,
        cwd=box.folder,
    )

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(line["jsonrpc"] == "2.0" for line in lines)
    assert any(line.get("id") == 1 and "result" in line for line in lines)
    assert done.returncode == 0


def test_without_the_package_one_line_says_what_installs_it(box, tmp_path):
    (tmp_path / "mcp.py").write_text("raise ModuleNotFoundError('no', name='mcp')\n")
    paths = os.pathsep.join([str(tmp_path), box.environment["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "mcp"],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**box.environment, "PYTHONPATH": paths},
        cwd=box.folder,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "opencode-mem: the MCP server's package is not installed: run ./dev setup mcp"
    ]
