from __future__ import annotations

import pytest

from memory_manager.extract import commands, testruns
from memory_manager.extract.commands import Outcome


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("pytest", "pytest"),
        ("cd /work/x && pytest -q --tb=short 2>&1 | tail -20", "pytest"),
        ("PYTHONPATH=. FOO='a b' uv run --frozen pytest tests/test_a.py -x -vv", "pytest tests/test_a.py"),
        (".venv/bin/python -m pytest -n 4 -k cart", "pytest -k cart"),
        ("timeout 60 npx vitest run --reporter=dot", "vitest run"),
        ("go test ./... -run TestX -count=1 -v", "go test ./... -run TestX"),
        ("npm run build && npm test", "npm run build && npm test"),
        ("make lint || true", "make lint"),
        ("cargo build > /tmp/log 2>&1; echo $?", "cargo build"),
        ("git commit -m 'one thing'", "git commit"),
        ("git -C /x/y push origin main", "git push origin main"),
        ("git commit -m \"$(cat <<'EOF'\nlong && text\nEOF\n)\"", "git commit"),
        ("cat > a.py <<EOF\nrm -rf /\nEOF\npython3 a.py", "cat; python3 a.py"),
        ("python script.py /tmp/pytest-12/x.db", "python script.py <tmp>"),
        ("git show 3f2a9bc1d", "git show <hash>"),
        ("ls \\\n  -la", "ls -la"),
        ("echo bash > bash.txt && rm gone.txt", "echo bash && rm gone.txt"),
        ("echo 'a && b' | grep a", "echo 'a && b'"),
        ("ruff check /work/p/src", "ruff check src"),
        ("", "(empty)"),
    ],
)  # fmt: skip
def test_a_command_has_one_spelling(line, name):
    assert commands.read(line, "/work/p").name == name


@pytest.mark.parametrize(
    ("line", "status", "shows", "expected"),
    [
        ("pytest", 0, False, Outcome.PASSED),
        ("pytest", 1, False, Outcome.FAILED),
        ("pytest | tail -5", 0, True, Outcome.FAILED),
        ("pytest || true", 0, True, Outcome.FAILED),
        ("pytest", 0, True, Outcome.PASSED),
        ("pytest", None, True, Outcome.FAILED),
        ("pytest", None, False, Outcome.UNKNOWN),
        ("grep -r x src", 1, False, Outcome.UNKNOWN),
        ("grep -r x src", 2, False, Outcome.FAILED),
        ("git diff --quiet", 1, False, Outcome.UNKNOWN),
        ("git push", 1, False, Outcome.FAILED),
    ],
)
def test_what_an_exit_status_says(line, status, shows, expected):
    assert commands.outcome(commands.read(line), status, shows_failure=shows) is expected


@pytest.mark.parametrize(
    ("line", "looking", "showing"),
    [
        ("ls -la src", True, True),
        ("cd x && git status", True, True),
        ("grep -n x a.py | head", True, True),
        ("git log --oneline", False, True),
        ("gh pr view 12", False, True),
        ("cat a > b", False, False),
        ("find . -name x -delete", False, False),
        ("ls && make", False, False),
    ],
)
def test_commands_that_only_look(line, looking, showing):
    command = commands.read(line)
    assert (command.looking, command.showing) == (looking, showing)


RESULTS = [
    ("FAILED tests/test_a.py::test_x[1] - assert 1 == 2\n", {"tests/test_a.py::test_x[1]": False}),
    ("tests/a.py::test_x PASSED  [ 50%]\ntests/a.py::test_y FAILED [100%]\n",
     {"tests/a.py::test_y": False, "tests/a.py::test_x": True}),
    ("--- FAIL: TestCart (0.01s)\n    --- PASS: TestCart/empty (0.00s)\n",
     {"TestCart": False, "TestCart/empty": True}),
    ("ok  \tgithub.com/a/b\t0.3s\nFAIL\tgithub.com/a/c\t0.1s\nFAIL\n", {}),
    ("test cart::adds ... ok\ntest cart::sums ... FAILED\n",
     {"cart::sums": False, "cart::adds": True}),
    ("PASS src/a.test.ts\n  ✓ adds (5 ms)\n  ✕ sums (12 ms)\n",
     {"sums": False, "src/a.test.ts": True, "adds": True}),
    ("(pass) adds one [1.20ms]\n(fail) sums [3ms]\n", {"sums": False, "adds one": True}),
    ("FAIL: test_x (shop.test_a.Cart)\n", {"test_x (shop.test_a.Cart)": False}),
    ("CartTest > adds PASSED\n", {"CartTest > adds": True}),
    ("[ERROR]   CartTest.adds:12 expected 1\n", {"CartTest.adds": False}),
    ("1/2 Test #1: parse ........   Passed    0.01 sec\n2/2 Test #2: lex .....***Failed  0.1 sec\n",
     {"lex": False, "parse": True}),
    ("ok 1 - adds\nnot ok 2 - sums # time=2ms\n", {"sums": False, "adds": True}),
    ("All good. ok then\n", {}),
]  # fmt: skip


@pytest.mark.parametrize(("output", "expected"), RESULTS, ids=lambda v: str(v)[:16])
def test_results_of_each_runner(output, expected):
    assert testruns.results(output) == expected


def test_a_test_that_fails_and_passes_in_one_run_has_failed():
    assert testruns.results("--- PASS: TestA (0s)\n--- FAIL: TestA (0s)\n") == {"TestA": False}
