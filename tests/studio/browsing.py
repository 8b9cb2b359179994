"""A browser that visits the page as users do, and sees what they do not: what it asked for, and what went wrong."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlsplit

import httpx2
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

__all__ = ["PATIENCE", "ROOT", "Server", "Theme", "Visitor", "a_browser", "accessible", "settled"]

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "studio" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE = 150_000.0
"""Milliseconds before something that does not come is missed: far more than it takes, since a machine may be busy."""

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars"),
]

WATCH = """
document.addEventListener("securitypolicyviolation", (event) =>
  window.violation(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile ?? ""}:${event.lineNumber}`));
"""

QUIET = """() => {
  const loads = !document.querySelector("main") || document.querySelector("[aria-busy=true], .skeleton");
  window.quietFrames = loads ? 0 : (window.quietFrames ?? 0) + 1;
  return window.quietFrames > 20;
}"""


class Server(Protocol):
    """What of a server a visitor needs to know."""

    @property
    def url(self) -> str: ...
    @property
    def key(self) -> str: ...


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Chromium, found or installed (`scripts/find-chromium`); what it says is what to do where there is none."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS, timeout=PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


def _chromium() -> str:
    """Two test processes must not install it at once."""
    with (Path(tempfile.gettempdir()) / f"find-chromium.{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["sh", str(ROOT / "scripts" / "find-chromium")],
            env={**os.environ, "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


class Visitor:
    """Somebody at a browser of their own, who is signed in or not.

    Whatever the page does that it must not (a request to another server, a violation of its own
    Content-Security-Policy, an error on the console, an exception that nobody catches) is in ``complaints``.
    """

    def __init__(self, browser: Browser, server: Server, **options: Any) -> None:
        """Options are those of Playwright's ``new_context``: ``viewport``, ``color_scheme``, ``reduced_motion``, ..."""
        options = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **options}
        self.server = server
        self.complaints: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        self.context: BrowserContext = browser.new_context(base_url=server.url, **options)
        self.context.set_default_timeout(PATIENCE)
        self.context.expose_function("violation", self._violated)
        self.context.add_init_script(WATCH)
        self.context.on("request", self._requested)
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))

    def expects(self, *patterns: str) -> None:
        """Say which complaints are no fault, because the test itself stops the server or asks for what is not there."""
        self._expected += [re.compile(pattern) for pattern in patterns]

    def unexpected(self) -> list[str]:
        """The complaints that are a fault."""
        return [said for said in self.complaints if not any(pattern.search(said) for pattern in self._expected)]

    def wait_for(self, page: Page, *said: str) -> str:
        """All complaints as one text, once all of ``said`` are in it: a browser tells them a moment later."""
        end = time.monotonic() + PATIENCE / 1000
        while not all(each in (told := "\n".join(self.unexpected())) for each in said):
            assert time.monotonic() < end, told
            page.wait_for_timeout(20)
        return told

    def sign_in(self, path: str = "/") -> Page:
        """A new tab with the page at ``path``, opened as ``tellurio open`` does: by a code that works once."""
        page = self.context.new_page()
        page.goto(f"/login?code={self._code(path)}&next={quote(path, safe='')}")
        assert urlsplit(page.url).path == urlsplit(path).path, page.url
        return page

    def open(self, path: str = "/") -> Page:
        """A new tab with the page at ``path``, signed in only if this visitor is already."""
        page = self.context.new_page()
        page.goto(path)
        return page

    def close(self) -> None:
        """Close all tabs."""
        self.context.close()

    def _code(self, path: str) -> str:
        headers = {"Authorization": f"Bearer {self.server.key}"}
        with httpx2.Client(base_url=self.server.url, headers=headers, timeout=150, trust_env=False) as client:
            said = client.post("/api/v1/once", json={"next": path})
            assert said.status_code == 200, said.text
            return str(said.json()["code"])

    def _requested(self, request: Request) -> None:
        if request.url.split(":", 1)[0] in {"data", "blob", "about"}:
            return
        if not request.url.startswith(f"{self.server.url}/"):
            self.complaints.append(f"external request: {request.method} {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self.complaints.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _violated(self, what: str) -> None:
        self.complaints.append(f"violates the Content-Security-Policy: {what}")


def settled(page: Page) -> Page:
    """The page, when nothing in it has said for some frames that it still loads."""
    page.evaluate("() => { window.quietFrames = 0 }")  # what was quiet before, another view perhaps, does not count
    page.wait_for_function(QUIET)
    return page


def accessible(page: Page, *, within: str | None = None, but: tuple[str, ...] = ()) -> None:
    """Assert that axe-core finds nothing in the page as it is now.

    Args:
        within: a CSS selector of the part to look at; None: all of the page.
        but: ids of rules that are not asked.
    """
    if not page.evaluate("() => typeof window.axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    rules = {rule: {"enabled": False} for rule in but}
    found = page.evaluate(
        "([within, rules]) => window.axe.run(within ?? document, {rules, resultTypes: ['violations']})", [within, rules]
    )
    told = [
        f"{rule['id']} ({rule['impact']}): {rule['help']}\n" + "\n".join(f"    {_node(node)}" for node in rule["nodes"])
        for rule in found["violations"]
    ]
    assert not told, f"{page.url} is not accessible:\n" + "\n".join(told)


def _node(node: dict[str, Any]) -> str:
    reasons = " ".join(str(node.get("failureSummary", "")).split())
    return f"{' '.join(map(str, node['target']))}: {reasons}"


Theme = Literal["light", "dark"]
"""What ``color_scheme`` is given."""
