"""The quickstart trains: on the simulation it falls back to, and on any endpoint an environment variable names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from afnio.models.lm_server import LMServer

SCRIPT = Path(__file__).parent.parent / "tutorials" / "quickstart.py"


def start(tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AFNIO_"))}
    return subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=tmp_path, env=given | env, capture_output=True, text=True, timeout=120
    )


def run(tmp_path: Path, **env: str) -> str:
    done = start(tmp_path, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def accuracies(output: str) -> tuple[float, float]:
    found = re.search(r"Test accuracy: ([\d.]+) -> ([\d.]+)", output)
    assert found, output
    return float(found[1]), float(found[2])


def test_without_a_key_it_trains_on_the_simulation_and_says_so(tmp_path: Path) -> None:
    output = run(tmp_path)
    before, after = accuracies(output)
    assert 0.45 <= before <= 0.65
    assert after >= 0.95
    assert "Neither OPENAI_API_KEY nor OPENAI_BASE_URL is set" in output
    assert "simulation, not an AI" in output
    assert re.search(r"\d+ calls, [\d,]+ tokens, unpriced", output)
    assert "Step 1 by hand" in output
    assert "- Refund requests" in output  # the prompt after training
    assert not list(tmp_path.iterdir())  # nothing is written unasked


def test_an_environment_variable_is_all_that_changes_for_another_endpoint(tmp_path: Path) -> None:
    with LMServer(world="tickets", bad_share=0) as server:
        output = run(tmp_path, OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="a-key", AFNIO_MODEL="tickets")
        assert accuracies(output)[1] >= 0.95
        assert len(server.stats()["requests"]) > 240
    assert "simulation, not an AI" not in output


def test_what_goes_wrong_is_told_in_one_line(tmp_path: Path) -> None:
    done = start(tmp_path, OPENAI_BASE_URL="http://127.0.0.1:9/v1", AFNIO_MODEL="")
    assert done.returncode == 1
    assert "Model: gpt-4o-mini at" in done.stdout
    assert done.stderr.startswith("APIUnreachableError: Cannot reach http://127.0.0.1:9/v1")
    assert done.stderr.count("\n") == 1


def test_a_script_of_ones_own_gets_an_error_that_names_the_variable(tmp_path: Path) -> None:
    given = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    done = subprocess.run(
        [sys.executable, "-c", "from afnio.models.openai import OpenAI; OpenAI()"],
        cwd=tmp_path,
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "MissingKeyError" in done.stderr
    assert "OPENAI_API_KEY" in done.stderr
