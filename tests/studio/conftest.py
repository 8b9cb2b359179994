"""The built page, a server of one's own, and visitors whose browsers notice everything."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from scripts.build_studio import Studio
from tests.studio.browsing import ROOT, Visitor, a_browser
from tests.tellurio.running import ServerProcess
from tests.tellurio.scripts.machine import Home

Visit = Callable[..., Visitor]
Demo = Callable[[], subprocess.Popen[str]]


@pytest.fixture(scope="session", autouse=True)
def studio() -> Studio:
    """The page, built from the sources as they are."""
    made = Studio(ROOT)
    made.build()
    return made


# Not for the session: while Playwright is open there is a running event loop, which other tests could not bear.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of the page; each visitor has a profile of their own in it."""
    with a_browser() as browser:
        yield browser


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A TELLURIO_HOME of this test's own."""
    return tmp_path / "tellurio"


@pytest.fixture
def house(studio: Studio, home: Path) -> Iterator[ServerProcess]:
    """A server process of this test's own, over ``home``, to be restarted and killed at will.

    A test that wants data in it from the start asks for ``home`` too, in a fixture that comes before, and seeds it.
    """
    running = ServerProcess(home)
    yield running
    running.stop()


@pytest.fixture
def visit(browser: Browser, house: ServerProcess) -> Iterator[Visit]:
    """``visit(**options)``: a visitor of ``house``.  At the end nothing may have gone wrong in any browser."""
    yield from visits(browser, house)


@pytest.fixture
def page(visit: Visit) -> Page:
    """The page at ``/``, signed in, in a wide window."""
    return visit().sign_in("/")


@pytest.fixture
def demo(house: ServerProcess, home: Path, tmp_path: Path) -> Iterator[Demo]:
    """``demo()``: ``make demo`` begins, on ``house``; what is still under way at the end of the test is ended.

    Its Run is in ``/tutorials/projects/quickstart/``.  Read what it says by ``.communicate()``.
    """
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tutorials" / "quickstart.py")],
            cwd=tmp_path,
            env=Home(home).environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def visits(browser: Browser, server: ServerProcess) -> Iterator[Visit]:
    """What a fixture like ``visit`` yields from, for another server."""
    visitors: list[Visitor] = []

    def visit(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, server, **options))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.close()
    assert [said for visitor in visitors for said in visitor.unexpected()] == []
