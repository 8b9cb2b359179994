"""Real processes and a real server: kill -9 and Ctrl-C at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds import make_world

REPO = Path(__file__).parents[2]


class Striking:
    """The world of tickets; at the ``at``-th request, counted from 1, it strikes before it answers."""

    name = "tickets"

    def __init__(self) -> None:
        self._world = make_world("tickets", seed=0, bad_share=0.3)
        self._lock, self._seen = threading.Lock(), 0
        self.at: int | None = None
        self.strike: Callable[[], Any] = lambda: None

    def arm(self, at: int | None, strike: Callable[[], Any]) -> None:
        """Count from here on."""
        self._seen, self.at, self.strike = 0, at, strike

    def reply(self, ask: Any, role: str) -> str:
        """What the world replies."""
        with self._lock:
            self._seen += 1
            strikes = self._seen == self.at
        if strikes:
            self.strike()
        return self._world.reply(ask, role)

    def destroy(self, ask: Any) -> str:
        """What the world replies."""
        return self._world.destroy(ask)


def start(root: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.trainer.child", str(root), url]
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    return subprocess.Popen(command, cwd=REPO, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, Any, str]:
    """Exit code, what it printed last, and its error output."""
    out, err = process.communicate(timeout=120)
    return process.returncode, json.loads(out.splitlines()[-1]) if out.strip() else None, err


def recorded(root: Path) -> Counter[str]:
    """Key -> how often its answer stands in the call log."""
    keys: Counter[str] = Counter()
    for path in root.glob("checkpoints/calls_*.jsonl"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            record = json.loads(line)
            keys[record["key"]] += "ref" not in record
    return keys


def asked(server: LMServer) -> Counter[str]:
    return Counter(row["key"] for row in server.stats()["requests"])


def strike_and_resume(world: Striking, server: LMServer, root: Path, at: int, sign: int) -> Any:
    """One process struck at its ``at``-th request, another that goes on; nothing recorded is asked again."""
    server.reset()
    process = start(root, server.base_url)
    world.arm(at, lambda: process.send_signal(sign))
    first = ended(process)
    world.arm(None, lambda: None)
    known = recorded(root)
    server.reset()
    second = ended(start(root, server.base_url))
    assert second[0] == 0, second[2]
    again = {key: count for key, count in asked(server).items() if known[key]}
    assert again == {}
    return first, second[1]


@pytest.fixture(scope="module")
def world() -> Striking:
    return Striking()


@pytest.fixture(scope="module")
def server(world: Striking) -> Any:
    with LMServer(world) as server:
        yield server


@pytest.fixture(scope="module")
def whole(server: LMServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    server.reset()
    code, end, err = ended(start(tmp_path_factory.mktemp("whole"), server.base_url))
    assert code == 0, err
    end["calls"] = server.stats()["calls"]
    return end


@pytest.mark.parametrize("share", [0.1, 0.45, 0.8])
def test_kill_9(world: Striking, server: LMServer, whole: Any, tmp_path: Path, share: float) -> None:
    first, end = strike_and_resume(world, server, tmp_path, int(share * whole["calls"]), signal.SIGKILL)
    assert first[0] == -signal.SIGKILL
    assert end["prompt"] == whole["prompt"]
    assert end["history"] == whole["history"]


@pytest.mark.parametrize("share", [0.05, 0.6])
def test_ctrl_c_ends_cleanly(world: Striking, server: LMServer, whole: Any, tmp_path: Path, share: float) -> None:
    (code, first, err), end = strike_and_resume(world, server, tmp_path, int(share * whole["calls"]), signal.SIGINT)
    assert code == 0, err
    assert first["interrupted"] is True
    assert first["stop_reason"] == "interrupted by Ctrl-C."
    assert Path(first["checkpoint"]).is_file()
    assert (
        f"fit ended early: interrupted by Ctrl-C. Go on with fit(..., ckpt_path='last'): {first['checkpoint']}" in err
    )
    assert end["interrupted"] is False
    assert end["prompt"] == whole["prompt"]


def test_kill_9_at_20_random_points(world: Striking, server: LMServer, whole: Any, tmp_path: Path) -> None:
    draw = random.Random(0)
    for number in range(20):
        at = draw.randint(1, whole["calls"])
        first, end = strike_and_resume(world, server, tmp_path / str(number), at, signal.SIGKILL)
        assert first[0] == -signal.SIGKILL
        assert (end["prompt"], end["history"]) == (whole["prompt"], whole["history"])


FULL = """
import resource, sys
from pathlib import Path
from afnio.errors import CallLogError
from tests.trainer.job import Agent, engine, loader, quiet
from afnio.models.openai import OpenAI

root, url, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # a write beyond it fails, as on a full disk
client = OpenAI(api_key="any", base_url=url)
trainer = quiet(root, max_epochs=2)
try:
    with engine(client):
        trainer.fit(Agent(client), loader(6, shuffle=True, seed=1), loader(10, rows=slice(4, 18)))
except CallLogError as error:
    print(error)
    print(*error.__notes__)
"""


def test_a_full_disk_ends_the_fit_and_loses_nothing(
    world: Striking, server: LMServer, whole: Any, tmp_path: Path
) -> None:
    server.reset()
    world.arm(None, lambda: None)
    command = [sys.executable, "-B", "-c", FULL, str(tmp_path), server.base_url, "30000"]
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    run = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert "could not be recorded" in run.stdout
    assert "fit(..., ckpt_path='last')" in run.stdout
    known = recorded(tmp_path)
    server.reset()
    code, end, err = ended(start(tmp_path, server.base_url))
    assert code == 0, err
    assert not any(known[key] for key in asked(server))
    assert (end["prompt"], end["history"]) == (whole["prompt"], whole["history"])
