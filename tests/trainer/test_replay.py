"""A whole fit replays from its call log: no server, no network, the same prompts byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from afnio.models.lm_server import LMServer
from tests.test_datasets import REAL

REPO = Path(__file__).parents[2]
DATA = str(REAL) if (REAL / "dataset.json").exists() else "-"


def run(*args: Any) -> dict[str, Any]:
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-m", "tests.trainer.replayed", *map(str, args)]
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("data", sorted({DATA, "-"}), ids=lambda data: "tickets" if data == "-" else "facility support")
def test_a_whole_fit_replays_offline(tmp_path: Path, data: str) -> None:
    log = tmp_path / "calls.jsonl"
    with LMServer(latency=0.002, jitter=0.01, bad_share=0.2) as server:  # answers come out of order
        recorded = run(log, "live", server.base_url, data)
        url = server.base_url
    content = log.read_bytes()
    assert recorded["paid"] > 50
    for _ in range(2):
        replayed = run(log, "replay", url, data, "forbid")
        assert replayed == recorded | {"paid": 0}
    assert log.read_bytes() == content


def test_a_replay_that_needs_another_answer_says_which(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    with LMServer(bad_share=0.0) as server:
        run(log, "live", server.base_url, "-")
        url = server.base_url
    lines = log.read_bytes().splitlines(keepends=True)
    optimizer = next(place for place, line in enumerate(lines) if json.loads(line)["role"] == "optimizer")
    log.write_bytes(b"".join(lines[:optimizer]))
    with pytest.raises(AssertionError, match=r"ReplayMissError.*the optimizer call at"):
        run(log, "replay", url, "-", "forbid")
