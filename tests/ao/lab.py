"""A folder of its own for each test: a home, where a server seems to run, and scripts that are recorded in it."""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afnio.models.lm_server import LMServer
from tellurio.client.folders import journals_in
from tests.tellurio.running import ServerProcess

PATIENCE = 150.0
"""Seconds before a test gives up on a script."""

RECORD = [sys.executable, "-m", "ao.runner.record"]
REPO = Path(__file__).parents[2]


@dataclass
class Ran:
    """What a command came to."""

    status: int
    out: str
    err: str


@functools.cache
def no_server() -> int:
    """Process id of one that looks like a server and is none; it ends with this process."""
    command = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()", "-m", "tellurio.server"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    atexit.register(_end, process)
    return process.pid


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


class Lab:
    """A home folder and a working directory.

    Args:
        folder: both are made in it.
        real: a server that runs; without, ``server.json`` says that one runs, so that none is started.
    """

    def __init__(self, folder: Path, *, real: ServerProcess | None = None) -> None:
        self.home, self.cwd = folder / "home" if real is None else real.home, folder / "work"
        self.cwd.mkdir(parents=True)
        self.real = real
        if real is None:
            (self.home / "server").mkdir(parents=True)
            facts = {"pid": no_server(), "url": "http://127.0.0.1:9", "key": "tel_none"}
            (self.home / "server" / "server.json").write_text(json.dumps(facts))
        self.env = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("AO_", "TELLURIO_", "PYTEST_"))
            },
            "TELLURIO_HOME": str(self.home),
            "OPENAI_API_KEY": "test",
            "ANTHROPIC_API_KEY": "test",
            "PYTHONPATH": str(REPO),
        }

    def use(self, lm: LMServer) -> None:
        """Let scripts ask this model: ``from ask import ask`` is the least they need for that."""
        self.lm = lm
        self.env |= {"OPENAI_BASE_URL": lm.base_url, "ANTHROPIC_BASE_URL": lm.url}
        self.write("ask.py", ASK)

    def write(self, name: str, source: str) -> str:
        """Write a script; returns its name."""
        path = self.cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return name

    def run(self, command: Sequence[str], *, env: Mapping[str, str] = {}, stdin: str = "") -> Ran:
        """Run a command in the working directory."""
        done = subprocess.run(
            list(command),
            cwd=self.cwd,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def record(self, *arguments: str, **options: Any) -> Ran:
        """``ao-record`` with these arguments; beside a real server with a name of its own."""
        if self.real is not None and not {"--run-name", "--rerun"} & set(arguments):
            self.last = f"run-{uuid.uuid4().hex[:12]}"
            arguments = ("--run-name", self.last, *arguments)
        return self.run([*RECORD, *arguments], **options)

    def python(self, *arguments: str, **options: Any) -> Ran:
        """``python`` with these arguments."""
        return self.run([sys.executable, *arguments], **options)

    @property
    def records(self) -> list[dict[str, Any]]:
        """All that lies in journals, in the order in which it happened."""
        lines = [line for path in self.home.glob("journals/*/*.jsonl") for line in path.read_bytes().splitlines()]
        return sorted(map(json.loads, lines), key=lambda record: record["t"])

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The records of a kind."""
        return [record for record in self.records if record["k"] == kind]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The recorded calls."""
        return [record["record"] for record in self.of("c")]

    # what a real server says of it

    def get(self, path: str) -> Any:
        """``GET /api/v1<path>`` of the real server."""
        assert self.real is not None
        with self.real.client() as client:
            answer = client.get(f"/api/v1{path}")
            assert answer.status_code == 200, answer.text
            return answer.json()

    def post(self, path: str, body: Any) -> Any:
        """``POST /api/v1<path>``."""
        assert self.real is not None
        with self.real.client() as client:
            answer = client.post(f"/api/v1{path}", json=body)
            assert answer.status_code in (200, 201), answer.text
            return answer.json()

    def stored(self, name: str = "") -> dict[str, Any]:
        """The graph of a recording, of the last one by default, once the server has all of it: no journal is left."""
        run = self.until(lambda: self._found(name or self.last))
        folder = self.home / "journals" / run["id"]
        self.until(lambda: not journals_in(folder))
        return dict(self.until(lambda: self._whole(run["id"])))

    def children(self, run_id: str) -> dict[str, dict[str, Any]]:
        """The Runs that are parts of it, by name."""
        graph = self.get(f"/runs/{run_id}/graph")
        runs = [self.get(f"/runs/{child}") for child in graph["children"]]
        return {run["name"]: run for run in runs}

    def until(self, look: Callable[[], Any]) -> Any:
        """What ``look`` gives, once it gives something."""
        end = time.monotonic() + PATIENCE
        while not (found := look()):
            assert time.monotonic() < end, "it never came"
            time.sleep(0.05)
        return found

    def _whole(self, run_id: str) -> Any:
        """The graph once all its edges are found: that goes on beside the storing."""
        graph = self.get(f"/runs/{run_id}/graph")
        return graph if graph["complete"] else None

    def _found(self, name: str) -> Any:
        assert self.real is not None
        with self.real.client() as client:
            answer = client.get(f"/api/v1/recordings/{name}")
            return answer.json()["run"] if answer.status_code == 200 else None


ASK = """
import json, os, urllib3

pool = urllib3.PoolManager(maxsize=64)


def ask(text, model="gpt-5-mini", **more):
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    answer = pool.request("POST", url, body=json.dumps(body), headers={"Authorization": "Bearer test"}, retries=False)
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.data.decode()}")
    return json.loads(answer.data)["choices"][0]["message"]["content"]
"""


def interrupted(lab: Lab, command: Sequence[str], number: int = signal.SIGINT) -> Ran:
    """Run a command that prints a line when it is ready, and is sent a signal then."""
    process = subprocess.Popen(
        list(command), cwd=lab.cwd, env=lab.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    return Ran(process.returncode, first + out, err)
