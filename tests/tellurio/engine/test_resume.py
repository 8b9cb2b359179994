"""A fit over a server that is killed, and resumed from its own call log; and one that replays it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from afnio.models.lm_server import LMServer
from tests.tellurio.client.lab import environment
from tests.tellurio.engine.place import eventually
from tests.tellurio.running import PATIENCE, ServerProcess

SCRIPT = Path(__file__).with_name("fitted.py")


@pytest.fixture(scope="module")
def model() -> Any:
    with LMServer(latency=0.02) as server:
        yield server


def start(server: ServerProcess, model: LMServer, folder: Path, *options: str) -> subprocess.Popen[str]:
    env = environment(
        folder / "home",
        OPENAI_BASE_URL=model.base_url,
        OPENAI_API_KEY="sk-test",
        TELLURIO_BACKEND_HTTP_BASE_URL=server.url,
        TELLURIO_API_KEY=server.key,
        ALLOW_API_KEY_SHARING="true",
        PYTHONPATH=str(SCRIPT.parents[3]),
    )
    command = [sys.executable, str(SCRIPT), *options]
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=PATIENCE * 2)
    assert process.returncode == 0, err
    told: dict[str, Any] = json.loads(out.splitlines()[-1])
    return told


def asked(model: LMServer) -> Counter[str]:
    return Counter(row["key"] for row in model.stats()["requests"])


def recorded(folder: Path) -> Counter[str]:
    """Request key -> live answers in the script's call log."""
    (log,) = folder.rglob("calls_*.jsonl")
    lines = [json.loads(line) for line in log.read_bytes().split(b"\n")[:-1]]
    return Counter(line["key"] for line in lines if "ref" not in line)


@pytest.fixture(scope="module")
def whole(server: ServerProcess, model: LMServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A fit that nobody kills: what it prints, and what it asks."""
    with server.client() as client:
        client.post("/api/v1/namespaces", json={"slug": "jobs"})
    folder = tmp_path_factory.mktemp("whole")
    model.reset()
    told, needed = end(start(server, model, folder)), asked(model)
    assert recorded(folder) == needed
    assert told["calls"] == sum(needed.values())
    return told, needed


@pytest.mark.parametrize(("role", "at"), [("backward", 1), ("backward", 2), ("optimizer", 1), ("optimizer", 2)])
def test_a_killed_fit_pays_for_nothing_that_was_recorded_again(
    server: ServerProcess, model: LMServer, tmp_path: Path, whole: Any, role: str, at: int
) -> None:
    expected, needed = whole
    model.reset()
    process = start(server, model, tmp_path)

    def seen() -> bool:
        return len([row for row in model.stats()["requests"] if row["role"] == role]) >= at

    eventually(lambda: seen() or process.poll() is not None)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = recorded(tmp_path)
    with server.client() as client:  # what the server was doing for it comes to its end
        eventually(lambda: _running(server) == 0)
        assert client.get("/healthz").status_code == 200
    before = asked(model)
    resumed = end(start(server, model, tmp_path, "last"))
    assert resumed["prompt"] == expected["prompt"]
    paid = asked(model) - before
    # What the server was asking for when the script died, the script could not write down: that is asked once more.
    assert all(kept[key] + paid[key] <= needed[key] for key in paid)
    assert resumed["calls"] == sum(paid.values()) < sum(needed.values())
    (log,) = tmp_path.rglob("calls_*.jsonl")
    model.reset()
    replayed = end(start(server, model, tmp_path, "", str(log)))
    assert (replayed["prompt"], replayed["calls"]) == (expected["prompt"], 0)
    assert model.stats(rows=False)["total"]["calls"] == 0


def _running(server: ServerProcess) -> int:
    with sqlite3.connect(server.folder / "tellurio.db") as database:
        (count,) = database.execute("select count(*) from jobs where state = 'running'").fetchone()
    database.close()
    return int(count)
