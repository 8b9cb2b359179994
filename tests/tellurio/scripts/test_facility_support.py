"""A script written for afnio runs as it is: data, agent, Trainer, and a Run that holds all of it."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from afnio.models.lm_server import LMServer
from tests.tellurio.scripts.machine import Home

SCRIPT = Path(__file__).with_name("facility_support.py")
BY_HAND = Path(__file__).with_name("facility_support_by_hand.py")
REAL = Path(__file__).parents[4] / "shared" / "data" / "facility_support" / "dataset.json"
START = "Read the provided message and determine the sentiment."

TALK = [
    "The {what} on floor {floor} is {state}. Please send someone.",
    "I am {mood} with the {what} since your visit. It is {state} on floor {floor}.",
    "Could you tell me when the {what} on floor {floor} is serviced next? It is {state} at the moment.",
]
WORDS = {
    "what": ["lift", "heating", "front door", "cleaning", "parking gate", "air conditioning"],
    "state": ["broken", "slow", "running again", "noisy", "fine"],
    "mood": ["delighted", "frustrated", "pleased", "angry"],
}


def generated(path: Path) -> str:
    """Write 200 rows of the same shape; returns what a user with such a file would put before the script."""
    draw = random.Random(7)
    rows = []
    for _ in range(200):
        text = draw.choice(TALK).format(
            floor=draw.randint(1, 20), **{name: draw.choice(of) for name, of in WORDS.items()}
        )
        answer = {
            "urgency": draw.choice(["low", "medium", "high"]),
            "sentiment": draw.choice(["neutral", "neutral", "positive", "negative"]),
            "categories": {name: draw.random() < 0.3 for name in ("cleaning_services", "emergency_repair_services")},
        }
        rows.append({"fields": {"input": text}, "answer": json.dumps(answer)})
    path.write_text(json.dumps(rows))
    return dedent(
        f"""
        import hashlib
        from pathlib import Path
        from afnio.utils.datasets import FacilitySupport
        FacilitySupport.md5 = hashlib.md5(Path({str(path)!r}).read_bytes()).hexdigest()
        """
    )


@pytest.fixture(scope="module")
def told(home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The script, run once: what it printed, what it asked the model for, and what its Run holds."""
    folder = tmp_path_factory.mktemp("facility")
    work, raw = folder / "work", folder / "data" / "FacilitySupport" / "raw"
    work.mkdir()
    raw.mkdir(parents=True)
    before = ""
    if REAL.exists():
        shutil.copy(REAL, raw / "dataset.json")
    else:
        before = generated(raw / "dataset.json")
    first = started(home, SCRIPT, before, work)
    stored = home.stored("acme/facility-support")
    return {**first, **stored, "work": work, "before": before}


@pytest.fixture(scope="module")
def by_hand(home: Home, told: dict[str, Any]) -> dict[str, Any]:
    """The script that goes on without a Trainer, and its Run."""
    done = started(home, BY_HAND, told["before"], told["work"])
    return {**done, **home.stored("acme/facility-support-by-hand/by-hand")}


def started(home: Home, script: Path, before: str, work: Path) -> dict[str, Any]:
    """Run a script, as it is, on a simulated model; what it printed, and what it asked the model for."""
    command: list[str | Path] = [script]
    if before:
        command = ["-c", f"{before}\nimport runpy\nrunpy.run_path({str(script)!r}, run_name='__main__')"]
    with LMServer() as model:
        done = home.run(*command, cwd=work, OPENAI_BASE_URL=model.base_url, OPENAI_API_KEY="sk-test")
        asked = model.stats()["requests"]
    assert done.returncode == 0, done.stderr
    return {"output": done.stdout, "log": done.stderr, "asked": asked}


def test_it_ends_well_and_its_run_is_completed(told: dict[str, Any]) -> None:
    assert told["status"] == "COMPLETED"
    assert told["description"] == "Sentiment of messages to a facility service"
    assert f"INFO : Run '{told['name']}' marked as COMPLETED." in told["log"]
    assert "Accuracy on the test set: 0." in told["output"]


def test_every_call_is_stored_and_its_cost_is_said_to_be_unknown(told: dict[str, Any]) -> None:
    """The models' names are OpenAI's, the host is not: nobody knows what it asks for an answer."""
    live = [call for call in told["calls"] if call["source"] == "live"]
    assert sorted(call["role"] for call in live) == sorted(request["role"] for request in told["asked"])
    assert {call["role"]: call["model"] for call in live} == {
        "forward": "gpt-4.1-nano",
        "backward": "gpt-5",
        "optimizer": "gpt-5",
    }
    assert {call["usd"] for call in live} == {None}
    cost = told["cost"]
    assert (cost["calls"], cost["unpriced"], cost["usd"]) == (len(live), len(live), None)
    assert "tot_cost: unpriced" in told["output"]


def test_the_versions_of_the_prompt_are_stored(told: dict[str, Any]) -> None:
    first, *later = told["prompts"]
    assert (first["parameter"], first["version"], first["status"]) == ("sentiment_task", 0, "initial")
    assert first["value"] == START
    assert later
    for version in later:
        assert version["role"] == "system prompt for sentiment classification"
        assert version["status"] in ("kept", "undone")
        assert version["gradients"][0]["text"]
        assert version["gradients"][0]["samples"]
        assert isinstance(version["score_after"], float)
    held = told["output"].split(" -> ")[-1].partition("\n")[2].strip("\n")
    assert held in [version["value"] for version in told["prompts"]]


def test_its_metrics_are_stored_with_their_epochs(told: dict[str, Any]) -> None:
    metrics = told["metrics"]
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        assert [step for step, _ in metrics[name]] == [1, 2]
    (no_step, before), (_, after) = metrics["test_accuracy"]
    assert no_step is None
    assert metrics["improvement"] == [[None, after - before]]


def test_its_checkpoints_are_artifacts(told: dict[str, Any]) -> None:
    written = {path.name for path in told["work"].glob("checkpoints/**/*.hf")}  # what was made by hand is beside it
    stored = {Path(file["path"]).name for artifact in told["artifacts"] for file in artifact["files"]}
    assert {artifact["kind"] for artifact in told["artifacts"]} == {"checkpoint"}
    assert written
    assert written <= stored


def test_a_loop_by_hand_from_its_checkpoint_is_stored_as_well(told: dict[str, Any], by_hand: dict[str, Any]) -> None:
    assert by_hand["status"] == "COMPLETED"
    assert by_hand["log"] == ""  # configure_logging("warning")
    assert "Momentum: 2" in by_hand["output"]
    assert [step for step, _ in by_hand["metrics"]["train_accuracy"]] == [0, 1, 2, 3]
    live = [call for call in by_hand["calls"] if call["source"] == "live"]
    assert sorted(call["role"] for call in live) == sorted(request["role"] for request in by_hand["asked"])
    loaded = by_hand["output"].partition("Loaded: ")[2].partition("\nGradients: ")[0]
    assert loaded in [version["value"] for version in told["prompts"]]
    first, *later = by_hand["prompts"]
    assert (first["status"], first["value"]) == ("initial", "Read the provided message and determine the urgency.")
    assert "The prompt is another one: True" in by_hand["output"]
    for version in later:
        assert (version["parameter"], version["status"]) == ("system prompt for urgency classification", "proposed")
        assert version["gradients"]
    assert [(one["name"], one["kind"]) for one in by_hand["artifacts"]] == [("by_hand.hf", "file")]
