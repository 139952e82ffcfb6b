from __future__ import annotations

import pytest

from memory_manager.extract.failures import failures
from memory_manager.extract.steady import last_line, steady

FORMATS = {
    "python": (
        ('Traceback (most recent call last):\n  File "/usr/lib/python3.12/runpy.py", line 3, in x\n'
        '  File "/work/p/src/a.py", line 12, in <module>\n    f()\n'
        "shop.errors.CartError: no item 3\n"),
        "CartError: no item 3", ("src/a.py",),
    ),
    "python chain": (
        ('Traceback (most recent call last):\n  File "a.py", line 1, in f\nKeyError: \'x\'\n\n'
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "b.py", line 2, in g\nValueError: bad\n'),
        "ValueError: bad", ("b.py",),
    ),
    "python syntax": (
        '  File "src/a.py", line 3\n    def (\n        ^\nSyntaxError: invalid syntax\n',
        "SyntaxError: invalid syntax", ("src/a.py",),
    ),
    "pytest": (
        ("    def test_x():\n>       assert 1 == 2\nE       AssertionError: assert 1 == 2\n\n"
        "tests/test_a.py:12: AssertionError\n"),
        "AssertionError: assert 1 == 2", ("tests/test_a.py",),
    ),
    "pytest summary": (
        "FAILED tests/test_a.py::test_x - ValueError: bad\n",
        "ValueError: bad", ("tests/test_a.py",),
    ),
    "javascript": (
        ("TypeError: cart.total is not a function\n    at sum (/work/p/src/cart.js:10:5)\n"
        "    at Object.<anonymous> (/work/p/node_modules/jest/x.js:1:2)\n"),
        "TypeError: cart.total is not a function", ("src/cart.js",),
    ),
    "node": (
        "node:internal/modules:1\nError: Cannot find module './own'\n    at file:///work/p/main.mjs:1:1\n",
        "Error: Cannot find module './own'", ("main.mjs",),
    ),
    "typescript": (
        "src/a.ts(10,5): error TS2322: Type 'x' is not assignable.\n",
        "TS2322: Type 'x' is not assignable.", ("src/a.ts",),
    ),
    "typescript pretty": (
        "src/a.ts:10:5 - error TS2322: Type 'x' is not assignable.\n",
        "TS2322: Type 'x' is not assignable.", ("src/a.ts",),
    ),
    "go compiler": (
        "# github.com/a/b\n./cart/cart.go:10:5: undefined: total\n",
        "CompileError: undefined: total", ("cart/cart.go",),
    ),
    "go panic": (
        ("panic: runtime error: index out of range [3]\n\ngoroutine 1 [running]:\nmain.main()\n"
        "\t/work/p/main.go:10 +0x1d\nexit status 2\n"),
        "panic: runtime error: index out of range [3]", ("main.go",),
    ),
    "go test": (
        "--- FAIL: TestCart (0.00s)\n    cart_test.go:12: got 1, want 2\nFAIL\n",
        "TestFailure: got 1, want 2", (),
    ),
    "rust compiler": (
        "error[E0382]: borrow of moved value: `x`\n --> src/main.rs:4:5\n",
        "E0382: borrow of moved value: `x`", ("src/main.rs",),
    ),
    "rust panic": (
        "thread 'main' panicked at src/main.rs:2:5:\nno cart\nnote: run with RUST_BACKTRACE\n",
        "panic: no cart", ("src/main.rs",),
    ),
    "rust panic of old": (
        "thread 'main' panicked at 'no cart', src/main.rs:2:5\n",
        "panic: no cart", ("src/main.rs",),
    ),
    "java": (
        ('Exception in thread "main" java.lang.IllegalStateException: no cart\n'
        "\tat shop.Cart.total(Cart.java:12)\n"),
        "IllegalStateException: no cart", ("shop/Cart.java",),
    ),
    "javac": (
        "src/Cart.java:3: error: ';' expected\n", "CompileError: ';' expected", ("src/Cart.java",),
    ),
    "gcc": (
        "src/a.c: In function 'f':\nsrc/a.c:3:7: fatal error: x.h: No such file or directory\n",
        "CompileError: x.h: No such file or directory", ("src/a.c",),
    ),
    "linter": (
        "src/a.py:1:8: F401 [*] `os` imported but unused\n",
        "F401: `os` imported but unused", ("src/a.py",),
    ),
    "shell": ("bash: line 1: pnpm: command not found\n", "command not found: pnpm", ()),
    "git": ("fatal: not a git repository\n", "error: not a git repository", ()),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_each_form_of_error(form):
    output, name, files = FORMATS[form]
    first = failures(output, "/work/p")[0]
    assert (first.name, first.files) == (name, files)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("object at 0x7f3a2b", "object at 0x…"),
        ("timed out after 3.21s", "timed out <duration>"),
        ("at 2026-11-20T10:15:02Z failed", "at <time> failed"),
        ("id 6f70656e-636f-4465-8d67-726170686d65", "id <uuid>"),
        ("open /tmp/pytest-of-x/12/db: no", "open <tmp>: no"),
        ("line 12, column 3", "line N, column N"),
        ("pid 4242 died", "pid N died"),
        ("src/a.py:12:5 bad", "src/a.py bad"),
        ("connect 127.0.0.1:39925", "connect 127.0.0.1:N"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("/work/p/src/a.py gone", "src/a.py gone"),
        ("no item 3", "no item 3"),
    ],
)
def test_what_varies_from_run_to_run_goes(message, expected):
    assert steady(message, "/work/p") == expected


def test_the_last_line_that_says_something():
    assert last_line("out\nerr\n\n}\n--- 12 ---\n") == "err"


def test_files_of_libraries_are_not_where_an_error_occurred():
    found = failures(
        '  File "/work/p/.venv/lib/x/site-packages/a.py", line 1\nOSError: no\n', "/work/p"
    )
    assert found[0].files == ()


def test_output_without_an_error_has_none():
    assert failures("all good\n12 passed\n") == ()
