"""A fit over a server that is killed, and resumed from its own call log; and one that replays it."""

from __future__ import annotations

import json
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
from tests.trainer.striking import Striking

SCRIPT = Path(__file__).with_name("fitted.py")


WORLD = Striking()


@pytest.fixture(scope="module")
def model() -> Any:
    with LMServer(WORLD, latency=0.02) as server:
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


@pytest.mark.parametrize(
    ("role", "at"), [("forward", 20), ("backward", 1), ("backward", 2), ("optimizer", 1), ("optimizer", 2)]
)
def test_a_killed_fit_pays_for_nothing_that_was_recorded_again(
    server: ServerProcess, model: LMServer, tmp_path: Path, whole: Any, role: str, at: int
) -> None:
    """The script dies while it waits for an answer; what the server was asking for by then, it records alone."""
    expected, needed = whole
    model.reset()
    process = start(server, model, tmp_path)
    WORLD.arm(at, process.kill, role)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    WORLD.arm(None)
    kept = recorded(tmp_path)
    waited_for = list(tmp_path.rglob("calls_*.open"))
    assert len(waited_for) == (role != "forward")
    if at == 2:  # what the server was doing for it may still go on when the script comes back, or not
        eventually(lambda: _running(server) == 0)
    resumed = end(start(server, model, tmp_path, "last"))
    assert resumed["prompt"] == expected["prompt"]
    assert not list(tmp_path.rglob("calls_*.open"))
    if role == "forward":  # those on their way to the script are lost with it: they are asked once more
        again = asked(model) - needed
        assert not any(kept[key] for key in again)
    else:
        assert asked(model) == needed
        assert sum(kept.values()) < sum(recorded(tmp_path).values())
    assert recorded(tmp_path) == needed
    assert resumed["calls"] < sum(needed.values())
    (log,) = tmp_path.rglob("calls_*.jsonl")
    model.reset()
    replayed = end(start(server, model, tmp_path, "", str(log)))
    assert (replayed["prompt"], replayed["calls"]) == (expected["prompt"], 0)
    assert model.stats(rows=False)["total"]["calls"] == 0


def test_sigterm_ends_the_fit_then_the_run_and_the_process(
    server: ServerProcess, model: LMServer, tmp_path: Path, whole: Any
) -> None:
    expected, _ = whole
    model.reset()
    process = start(server, model, tmp_path)
    WORLD.arm(1, process.terminate, "optimizer")
    _, err = process.communicate(timeout=PATIENCE)
    WORLD.arm(None)
    assert process.returncode == -signal.SIGTERM
    assert "terminated by SIGTERM. Go on with fit(..., ckpt_path='last')" in err
    kept = recorded(tmp_path)
    with server.client() as client:
        runs = client.get("/api/v1/namespaces/jobs/projects/resume/runs").json()["runs"]
    assert [run["status"] for run in runs if run["reason"] == "SIGTERM"] == ["CRASHED"]
    before = asked(model)
    assert end(start(server, model, tmp_path, "last"))["prompt"] == expected["prompt"]
    assert not any(kept[key] for key in asked(model) - before)


def _running(server: ServerProcess) -> int:
    with sqlite3.connect(server.folder / "tellurio.db", timeout=60) as database:
        (count,) = database.execute("select count(*) from jobs where state = 'running'").fetchone()
    database.close()
    return int(count)
