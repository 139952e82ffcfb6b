from __future__ import annotations

import pytest

from memory_manager.extract import packages, symbols

DEFINITIONS = [
    ("a.py", "class Cart:\n    async def total(self):\n        defer = 1\n", ("Cart", "total")),
    ("a.pyi", "def f() -> int: ...\n", ("f",)),
    (
        "a.ts",
        (
            "export default class Cart {\n  private async total(x: number): Promise<number> {\n"
            "    if (x) {\n    }\n  }\n}\nexport const add = async (a: number) => a\n"
            "const once = useMemo(1)\ntype Id = string\nexport interface Shop {}\n"
        ),
        ("Cart", "total", "add", "Id", "Shop"),
    ),
    ("a.jsx", "function App() {\nlet go = x => x\n", ("App", "go")),
    (
        "a.go",
        "func main() {\nfunc (s *Server) Serve(l net.Listener) error {\ntype Server struct {\n",
        ("main", "Serve", "Server"),
    ),
    (
        "a.rs",
        "pub(crate) async fn run() {}\n  struct Inner;\nimpl Inner {\nmacro_rules! vecs {\n",
        ("run", "Inner", "vecs"),
    ),
    (
        "A.java",
        "public final class A {\n  @Override\n  public static <T> List<T> of(T one) {\n    foo(1);\n",
        ("A", "of"),
    ),
    (
        "a.c",
        (
            "#define MAX(a, b) a\nstatic int *parse(const char *s)\n{\n  if (s) {\n  call(s);\n"
            "struct node {\nint declared(void);\n"
        ),
        ("MAX", "parse", "node"),
    ),
    ("a.cpp", "void Cart::total(int x) {\n  return f(x);\n", ("total",)),
    ("README.md", "def f():\n", ()),
]


@pytest.mark.parametrize(("path", "content", "names"), DEFINITIONS, ids=lambda v: str(v)[:12])
def test_definitions_of_each_language(path, content, names):
    assert symbols.definitions(path, content) == names


DIFF = """\
--- a/src/shop.py
+++ b/src/shop.py
@@ -1,9 +1,9 @@ class Cart:
     def total(self):
-        return 1
+        return 2

     def same(self):
         return 0
@@ -20,4 +20,8 @@
-def old():
-    pass
+def new():
+    pass
-def signed(a):
+def signed(a, b):
     return a
"""


def test_a_diff_tells_what_it_added_changed_and_removed():
    touched = symbols.touched("src/shop.py", DIFF)
    assert touched.added == ("new",)
    assert touched.changed == ("total", "signed")
    assert touched.removed == ("old",)
    assert set(touched.present) == {"Cart", "total", "same", "new", "signed"}


def test_a_hunk_header_names_the_function_of_lines_whose_definition_is_out_of_sight():
    diff = "@@ -10,3 +10,3 @@ func (s *Server) Serve() error {\n \tx := 1\n-\ty := 2\n+\ty := 3\n"
    assert symbols.touched("server.go", diff).changed == ("Serve",)


def test_of_a_diff_of_several_files_only_the_own_part_counts():
    diff = (
        "Index: /p/b.py\n=====\n--- /p/b.py\n+++ /p/b.py\n@@ -0,0 +1 @@\n+def theirs(): ...\n"
        "Index: /p/a.py\n=====\n--- /p/a.py\n+++ /p/a.py\n@@ -0,0 +1 @@\n+def ours(): ...\n"
    )
    assert symbols.touched("a.py", diff).added == ("ours",)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pip install requests[socks]==2.1 -r more.txt", [("requests", "2.1", False)]),
        ("pip install -e .", []),
        ("uv add 'httpx>=0.27' pytest", [("httpx", ">=0.27", False), ("pytest", "", False)]),
        ("uv pip install numpy", [("numpy", "", False)]),
        ("npm install --save-dev @types/node@22", [("@types/node", "22", False)]),
        ("npm install", []),
        ("pnpm remove left-pad", [("left-pad", "", True)]),
        ("cargo add serde --features derive", [("serde", "", False)]),
        ("go get github.com/a/b@v1.2.3", [("github.com/a/b", "v1.2.3", False)]),
        ("go get ./...", []),
        ("make install all", []),
    ],
)
def test_packages_of_install_commands(words, expected):
    found = packages.installed(tuple(words.split()))
    assert [(p.name, p.version, p.removed) for p in found] == expected


@pytest.mark.parametrize(
    ("path", "diff", "expected"),
    [
        ("package.json", '+    "react": "^18.2.0",\n-    "vue": "3.0.0"\n+  "name": "x"\n', {"react": "^18.2.0", "vue": None}),
        ("requirements/dev.txt", "", {}),
        ("requirements-dev.txt", "+httpx==0.27\n-requests\n+# no\n", {"httpx": "==0.27", "requests": None}),
        ("pyproject.toml", '+  "valkey[libvalkey]>=6.1",\n+version = "1.0"\n+ruff = "^0.5"\n', {"valkey": ">=6.1", "ruff": "^0.5"}),
        ("Cargo.toml", '+serde = { version = "1.0", features = ["x"] }\n', {"serde": "1.0"}),
        ("go.mod", "+\tgithub.com/a/b v1.2.3\n", {"github.com/a/b": "v1.2.3"}),
        ("src/main.py", '+"react": "^18"\n', {}),
    ],
)  # fmt: skip
def test_packages_of_manifests(path, diff, expected):
    found = packages.manifest_change(path, diff, "")
    assert {p.name: None if p.removed else p.version for p in found} == expected


def test_packages_of_a_whole_package_json():
    found = packages.manifest_change("package.json", "", '{"devDependencies": {"vite": "5"}}')
    assert [(p.name, p.version) for p in found] == [("vite", "5")]
    assert packages.manifest_change("package.json", "", "[" * 100_000) == ()


@pytest.mark.parametrize(
    ("path", "line", "expected"),
    [
        ("src/a.py", "from httpx import Client", ("httpx",)),
        ("src/a.py", "import os", ()),
        ("shop/a.py", "from shop.cart import Cart", ()),
        ("a.py", "from . import x", ()),
        ("a.ts", 'import { z } from "zod"', ("zod",)),
        ("a.ts", "import x from '@scope/pkg/deep'", ("@scope/pkg",)),
        ("a.ts", 'import x from "./own"', ()),
        ("a.js", 'const fs = require("node:fs")', ()),
        ("a.go", '\t"github.com/x/y/z"', ("github.com/x/y",)),
        ("a.go", '\t"net/http"', ()),
        ("a.rs", "use serde::Serialize;", ("serde",)),
        ("a.rs", "use crate::own;", ()),
    ],
)
def test_packages_of_imports(path, line, expected):
    assert packages.imports(path, [line]) == expected
