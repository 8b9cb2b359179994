"""The commands ``tellurio`` and ``afnio login``, as a person types them."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx2
import pytest

import tellurio.cli.server
from tellurio.client.http import Client
from tellurio.client.local import ensure_local_server
from tellurio.schemas.version import our_version
from tests.tellurio.client.odd import knows, serving
from tests.tellurio.running import PATIENCE

MAIN = {"afnio": "from tellurio.cli import main", "tellurio": "from tellurio.cli.server import main"}


def command(name: str, *arguments: str) -> list[str]:
    code = f"import sys; sys.argv = [{name!r}, *sys.argv[1:]]; {MAIN[name]}; main()"
    return [sys.executable, "-c", code, *arguments]


class Said:
    """What a command printed, and its exit code."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        assert "Traceback" not in self.err, self.err

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"


def run(name: str, *arguments: str, **environment: str) -> Said:
    environ = {**os.environ, "COLUMNS": "200", "BROWSER": "true", **environment}
    return Said(
        subprocess.run(
            command(name, *arguments),
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    )


class Here:
    """Runs commands in this process: quicker, and as good where neither signals nor terminals matter."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd
        monkeypatch.setenv("BROWSER", "true")

    def __call__(self, name: str, *arguments: str) -> Said:
        self._monkeypatch.setattr(sys, "argv", [name, *arguments])
        self._capfd.readouterr()
        try:
            {"afnio": tellurio.cli.main, "tellurio": tellurio.cli.server.main}[name]()
        except SystemExit as end:
            code = end.code or 0
        assert isinstance(code, int)
        said = self._capfd.readouterr()
        return Said(subprocess.CompletedProcess([], code, said.out, said.err))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(monkeypatch, capfd)


def typed(*arguments: str, **environment: str) -> Said:
    return run("tellurio", *arguments, **environment)


def server_file(home: Path) -> Any:
    return json.loads((home / "server" / "server.json").read_text())


def test_what_is_installed() -> None:
    for name in MAIN:
        assert Path(sys.executable).with_name(name).exists(), f"{name}: install the package again (make setup)"
        assert run(name, "--version").out == f"{name} {our_version()}\n"
    shown = typed("--help").out
    assert all(re.search(rf"\b{word}\b", shown) for word in ("up", "down", "status", "logs", "open", "sync"))
    assert "login" in run("afnio", "--help").out


# A day with the local server


def test_up_status_down_and_each_of_them_twice(home: Path) -> None:
    nothing = typed("status")
    assert (nothing.code, nothing.out) == (1, "")
    assert nothing.err == f"No local server is running in {home / 'server'}. Start it: tellurio up\n"
    assert not home.exists()
    assert typed("down").out == "No local server was running.\n"

    up = typed("up")
    facts = server_file(home)
    where = f"{facts['url']} (process {facts['pid']})"
    assert (up.code, up.out, up.err) == (0, f"Tellurio runs at {where}.\n", "")
    again = typed("up")
    assert (again.code, again.out) == (0, f"Tellurio runs already at {where}.\n")
    status = typed("status")
    assert status.code == 0
    assert status.out.splitlines()[0] == f"Tellurio {our_version()} runs at {where}."
    assert facts["key"] not in up.out + again.out + status.out

    down = typed("down")
    assert (down.code, down.out) == (0, f"Tellurio is stopped (it was process {facts['pid']}).\n")
    assert not (home / "server" / "server.json").exists()
    assert typed("down").code == 0
    assert typed("status").code == 1


def test_a_server_that_cannot_start_is_one_clear_error(here: Here, home: Path) -> None:
    (home / "server").mkdir(parents=True)
    (home / "server" / "tellurio.db").write_text("no database" * 1000)
    up = here("tellurio", "up")
    assert (up.code, up.out) == (1, "")
    assert up.err.startswith("[tellurio] The local server did not start: it ended at once.")
    assert "tellurio.db" in up.err


def test_status_names_the_server_that_runs_go_to(home: Path) -> None:
    said = typed("status", TELLURIO_BACKEND_HTTP_BASE_URL="https://tellurio.example.com")
    assert said.out == "Runs go to https://tellurio.example.com (afnio login --server local changes that).\n"


def test_logs_shows_the_last_lines(here: Here, home: Path) -> None:
    none = here("tellurio", "logs")
    assert (none.code, "There is no log yet" in none.err, "tellurio up" in none.err) == (1, True, True)
    (home / "server").mkdir(parents=True)
    log = home / "server" / "server.log"
    lines = [f"line {number} {'ü' * 50}" for number in range(5000)]
    log.write_text("\n".join(lines) + "\n")
    assert here("tellurio", "logs").out.splitlines() == lines[-50:]
    for number in (0, 1, 3, 4999, 5000, 9000):
        assert here("tellurio", "logs", "-n", str(number)).out.splitlines() == (lines[-number:] if number else []), (
            number
        )
    log.write_text("")
    assert here("tellurio", "logs").out == ""
    log.write_text("one\ntwo\nunfinished")
    assert here("tellurio", "logs", "-n", "3").out == "one\ntwo\nunfinished"


def test_logs_follows(home: Path) -> None:
    (home / "server").mkdir(parents=True)
    log = home / "server" / "server.log"
    log.write_text("before\n")
    process = subprocess.Popen(command("tellurio", "logs", "-f", "-n", "1"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "before\n"
    with log.open("a") as file:
        file.write("after\n")
    assert process.stdout.readline() == "after\n"
    log.replace(log.with_name("server.log.1"))  # put aside at a start
    log.write_text("anew\n")
    assert process.stdout.readline() == "anew\n"
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    process.stdout.close()


def test_a_reader_that_has_seen_enough_is_no_error(home: Path) -> None:
    (home / "server").mkdir(parents=True)
    (home / "server" / "server.log").write_text("line\n" * 200_000)
    process = subprocess.Popen(
        command("tellurio", "logs", "-n", "200000"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "line\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait()
    process.stderr.close()


# Opening a page


def test_open_logs_a_browser_in_once_and_no_log_has_the_code(here: Here, home: Path) -> None:
    url, key = ensure_local_server()
    client = Client(url, key)
    client.post("/api/v1/namespaces", json={"slug": "me"})
    client.post("/api/v1/namespaces/me/projects", json={"display_name": "My Project"})
    made = client.post(
        "/api/v1/namespaces/me/projects/my-project/runs", json={"id": str(uuid.uuid4()), "name": "a_run_1"}
    )
    page = "/me/projects/my-project/runs/a-run-1/"
    for run_named in ("me/my-project/a-run-1", "me/My Project/a_run_1", f"{url}{page}", page):
        said = here("tellurio", "open", run_named, "--print")
        assert said.code == 0, said
        assert re.fullmatch(
            rf"{url}/login\?code=[\w-]+&next=%2Fme%2Fprojects%2Fmy-project%2Fruns%2Fa-run-1%2F\n", said.out
        )
    address = said.out.strip()
    with httpx2.Client(trust_env=False) as browser:
        first = browser.get(address)
        assert (first.status_code, first.headers["location"]) == (303, page)
        shown = browser.get(f"{url}{page}")
        assert shown.status_code == 200
        found = browser.get(f"{url}/api/v1/namespaces/me/projects/my-project/runs/a-run-1")
        assert found.json()["id"] == made["id"]
    with httpx2.Client(trust_env=False) as another:
        assert another.get(address).status_code == 403
        assert another.get(f"{url}/api/v1/namespaces/me/projects/my-project/runs/a-run-1").status_code == 401
    code = address.partition("code=")[2].partition("&")[0]
    log = (home / "server" / "server.log").read_text()
    assert "login" in log
    assert code not in log
    assert key not in log


def test_open_starts_the_server_and_the_browser_and_does_not_show_the_code(home: Path, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    said = typed("open", BROWSER=str(browser))
    url = server_file(home)["url"]
    assert said.out == f"Opened {url}/ in the browser.\n"
    assert (tmp_path / "opened").read_text().startswith(f"{url}/login?code=")


def test_open_without_a_browser_shows_the_address(home: Path) -> None:
    said = typed("open", BROWSER="/nowhere/browser %s", PATH="", DISPLAY="", WAYLAND_DISPLAY="")
    assert said.code == 0
    assert re.search(r"There is no browser here\. .*once, for a minute:\nhttp://127.0.0.1:\d+/login\?code=", said.out)


def test_open_says_what_is_not_there(here: Here, home: Path) -> None:
    for wrong, says in [
        ("me/none/run", "there is no Run 'me/none/run' on"),
        ("me/none", "there is no project 'me/none' on"),
        ("a/b/c/d", "expected namespace/project/run"),
        ("one", "expected namespace/project/run"),
        ("https://elsewhere.example.com/me/projects/p/runs/r/", "is not on"),
    ]:
        said = here("tellurio", "open", wrong)
        assert said.code == 2, said
        assert says in " ".join(re.sub(r"[│╭╮╰╯─]", " ", said.err).split()), said


# Sending what waits


def test_sync_says_when_nothing_waits(here: Here, home: Path) -> None:
    said = here("tellurio", "sync")
    assert (said.code, said.out) == (0, "Nothing waits on this machine.\n")
    assert not home.exists()


# Logging in


def test_login_remembers_a_server(here: Here, home: Path) -> None:
    with serving(knows("tel_right")) as server:
        said = here("afnio", "login", "--server", server.url, "--api-key", "tel_right")
        assert (said.code, said.out, said.err) == (0, f"[afnio] Logged in as 'ada' at {server.url}.\n", "")
        assert here("afnio", "login").out == said.out
        shown = here("afnio", "-v", "info", "login")
        assert f"INFO : Logged in as 'ada' at {server.url}." in shown.err
        assert "tel_right" not in said.out + shown.out + shown.err
        wrong = here("afnio", "login", "--api-key", "tel_secret")
        assert (wrong.code, wrong.out) == (1, "")
        assert wrong.err.startswith(f"[afnio] The server at {server.url} does not know the API key")
        assert "secret" not in wrong.err
        assert json.loads((home / "config.json").read_text())["key"] == "tel_right"


def test_login_without_a_key_says_what_to_type(here: Here, home: Path) -> None:
    said = here("afnio", "login", "--server", "https://tellurio.example.com")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("[afnio] There is no API key for the server https://tellurio.example.com.")
    assert "afnio login --server https://tellurio.example.com" in said.err
    assert here("afnio", "login", "--server", "nonsense").code == 1
    assert here("afnio", "-v", "loud", "login").code == 2


def heard(terminal: int, until: bytes | None = None) -> bytes:
    """What is shown on it, until that, or until its program ends."""
    said = b""
    while until is None or not re.search(until, said):
        ready, _, _ = select.select([terminal], [], [], PATIENCE)
        assert ready, said
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the program has ended
            break
        if not piece:
            break
        said += piece
    return said


def test_at_a_terminal_the_key_is_asked_for_and_not_shown(home: Path) -> None:
    with serving(knows("tel_typed")) as server:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            command("afnio", "login", "--server", server.url),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        said = heard(master, until=rb":\d+: $")  # what is typed before that is thrown away
        os.write(master, b"tel_typed\n")
        said += heard(master)
        assert process.wait() == 0, said
        os.close(master)
    assert b"Logged in as 'ada'" in said
    assert b"tel_typed" not in said
    assert json.loads((home / "config.json").read_text())["key"] == "tel_typed"


def test_login_to_the_local_server_needs_nothing(here: Here, home: Path) -> None:
    said = here("afnio", "login")
    assert said.code == 0
    assert said.out.endswith(f"at {server_file(home)['url']}.\n")
    assert not (home / "config.json").exists()
