"""The quickstart trains: on the simulation it falls back to, and on any endpoint an environment variable names."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from afnio.models.lm_server import LMServer
from tests.tellurio.scripts.machine import Home

SCRIPT = Path(__file__).parent.parent / "tutorials" / "quickstart.py"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A machine of one's own, whose server is stopped at the end; an empty folder to work in is beside it."""
    home = machine(tmp_path_factory)
    yield home
    assert home.tellurio("down").returncode == 0


@pytest.fixture(scope="module")
def demo(home: Home) -> str:
    """What ``make demo`` prints without a key."""
    return run(home)


def machine(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("machine")
    (folder / "work").mkdir()
    return Home(folder / "tellurio")


def start(home: Home, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        cwd=home.folder.parent / "work",
        env=home.environment(**env),
        capture_output=True,
        text=True,
        timeout=300,
    )


def run(home: Home, **env: str) -> str:
    done = start(home, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def accuracies(output: str) -> tuple[float, float]:
    found = re.search(r"Test accuracy: ([\d.]+) -> ([\d.]+)", output)
    assert found, output
    return float(found[1]), float(found[2])


def test_without_a_key_it_trains_on_the_simulation_and_says_so(demo: str, home: Home) -> None:
    before, after = accuracies(demo)
    assert 0.45 <= before <= 0.65
    assert after >= 0.95
    assert "Neither OPENAI_API_KEY nor OPENAI_BASE_URL is set" in demo
    assert "simulation, not an AI" in demo
    assert re.search(r"\d+ calls, [\d,]+ tokens, unpriced", demo)
    assert "Step 1 by hand" in demo
    assert "- Refund requests" in demo  # the prompt after training
    assert not list((home.folder.parent / "work").iterdir())  # nothing is written there unasked


def test_it_leaves_a_run_with_all_that_happened(demo: str, home: Home) -> None:
    found = re.search(r"open (tutorials/quickstart/[a-z0-9-]+)\n", demo)
    assert found
    stored = home.stored(found[1])
    assert stored["status"] == "COMPLETED"
    assert f"are stored: {stored['url']}" in demo
    assert [value for _, value in stored["metrics"]["test_loss"]] == list(map(pytest.approx, accuracies(demo)))
    assert [step for step, _ in stored["metrics"]["train_loss"]] == [1]
    live = [call for call in stored["calls"] if call["source"] == "live"]
    assert {call["role"] for call in live} == {"forward", "backward", "optimizer"}
    assert f"{len(live)} calls, " in demo
    assert {version["parameter"] for version in stored["prompts"]} == {"prompt"}  # by hand and by the Trainer
    assert stored["prompts"][0]["value"] in demo
    assert "proposed" in {version["status"] for version in stored["prompts"]}  # by hand nobody judges
    assert "kept" in {version["status"] for version in stored["prompts"]}


def test_without_a_server_it_says_so_and_trains_all_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = machine(tmp_path_factory)
    home.folder.write_text("a file where the folder would be")
    output = run(home)
    assert "There is no server to train through: TellurioError: " in output
    assert "TELLURIO_HOME" in output
    assert accuracies(output)[1] >= 0.95
    assert re.search(r"\d+ calls, [\d,]+ tokens, unpriced", output)
    assert "are stored" not in output


def test_a_server_that_is_killed_in_the_middle_is_started_again_and_nothing_is_lost(home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        cwd=home.folder.parent / "work",
        env=home.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        while "Step 2 by hand" not in (line := demo.stdout.readline()):
            assert line, demo.communicate()[1]
        os.kill(json.loads((home.folder / "server" / "server.json").read_text())["pid"], signal.SIGKILL)
        output, log = demo.communicate(timeout=300)
    assert demo.returncode == 0, log
    assert float(output.partition("Test accuracy: ")[2].split()[2]) >= 0.95
    stored = home.stored("tutorials/quickstart")
    assert stored["status"] == "COMPLETED"
    live = [call for call in stored["calls"] if call["source"] == "live"]
    assert f"\n{len(live)} calls, " in output
    assert len(stored["metrics"]["test_loss"]) == 2


def test_an_environment_variable_is_all_that_changes_for_another_endpoint(home: Home) -> None:
    with LMServer(world="tickets", bad_share=0) as server:
        output = run(home, OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="a-key", AFNIO_MODEL="tickets")
        assert accuracies(output)[1] >= 0.95
        assert len(server.stats()["requests"]) > 240
    assert "simulation, not an AI" not in output


def test_what_goes_wrong_is_told_in_one_line_and_the_run_says_crashed(home: Home) -> None:
    done = start(home, OPENAI_BASE_URL="http://127.0.0.1:9/v1", AFNIO_MODEL="")
    assert done.returncode == 1
    assert "Model: gpt-4o-mini at" in done.stdout
    told = [line for line in done.stderr.splitlines() if not line.startswith("INFO : ")]
    assert len(told) == 1
    assert told[0].startswith("APIUnreachableError: Cannot reach http://127.0.0.1:9/v1")
    assert home.stored("tutorials/quickstart")["status"] == "CRASHED"


def test_a_script_of_ones_own_gets_an_error_that_names_the_variable(tmp_path: Path) -> None:
    given = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    done = subprocess.run(
        [sys.executable, "-c", "from afnio.models.openai import OpenAI; OpenAI()"],
        cwd=tmp_path,
        env=given,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 1
    assert "MissingKeyError" in done.stderr
    assert "OPENAI_API_KEY" in done.stderr
