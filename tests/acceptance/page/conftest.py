"""The page in a real Chromium: on made-up data, and on a real bridge with the demo's recording.

`site` is where the page is served, `page_url` an address that lets one in, `open_page` a browser
window in which nothing may go wrong: console errors, refused resources, violations of the content
security policy and failed requests fail the test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from bridge.demo.story import PROJECT, Story, flush, recording, replay
from bridge.sandbox import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SWITCHES = (
    "--disable-background-networking", "--disable-component-update", "--disable-quic",
    "--no-first-run", "--disable-sync",
)  # fmt: skip
#: Generous: a busy machine is slow, and nothing here asserts on time.
_PATIENCE_MS = 30_000

#: Heard in every window: a violation of the policy, whatever the console makes of it.
_LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}`);
});
"""


@dataclass(slots=True)
class Site:
    """Where the page is served. `project` is the one with everything in it."""

    base: str
    token: str
    project: str
    group: str
    invite: Callable[[], str]

    def ask(self, path: str, body: object = None) -> dict:
        """An answer of the API to the bearer of the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        verb = "GET" if body is None else "POST"
        answer = httpx.request(verb, self.base + path, headers=headers, json=body, timeout=30)
        return answer.raise_for_status().json()

    def happen(self, *events: dict, project: str | None = None) -> dict:
        """Raw events arrive."""
        body = {"events": list(events), "project": project or self.project}
        return self.ask("/api/raw-events", body)


@dataclass(slots=True)
class Stub:
    """The stub's process."""

    process: subprocess.Popen[str]
    first: dict[str, str]

    @classmethod
    def start(cls, *arguments: str) -> Stub:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("stub")), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return cls(process, json.loads(process.stdout.readline()))

    def invite(self) -> str:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["url"]

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(15)
        self.process.stdout.close()

    def site(self) -> Site:
        base = self.first["url"].partition("/#")[0]
        return Site(base, self.first["token"], "acme/checkout", "g_c0ffee", self.invite)


@pytest.fixture(scope="session")
def made_up_site():
    stub = Stub.start()
    yield stub.site()
    stub.stop()


@pytest.fixture
def own_stub():
    """One that a test may end and start again."""
    stubs: list[Stub] = []

    def start(*arguments: str) -> Stub:
        stubs.append(Stub.start(*arguments))
        return stubs[-1]

    yield start
    for stub in stubs:
        if stub.process.poll() is None:
            stub.stop()


@pytest.fixture(scope="session")
def real_site():
    """A real bridge with real engines, and what was recorded of a real OpenCode in its graph."""
    with sandbox({"OPENCODE_MEM_RAW_EVENTS_AUTO_FLUSH": "0"}) as box:
        box.start()
        box.until_live()
        with box.line() as line:
            story = Story()
            replay(line, story, recording(), lambda: None)
            flush(line, story)
            assert story.faults == []
            way_in = line.call("web")

        def invite() -> str:
            with box.line() as again:
                fresh = again.call("web")
            return f"{fresh['url']}/#code={fresh['code']}"

        token = Path(way_in["token_file"]).read_text(encoding="utf-8").strip()
        site = Site(way_in["url"], token, PROJECT, "", invite)
        site.group = site.ask("/api/projects")["projects"][0]["group"]
        yield site


@pytest.fixture(params=["made-up", pytest.param("real", marks=pytest.mark.engine)])
def site(request):
    name = "made_up_site" if request.param == "made-up" else "real_site"
    return request.getfixturevalue(name)


@pytest.fixture
def page_url(site):
    """An address that lets one in, once."""
    return site.invite()


# The browser


@pytest.fixture(scope="module")
def browser():
    """A Chromium. Of the module: Playwright's loop must be gone before tests that have their own."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        reason = f"no browser: none of {', '.join(_BROWSERS)} is installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(_SWITCHES))
        yield chromium
        chromium.close()


@dataclass
class Faults:
    """What went wrong in a window. A test that expects something to, names it in `allowed`."""

    seen: list[str] = field(default_factory=list)
    allowed: tuple[str, ...] = ()

    def hear(self, page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.seen.append(f"exception: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        page.on("dialog", lambda dialog: (self.seen.append("a dialog"), dialog.dismiss()))

    def _console(self, message) -> None:
        if message.type in {"error", "warning", "assert"}:
            self.seen.append(f"console {message.type}: {message.text}")

    def _failed(self, request) -> None:
        # The page itself gives up requests whose answer nobody wants any more.
        if "ERR_ABORTED" not in (request.failure or ""):
            self.seen.append(f"failed: {request.method} {request.url} {request.failure}")

    def _answered(self, response) -> None:
        if response.status >= 400:
            self.seen.append(f"status {response.status}: {response.url}")

    def left(self, page) -> list[str]:
        violations = [f"violation: {each}" for each in page.evaluate("window.violations")]
        found = [*self.seen, *violations]
        return [each for each in found if not any(word in each for word in self.allowed)]


@pytest.fixture
def open_page(browser):
    """Open a window: `with open_page(url, width=400, theme="dark") as page`."""

    @contextmanager
    def opened(url, *, width=1280, theme="light", allowed=(), **more):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce",
            has_touch=width < 600, locale="en-GB", timezone_id="Europe/Zurich", **more,
        )  # fmt: skip
        context.set_default_timeout(_PATIENCE_MS)
        context.add_init_script(_LISTEN)
        page = context.new_page()
        faults = Faults(allowed=allowed)
        faults.hear(page)
        try:
            page.goto(url)
            yield page
            assert page.evaluate("window.pwned") is None
            assert faults.left(page) == []
        finally:
            context.close()

    expect.set_options(timeout=_PATIENCE_MS)
    return opened


@pytest.fixture
def go():
    """Go to a view by its address: `go(page, "timeline", group=…)`, and wait until it stands."""

    def gone(page, view, **params):
        page.evaluate(
            """([view, params]) => {
              location.hash = `#/${view}?${new URLSearchParams(params)}`;
            }""",
            [view, params],
        )
        page.wait_for_function("view => document.body.dataset.view === view", arg=view)

    return gone
