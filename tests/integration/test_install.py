"""`opencode-mem install` on real folders: what it writes, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import memory_manager
from bridge.cli import main
from bridge.install import jsonc, sources

#: As a person has it: comments, tabs, a trailing comma, Windows lines, no line feed at the end.
THEIRS = (
    b'\xef\xbb\xbf{\r\n\t// mine\r\n\t"theme": "x",\r\n\t"plugin": [\r\n\t\t"a", // why\r\n\t]\r\n}'
)


@pytest.fixture
def config():
    """OpenCode's global folder, which is not there yet."""
    return Path(os.environ["XDG_CONFIG_HOME"], "opencode")


@pytest.fixture
def run(capsys):
    """Run the command without the check; its status and its lines."""

    def install(*words):
        status = main(["install", "--no-check", *words])
        out, err = capsys.readouterr()
        return status, out.splitlines() + err.splitlines()

    return install


def snapshot(folder):
    """Every file below with its contents and mode."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def plugins(path):
    return jsonc.parse(path.read_bytes().decode()).value["plugin"]


def test_where_open_code_was_never_started_a_file_is_made_and_removed_again(run, config):
    status, said = run()

    assert status == 0
    assert said[0] == f"made {config}/opencode.jsonc"
    (plugin, options), *rest = plugins(config / "opencode.jsonc")
    assert rest == []
    assert Path(plugin).name == "graphiti-memory.ts"
    assert options == {
        "python": sys.executable,
        "script": str(Path(memory_manager.__file__).with_name("memory_manager.py")),
    }
    assert sources.version_of(Path(plugin)) == memory_manager.__version__
    assert run() == (0, ["already installed"])
    assert run("--uninstall")[0] == 0
    assert not config.exists()
    assert run("--uninstall") == (0, ["not installed: nothing to do"])


def test_a_persons_file_keeps_every_byte_its_mode_and_its_link(run, config, tmp_path):
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "oc.json").write_bytes(THEIRS)
    (dotfiles / "oc.json").chmod(0o640)
    config.mkdir(parents=True)
    (config / "opencode.json").symlink_to(dotfiles / "oc.json")

    assert run()[0] == 0

    assert (config / "opencode.json").is_symlink()
    assert [
        spec if isinstance(spec, str) else "ours" for spec in plugins(dotfiles / "oc.json")
    ] == ["a", "ours"]
    assert stat.S_IMODE((dotfiles / "oc.json").stat().st_mode) == 0o640
    assert (config / "opencode.json.before-opencode-mem").read_bytes() == THEIRS
    assert run("--uninstall")[0] == 0
    assert snapshot(config) == {"opencode.json": (THEIRS, 0o640)}
    assert snapshot(dotfiles) == {"oc.json": (THEIRS, 0o640)}


def test_a_dry_run_shows_the_change_and_writes_nothing(run, config):
    config.mkdir(parents=True)
    (config / "opencode.json").write_bytes(THEIRS)

    status, said = run("--dry-run")

    assert status == 0
    assert [line for line in said if line.startswith("+\t\t[") and "graphiti-memory.ts" in line]
    assert "  \t// mine" not in said
    assert snapshot(config) == {"opencode.json": (THEIRS, 0o644)}


def test_a_broken_configuration_is_told_by_its_place_and_left_alone(run, config):
    config.mkdir(parents=True)
    (config / "opencode.jsonc").write_text('{\n  "plugin": [ "a" "b" ]\n}\n')
    before = snapshot(config)

    status, said = run()

    assert status == 2
    place = f"{config}/opencode.jsonc, line 2, column 19"
    assert said == [f"opencode-mem: {place}: a comma or ] is expected here; correct it first"]
    assert snapshot(config) == before


def test_the_file_whose_list_counts_gets_the_entry(run, config):
    """In the global folder the list of a stronger file hides the weaker one's."""
    config.mkdir(parents=True)
    (config / "opencode.jsonc").write_text('{"theme": "x"}')
    (config / "opencode.json").write_text('{"plugin": ["a"]}')
    (config / "config.json").write_text('{"plugin": ["/old/graphiti-memory.ts"]}')

    run()

    assert (config / "opencode.jsonc").read_text() == '{"theme": "x"}'
    assert plugins(config / "opencode.json")[0] == "a"
    assert len(plugins(config / "opencode.json")) == 2
    assert (config / "config.json").read_text() == '{"plugin": []}'


def test_an_entry_of_another_interpreter_is_set_right_in_its_place(run, config):
    config.mkdir(parents=True)
    (config / "opencode.json").write_text(
        '{"plugin": [["/x/graphiti-memory.ts", {"python": "/gone"}], "b"]} // end\n'
    )

    run()

    ours, other = plugins(config / "opencode.json")
    assert (ours[1]["python"], other) == (sys.executable, "b")
    assert (config / "opencode.json").read_text().endswith(', "b"]} // end\n')


def test_a_folder_of_the_persons_own_is_used(run, config, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCODE_CONFIG_DIR", str(tmp_path / "mine"))

    assert run()[0] == 0

    assert len(plugins(tmp_path / "mine" / "opencode.jsonc")) == 1
    assert not list(config.glob("opencode.json*"))


def git(*words, cwd):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words],
        cwd=cwd,
        check=True,
        capture_output=True,
    )


def test_in_a_worktree_the_worktrees_root_is_meant(run, config, tmp_path, monkeypatch):
    main_folder, other = tmp_path / "main", tmp_path / "other"
    main_folder.mkdir()
    git("init", "-q", cwd=main_folder)
    git("commit", "-q", "--allow-empty", "-m", "one", cwd=main_folder)
    git("worktree", "add", "-q", str(other), cwd=main_folder)
    (other / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(other / "deep" / "er")

    assert run("--project")[0] == 0

    assert len(plugins(other / "opencode.jsonc")) == 1
    assert not list(main_folder.glob("opencode*"))
    assert not list(config.glob("opencode.json*"))
    run("--project", "--uninstall")
    assert not (other / "opencode.jsonc").exists()
    assert not (config / "node_modules").exists()


def test_without_git_the_folder_itself_is_the_project(run, tmp_path, monkeypatch):
    (tmp_path / "p" / ".opencode").mkdir(parents=True)
    (tmp_path / "p" / ".opencode" / "opencode.json").write_text('{"plugin": []}')
    monkeypatch.chdir(tmp_path / "p")

    run("--project")

    assert len(plugins(tmp_path / "p" / ".opencode" / "opencode.json")) == 1
    assert not (tmp_path / "p" / "opencode.jsonc").exists()


def test_the_stand_in_package_is_there_until_its_last_user_is_gone(
    run, config, tmp_path, monkeypatch
):
    (tmp_path / "p").mkdir()
    monkeypatch.chdir(tmp_path / "p")
    run()
    run("--project")

    run("--uninstall")

    lock = json.loads((config / "package-lock.json").read_text())
    assert "@opencode-ai/plugin" in lock["packages"][""]["dependencies"]
    assert run("--project", "--uninstall")[1][0] == f"took our empty package out of {config}"
    assert not config.exists() or not list(config.iterdir())


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("package.json", '{"dependencies": {}}'), ("tool/x.ts", ""), ("plugins/x.js", ""),
        ("tui.json", '{"plugin": ["./x.ts"]}'), ("opencode.json", '{"plugin": ["./own.ts"]}'),
    ],
)  # fmt: skip
def test_a_folder_whose_own_code_may_need_the_package_gets_no_stand_in(run, config, path, content):
    run()
    assert (config / "package-lock.json").exists()
    (config / path).parent.mkdir(exist_ok=True)
    (config / path).write_text(content)

    _, said = run()

    assert not (config / "node_modules").exists()
    assert not (config / "package-lock.json").exists()
    assert any("it installs its own package there" in line for line in said)


def test_a_file_that_can_not_be_written_is_told_in_one_line(run, config):
    if os.getuid() == 0:
        pytest.skip("root may write anywhere")
    config.mkdir(parents=True)
    (config / "opencode.json").write_text("{}")
    config.chmod(0o500)
    try:
        status, said = run()
    finally:
        config.chmod(0o700)

    assert (status, len(said)) == (1, 1)


def test_programs_get_it_as_json(run, config):
    status, said = run("--json")

    answer = json.loads("\n".join(said))
    assert status == 0
    assert answer["file"] == f"{config}/opencode.jsonc"
    assert (answer["ok"], answer["changed"], answer["check"]) == (True, True, [])


def test_without_open_code_the_check_says_so(capsys, config, monkeypatch):
    from bridge.install import trial

    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(trial, "ensure", lambda *_: trial.Trial(ok=True, said="the bridge answers"))

    status = main(["install"])

    assert status == 0
    assert "OpenCode is not on PATH: not tried" in capsys.readouterr().out


def test_three_things_that_memory_knows_are_told_or_that_there_are_none(
    capsys, monkeypatch, tmp_path
):
    from bridge.asking import Bridge

    rows = [{"title": f"t{n}", "summary": f"did \x1b[31m{n}", "last_at": 1.0} for n in range(5)]
    answers = {"projects": {"projects": [{"group": "g_known", "root": str(tmp_path)}]}}
    asked = []

    def answer(_bridge, method, params=None, **_):
        asked.append((method, params))
        return answers.get(method) or {"sessions": rows if params["group"] == "g_known" else []}

    monkeypatch.setattr(Bridge, "asked", answer)
    monkeypatch.chdir(tmp_path)

    assert main(["known"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("ago: ")[2] for line in lines[1:]] == [
        "did [31m0",
        "did [31m1",
        "did [31m2",
    ]
    answers["projects"] = {"projects": []}
    assert main(["known"]) == 0
    assert "knows nothing about" in capsys.readouterr().out
