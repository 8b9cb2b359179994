"""The browser of these tests notices what it is there to notice, and the page gives it no cause."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.studio.browsing import ROOT, Theme, Visitor, accessible, settled
from tests.studio.conftest import Demo, Visit
from tests.studio.seeds import Seeded, seed
from tests.tellurio.running import ServerProcess

EVIL = "https://evil.example/x.png"


@pytest.fixture
def visitor(browser: Browser, house: ServerProcess) -> Iterator[Visitor]:
    """One whose complaints are looked at by the test itself."""
    visitor = Visitor(browser, house)
    yield visitor
    visitor.close()


def test_the_page_is_served_signed_in_and_gives_no_cause_for_complaint(visit: Visit) -> None:
    page = settled(visit().sign_in("/"))
    expect(page.get_by_role("main")).to_be_visible()
    expect(page).to_have_title(re.compile("Tellurio"))
    accessible(page)


@pytest.fixture
def seeded(home: Path) -> Seeded:
    """A project with three Runs, in the store before the server starts."""
    return seed(home, 3)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_no_view_gives_cause_for_complaint(seeded: Seeded, visit: Visit, theme: Theme, size: tuple[int, int]) -> None:
    visitor = visit(color_scheme=theme, viewport={"width": size[0], "height": size[1]})
    page = visitor.sign_in(seeded.project)
    for path in ("", "prompts", "calls"):
        page.goto(seeded.runs[-1] + path)
        accessible(settled(page))
        assert page.evaluate("() => [window.hacked, document.images.length]") == [None, 0]  # model text is text
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), f"{path}: scrolls sideways"
    page.goto(seeded.project)
    accessible(settled(page))


def test_the_code_of_a_link_is_not_in_the_address_any_more(visitor: Visitor) -> None:
    page = visitor.sign_in("/")
    assert page.url == f"{visitor.server.url}/"
    assert page.evaluate("() => document.cookie") == ""  # no script can read it


def test_the_policy_lets_nothing_run_that_is_not_a_file_of_the_page(visitor: Visitor) -> None:
    page = visitor.sign_in("/")
    page.evaluate(
        """(evil) => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
            const picture = document.createElement("img");
            picture.src = evil;
            document.body.append(picture);
            const style = document.createElement("div");
            style.setAttribute("style", "color: red");
            document.body.append(style);
        }""",
        EVIL,
    )
    page.wait_for_function("() => document.images.length === 0 || document.images[0].complete")
    assert page.evaluate("() => window.hacked") is None
    directives = ("script-src-elem: inline", "style-src-attr: inline", f"img-src: {EVIL}")
    visitor.wait_for(page, *(f"violates the Content-Security-Policy: {directive}" for directive in directives))


def test_requests_to_others_are_noticed(visitor: Visitor) -> None:
    page = visitor.context.new_page()  # no page of ours: it has no policy
    page.set_content(f'<img src="{EVIL}">')
    visitor.wait_for(page, f"external request: GET {EVIL}")


def test_errors_are_noticed_unless_they_are_expected(visitor: Visitor) -> None:
    page = visitor.sign_in("/")
    page.evaluate("() => { console.error('so and so'); setTimeout(() => { throw new Error('nobody catches it') }) }")
    with page.expect_console_message(lambda said: said.text == "last"):
        page.evaluate("() => setTimeout(() => console.warn('last'))")
    visitor.wait_for(page, "console error: so and so", "uncaught: ", "nobody catches it")
    visitor.expects("so and so", "nobody catches", "console warning: last")
    assert visitor.unexpected() == []


def test_what_is_not_accessible_is_noticed(visitor: Visitor) -> None:
    page = visitor.sign_in("/")
    page.evaluate("() => { document.body.innerHTML = '<main><button></button></main>' }")
    with pytest.raises(AssertionError, match="button-name"):
        accessible(page)


def test_the_demo_trains_on_the_server_that_is_visited(house: ServerProcess, demo: Demo) -> None:
    said, _ = demo().communicate(timeout=300)
    assert f"are stored: {house.url}/tutorials/projects/quickstart/runs/" in said
    with house.client() as client:
        runs = client.get("/api/v1/namespaces/tutorials/projects/quickstart/runs").json()["runs"]
    assert [run["status"] for run in runs] == ["COMPLETED"]


# --- scripts/find-chromium


def found(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Ask for a browser on a machine that has what is in one folder."""
    for name, does in (("id", "echo 1000"), ("python", "exit 1")):
        shim(path / name, does)
    (path / "cat").symlink_to("/bin/cat")
    clean = {"PATH": str(path), "HOME": str(path), "PYTHON": str(path / "python"), "TMPDIR": str(path)}
    return subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / "find-chromium")],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def shim(path: Path, does: str) -> Path:
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


def test_the_browser_that_is_named_is_taken(tmp_path: Path) -> None:
    named = shim(tmp_path / "mine", "echo 1")
    shim(tmp_path / "chromium", "echo 1")
    assert found(tmp_path, CHROMIUM=str(named)).stdout.strip() == str(named)


def test_one_that_is_named_and_does_not_start_is_refused(tmp_path: Path) -> None:
    done = found(tmp_path, CHROMIUM=os.devnull)
    assert done.returncode == 1
    assert f"CHROMIUM={os.devnull} cannot be started" in done.stderr


def test_the_first_that_starts_is_found(tmp_path: Path) -> None:
    shim(tmp_path / "chromium", "exit 127")
    shim(tmp_path / "google-chrome", "echo 1")
    assert found(tmp_path).stdout.strip() == str(tmp_path / "google-chrome")


def test_where_there_is_none_it_is_said_what_to_install(tmp_path: Path) -> None:
    done = found(tmp_path)
    assert done.returncode == 1
    assert "apt install chromium" in done.stderr
    assert "CHROMIUM=/path/to/chrome make test" in done.stderr
