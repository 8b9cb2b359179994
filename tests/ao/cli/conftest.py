"""A server, a simulated model, and scripts that are recorded with both, as a user's shell would do it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afnio.models.lm_server import LMServer
from afnio.models.lm_server.ask import Ask
from afnio.models.lm_server.worlds.echo import Echo
from ao.cli.tool import main
from tests.ao.lab import PATIENCE, RECORD, REPO
from tests.tellurio.running import ServerProcess


class Mirror(Echo):
    """Says the last message back, its letters in the other order: texts that are in no prompt before."""

    def reply(self, ask: Ask, role: str) -> str:
        return super().reply(ask, role)[::-1]


AGENT = """
import os, sys
import httpx2
import ao

def ask(text):
    answer = httpx2.post(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        json={"model": "gpt-5-mini", "messages": [{"role": "user", "content": text}]},
        headers={"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]},
    )
    return answer.json()["choices"][0]["message"]["content"]

found = ask("The caretaker found mould behind the northern boiler and ordered seven gaskets from Delft.")
short = ask("Shorten this: " + found)
with ao.record("greeting"):
    with ao.record("inner"):
        ask("Good morning to everybody in the northern boiler room")
print("ANSWER", short, *sys.argv[1:])
"""

WAITS = """
import sys, time
import ao
print("ready", flush=True)
time.sleep(600)
"""


class Said:
    """What ``ao-tool`` came to."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        assert self.status == 0, self
        return json.loads(self.out)

    def __repr__(self) -> str:
        return f"exit {self.status}\n{self.out}\n{self.err}"


class Desk:
    """Somebody's shell: ``ao-record`` and ``ao-tool`` with one server."""

    def __init__(self, server: ServerProcess, lm: LMServer, cwd: Path) -> None:
        self.server, self.lm, self.cwd = server, lm, cwd
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("AO_", "TELLURIO_"))}
        self.env |= {"TELLURIO_HOME": str(server.home), "PYTHONPATH": str(REPO)}
        self.env |= {"OPENAI_BASE_URL": lm.base_url, "OPENAI_API_KEY": "sk-none"}
        self.env.pop("ANTHROPIC_API_KEY", None)

    def write(self, source: str, name: str = "agent.py") -> str:
        (self.cwd / name).write_text(source)
        return name

    def record(self, *arguments: str) -> dict[str, Any]:
        """``ao-record``, to its end; returns the Run when the server has it, with all its edges."""
        command = [*RECORD, *arguments]
        with subprocess.Popen(command, cwd=self.cwd, env=self.env, stdout=subprocess.PIPE) as process:
            process.communicate(timeout=PATIENCE)
        run = self.run_of(process.pid)
        self.until(lambda client: client.get(f"/api/v1/runs/{run['id']}/graph").json()["complete"] or None)
        return run

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """``ao-record`` of a script that says when it is ready."""
        process = subprocess.Popen([*RECORD, *arguments], cwd=self.cwd, env=self.env, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def run_of(self, pid: int, status: tuple[str, ...] = ("COMPLETED", "FAILED", "CRASHED")) -> dict[str, Any]:
        """The Run of a process, in that state."""
        run: dict[str, Any] = self.until(lambda client: self._run_of(client, pid, status))
        return run

    def _run_of(self, client: Any, pid: int, status: tuple[str, ...]) -> dict[str, Any] | None:
        for run in client.get("/api/v1/recordings").json():
            found = client.get(f"/api/v1/recordings/{run['id']}").json()
            if found["command"].get("pid") == pid and run["status"] in status:
                return dict(found["run"])
        return None

    def until(self, look: Callable[[Any], Any]) -> Any:
        """What ``look(client)`` finds, once it does."""
        end = time.monotonic() + PATIENCE
        with self.server.client() as client:
            while time.monotonic() < end:
                if (found := look(client)) is not None:
                    return found
                time.sleep(0.05)
        raise AssertionError("it never came")


@pytest.fixture(scope="session")
def model() -> Iterator[LMServer]:
    with LMServer(Mirror()) as server:
        yield server


@pytest.fixture(scope="module")
def desk(model: LMServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    server = ServerProcess(tmp_path_factory.mktemp("home"))
    desk = Desk(server, model, tmp_path_factory.mktemp("work"))
    desk.write(AGENT)
    desk.write(WAITS, "waits.py")
    yield desk
    server.stop()


@pytest.fixture(scope="module")
def agent(desk: Desk) -> dict[str, Any]:
    """The agent, recorded once: two calls, and one in a part of a part."""
    return desk.record("--run-name", "first agent", "agent.py", "x")


Tool = Callable[..., Said]


@pytest.fixture
def tool(desk: Desk, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Tool:
    """``ao-tool`` with these arguments."""
    for name in os.environ:
        if name.startswith(("AO_", "TELLURIO_")):
            monkeypatch.delenv(name)
    for name in ("TELLURIO_HOME", "PYTHONPATH", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, desk.env[name])
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)

    def run(*arguments: str) -> Said:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        sys.stdout.flush()
        return Said(int(ended.value.code or 0), *capfd.readouterr())

    return run
