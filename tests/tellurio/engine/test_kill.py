"""kill -9 of the server in the middle of backward passes and steps: the client goes on, nothing is paid twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afnio._dispatch import use_engine
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.ask import Ask
from afnio.models.openai import OpenAI
from tellurio.client.engine import RemoteEngine
from tellurio.client.http import Client
from tellurio.client.local import ensure_local_server, stop_local_server
from tests.autodiff import job
from tests.autodiff.lab import Brain, Lab, Served, backward_model, open_lab

POINTS = 5
CHUNKS = [*range(5), *(pytest.param(chunk, marks=pytest.mark.soak) for chunk in range(5, 20))]
"""25 points of a backward and 25 of a step in each run of the tests; 100 of each in `make soak`."""


class Striking(Served):
    """A world that strikes at the ``at``-th request of a role, or a moment later."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self.role, self.at, self.later, self.seen = "", 0, 0.0, 0
        self.strike: Callable[[], None] = lambda: None
        self.striking: list[threading.Thread] = []

    def reply(self, ask: Ask, role: str) -> str:
        """What the present test's brain says."""
        with self._lock:
            self.seen += role == self.role
            strikes = role == self.role and self.seen == self.at
        if strikes and not self.later:
            self.strike()
        elif strikes:
            thread = threading.Timer(self.later, self.strike)
            self.striking.append(thread)
            thread.start()
        return super().reply(ask, role)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[LMServer, Striking]]:
    striking = Striking()
    with LMServer(world=striking, latency=0.003) as server:
        yield server, striking


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The local server's home; it is started again by the client itself."""
    monkeypatch.setenv("TELLURIO_HOME", str(tmp_path / "home"))
    ensure_local_server()
    yield tmp_path / "home"
    stop_local_server()


@contextlib.contextmanager
def remote_lab(world: tuple[LMServer, Striking], lm_calls: Any) -> Iterator[Lab]:
    url, key = ensure_local_server()
    client = Client(url, key, is_local=True)
    with contextlib.suppress(Exception):
        client.post("/api/v1/namespaces", json={"slug": "kill"})
        client.post("/api/v1/namespaces/kill/projects", json={"display_name": "Kill", "visibility": "RESTRICTED"})
    run_id = str(uuid.uuid4())
    client.post("/api/v1/namespaces/kill/projects/kill/runs", json={"id": run_id})
    brain, model = Brain(), OpenAI(api_key="any", base_url=world[0].base_url, max_retries=0)
    world[1].brain = brain
    engine = RemoteEngine(run_id, client, lm_calls=lm_calls)
    with backward_model(model), engine.session(), use_engine(engine):
        yield Lab(brain, model, engine, "sync")


def recorded(home: Path) -> Counter[str]:
    """Request key -> how many calls the database has."""
    database = sqlite3.connect(home / "server" / "tellurio.db", timeout=60)
    with contextlib.closing(database):
        return Counter(key for (key,) in database.execute("select request_key from calls where source = 'live'"))


def pid_of(home: Path) -> int:
    """The server's process."""
    pid: int = json.loads((home / "server" / "server.json").read_bytes())["pid"]
    return pid


def asked(server: LMServer) -> Counter[str]:
    return Counter(row["key"] for row in server.stats()["requests"])


@pytest.fixture(scope="module")
def expected() -> list[str]:
    with open_lab() as lab:
        return job.run(lab)


@pytest.fixture(scope="module")
def unharmed(world: tuple[LMServer, Striking]) -> Counter[str]:
    """What is asked when nobody is killed."""
    world[1].role = ""
    with open_lab("http", "sync", *world) as lab:
        before = asked(world[0])
        job.run(lab)
        return asked(world[0]) - before


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("role", ["backward", "optimizer"])
def test_the_call_goes_on_and_no_recorded_call_is_paid_twice(
    chunk: int, role: str, world: tuple[LMServer, Striking], home: Path, expected: list[str], unharmed: Counter[str]
) -> None:
    """Before the model answers, or up to 20 ms later."""
    server, striking = world
    draw = random.Random(f"{role}{chunk}")
    most = {"backward": 9, "optimizer": 9}[role]
    for _ in range(POINTS):
        at_the_kill: list[Counter[str]] = []

        def strike(at_the_kill: list[Counter[str]] = at_the_kill) -> None:
            os.kill(pid_of(home), signal.SIGKILL)
            at_the_kill.append(recorded(home))

        striking.role, striking.at, striking.seen = role, draw.randint(1, most), 0
        striking.later, striking.strike = draw.choice([0.0, draw.uniform(0.0, 0.02)]), strike
        asked_before, recorded_before = asked(server), recorded(home)
        with remote_lab(world, "server") as lab:
            assert job.run(lab) == expected
        for thread in striking.striking:
            thread.join()
        assert at_the_kill, "nobody was killed"
        seen, kept = asked(server) - asked_before, at_the_kill[0] - recorded_before
        for key, count in seen.items():
            # What was on its way when the server died may be asked once more; what was recorded never is.
            assert count <= unharmed[key] + (0 if kept[key] == unharmed[key] else 1), key
        assert not unharmed - seen


def test_calls_that_the_client_makes_are_made_once(
    world: tuple[LMServer, Striking], home: Path, expected: list[str], unharmed: Counter[str]
) -> None:
    server, striking = world
    draw = random.Random(7)
    for role, most in (("backward", 9), ("optimizer", 9)) * 3:

        def strike() -> None:
            os.kill(pid_of(home), signal.SIGKILL)

        striking.role, striking.at, striking.seen = role, draw.randint(1, most), 0
        striking.later, striking.strike = draw.choice([0.0, draw.uniform(0.0, 0.01)]), strike
        before = asked(server)
        with remote_lab(world, "client") as lab:
            assert job.run(lab) == expected
        assert asked(server) - before == unharmed
        for thread in striking.striking:
            thread.join()
        _until_back()


def _until_back() -> None:
    for _ in range(1000):
        with contextlib.suppress(Exception):
            ensure_local_server()
            return
        time.sleep(0.05)
    raise AssertionError("the local server does not start again")
