"""Real processes and a real server: kill -9 and Ctrl-C at any moment."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from afnio.models.lm_server import LMServer
from tests.trainer import child
from tests.trainer.striking import Striking

REPO = Path(__file__).parents[2]


def start(root: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.trainer.child", str(root), url]
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    return subprocess.Popen(command, cwd=REPO, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, Any, str]:
    """Exit code, what it printed last, and its error output."""
    out, err = process.communicate(timeout=300)
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
    started = threading.Event()
    victim: list[subprocess.Popen[str]] = []

    def strike() -> None:
        started.wait()
        victim[0].send_signal(sign)

    world.arm(at, strike)
    victim.append(start(root, server.base_url))
    started.set()
    first = ended(victim[0])
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


POINTS = 50
SIDE_BY_SIDE = 2


def run_forked(context: Any, root: Path, url: str, arm: Callable[[Any], None]) -> int | None:
    """Train in a process forked from one that has imported everything; its exit code."""
    process = context.Process(target=child.forked, args=(root, url))
    process.start()
    arm(process)
    process.join(300)
    code: int | None = process.exitcode
    return code


def test_kill_9_at_50_random_points(whole: Any, tmp_path: Path) -> None:
    """Each is killed at another request, and goes on to the same end; nothing recorded is asked for again."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.trainer.child"])
    points = random.Random(0).sample(range(1, whole["calls"] + 1), POINTS)

    def work(part: int) -> None:
        world = Striking()
        with LMServer(world) as server:
            for at in points[part::SIDE_BY_SIDE]:
                root = tmp_path / str(at)
                root.mkdir()
                kill_and_resume(context, world, server, root, at, whole)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(work, range(SIDE_BY_SIDE)))


def kill_and_resume(context: Any, world: Striking, server: LMServer, root: Path, at: int, whole: Any) -> None:
    server.reset()
    started = threading.Event()
    victim: list[Any] = []

    def strike() -> None:
        started.wait()
        os.kill(victim[0].pid, signal.SIGKILL)

    def arm(process: Any) -> None:
        victim.append(process)
        started.set()

    world.arm(at, strike)
    assert run_forked(context, root, server.base_url, arm) == -signal.SIGKILL
    world.arm(None)
    known = recorded(root)
    server.reset()
    assert run_forked(context, root, server.base_url, lambda process: None) == 0
    assert not {key for key in asked(server) if known[key]}
    end = json.loads((root / "end.json").read_text())
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
    run = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    assert "could not be recorded" in run.stdout
    assert "fit(..., ckpt_path='last')" in run.stdout
    known = recorded(tmp_path)
    server.reset()
    code, end, err = ended(start(tmp_path, server.base_url))
    assert code == 0, err
    assert not any(known[key] for key in asked(server))
    assert (end["prompt"], end["history"]) == (whole["prompt"], whole["history"])
