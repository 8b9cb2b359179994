"""A training through the server, read back through ``te.Api``: prompts, calls, costs, metrics, checkpoints."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import afnio
from afnio.models.lm_server import LMServer
from tests.tellurio.scripts.machine import Home
from tests.tellurio.scripts.trained import START

SCRIPT = Path(__file__).with_name("trained.py")


@pytest.fixture(scope="module", params=["sync server", "sync client", "async server"])
def told(request: pytest.FixtureRequest, home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script knows, what the model was asked, what the server has; server or script calls the model."""
    work = tmp_path_factory.mktemp("work")
    kind, lm_calls = request.param.split()
    with LMServer(faults=["destructive@2:role=optimizer"]) as model:
        done = home.run(
            *(SCRIPT, kind, json.dumps({"lm_calls": lm_calls})),
            cwd=work,
            OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY="sk-test",
            PYTHONPATH=str(SCRIPT.parents[3]),
        )
        asked = Counter(row["role"] for row in model.stats()["requests"])
    assert done.returncode == 0, done.stderr
    known = json.loads(done.stdout.splitlines()[-1])
    return {"known": known, "asked": asked, "log": done.stderr, "work": work, **home.stored(known["run"])}


def test_the_run_is_completed(told: dict[str, Any]) -> None:
    assert told["status"] == "COMPLETED"
    assert told["url"] in told["log"]


def test_every_version_of_the_prompt_is_there_with_the_feedback_that_led_to_it(told: dict[str, Any]) -> None:
    first, *later = told["prompts"]
    assert (first["version"], first["status"], first["value"]) == (0, "initial", START)
    assert {version["parameter"] for version in told["prompts"]} == {"clerk.prompt"}
    assert {version["role"] for version in told["prompts"]} == {"system prompt of the clerk"}
    assert [version["version"] for version in later] == list(range(1, len(later) + 1))
    for version in later:
        assert version["reasoning"]
        assert all(gradient["text"] and gradient["samples"] for gradient in version["gradients"])
        assert version["step"] >= 1
        kept = version["score_after"] >= version["score_before"]
        assert version["status"] == ("kept" if kept else "undone")
    counts = Counter(version["status"] for version in later)
    assert (counts["kept"], counts["undone"]) == (told["known"]["updates"], told["known"]["undone"])
    assert counts["undone"] >= 1
    assert told["known"]["prompt"] in [version["value"] for version in told["prompts"] if version["status"] == "kept"]


def test_every_call_is_there_once_and_the_costs_add_up(told: dict[str, Any]) -> None:
    live = [call for call in told["calls"] if call["source"] == "live"]
    assert Counter(call["role"] for call in live) == told["asked"]
    assert all(Decimal(call["usd"]) > 0 for call in live)
    total = sum(Decimal(call["usd"]) for call in live)
    assert total == Decimal(told["cost"]["usd"]) == Decimal(told["known"]["usd"])
    assert told["cost"]["calls"] == len(live) == told["known"]["calls"]
    assert told["cost"]["unpriced"] == 0
    cost = [value for _, value in told["metrics"]["total_cost($)"]]
    assert cost[-1] == pytest.approx(float(total))


def test_the_metrics_of_each_epoch_are_there(told: dict[str, Any]) -> None:
    history = told["known"]["history"]
    for name in ("train_loss", "val_loss"):
        assert told["metrics"][name] == [[epoch + 1, pytest.approx(row[name])] for epoch, row in enumerate(history)]


def test_what_happened_is_there(told: dict[str, Any]) -> None:
    kinds = Counter(event["kind"] for event in told["events"])
    assert kinds["fit_start"] == kinds["fit_end"] == 1
    assert kinds["prompt"] == kinds["gate"] == len(told["prompts"]) - 1


def test_a_checkpoint_comes_back_as_an_artifact_and_loads(told: dict[str, Any], home: Home, tmp_path: Path) -> None:
    written = {path.name for path in told["work"].rglob("*.hf")}
    stored = {Path(file["path"]).name for one in told["artifacts"] for file in one["files"]}
    assert written == stored
    assert {(one["name"], one["kind"]) for one in told["artifacts"]} == {("checkpoint", "checkpoint")}
    reading = (
        f"import afnio.tellurio as te\nte.Api().run({told['known']['run']!r}).artifact('checkpoint').download('here')"
    )
    done = home.run("-c", reading, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = (path for path in (tmp_path / "here").rglob("*") if path.is_file())
    content = afnio.load(path)
    values = {version["value"] for version in told["prompts"]}
    assert content["agent_state_dict"]["clerk.prompt"].data in values
