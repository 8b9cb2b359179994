"""Two processes send the same requests, byte for byte, and end with the same prompts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from afnio.models.lm_server import LMServer
from tests.autodiff import job
from tests.autodiff.lab import DRIVES, Lab, Served, open_lab

REPO = Path(__file__).parents[2]


def process(hash_seed: str) -> bytes:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-m", "tests.autodiff.job"]
    done = subprocess.run(command, env=environment, cwd=REPO, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_two_processes_send_the_same_bytes_and_end_with_the_same_prompts() -> None:
    one, other = process("1"), process("4242")
    assert one == other
    told = json.loads(one)
    assert len(told["requests"]) > 50
    assert all(prompt.startswith("Rewritten") for prompt in told["prompts"])


def test_answers_that_arrive_in_another_order_change_nothing(inline: Lab) -> None:
    expected = job.run(inline)
    for drive in DRIVES:
        for jitter in (0.0, 0.02):
            world = Served()
            with (
                LMServer(world=world, latency=0.02, jitter=jitter) as server,
                open_lab("http", drive, server, world) as lab,
            ):
                assert job.run(lab) == expected
