"""A fit that was killed goes on as if nothing had happened: the same requests, byte for byte, each paid for once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from afnio.calls import Budget, CallLog
from afnio.errors import CheckpointError
from afnio.models.lm_server.worlds.tickets.job import JOB_PROMPT
from afnio.serialization import load, save
from afnio.trainer import Callback, EarlyStopping, Fit
from afnio.trainer.checkpoints import Folder
from tests.trainer.job import Agent, AsyncAgent, engine, loader, model, quiet

FAULT = "destructive@2"  # so that the gate undoes something on the way


class Killed(BaseException):
    """Stands for kill -9: nothing that is done on the way out is looked at but the files."""


@dataclass
class Run:
    requests: list[str]
    prompt: str
    metrics: dict[str, float]
    history: list[dict[str, float]]
    best: Any
    costs: str
    trainer: Any


def run(
    root: Path | None, kill_at: int | None = None, resume: Any = None, agent_type: type[Agent] = Agent, **args: Any
) -> Run:
    """One process: a fresh model, agent and Trainer; the model kills it at its ``kill_at``-th request."""

    error = args.pop("error", Killed)

    def before(body: dict[str, Any], number: int) -> None:
        if number == kill_at:
            raise error

    engine_args = args.pop("engine_args", {})
    client = model(*args.pop("faults", (FAULT,)), before=before)
    agent, trainer = agent_type(client, momentum=1), quiet(root, **({"max_epochs": 2} | args))
    data = loader(6, shuffle=True, seed=3), loader(10, rows=slice(4, 18))
    try:
        with engine(client, **engine_args):
            trainer.fit(agent, *data, ckpt_path=resume)
    except Killed:
        assert kill_at is not None
    if kill_at is not None and len(client.requests) >= kill_at:
        del client.requests[kill_at - 1]  # it was never answered; those beside it, of an async step, were
    requests = [json.dumps(body, sort_keys=True) for body in client.requests]
    found = trainer.state.costs if trainer.state else None
    return Run(requests, agent.prompt.data, dict(trainer.metrics), trainer.history, trainer.best, str(found), trainer)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("whole"))


def faults_left(requests: list[str]) -> tuple[str, ...]:
    """The model's faults for the process that goes on: a server would not have forgotten."""
    asked = sum("afnio_update" in request for request in requests)
    return () if asked >= 2 else (f"destructive@{2 - asked}",)


def same_end(one: Run, other: Run) -> None:
    assert one.prompt == other.prompt
    assert one.metrics == other.metrics
    assert one.history == other.history
    assert one.best == other.best
    assert one.costs == other.costs


def test_the_whole_run_has_something_to_lose(whole: Run) -> None:
    assert len(whole.requests) > 50
    assert len(set(whole.requests)) == len(whole.requests)
    assert whole.trainer.state.ledger.total().reused > 20
    assert whole.trainer.state.progress.undone == 1


@pytest.mark.parametrize("part", range(4))
def test_killed_at_any_request_it_repeats_none_and_ends_the_same(whole: Run, tmp_path: Path, part: int) -> None:
    for kill_at in range(1 + part, len(whole.requests) + 1, 4):
        root = tmp_path / str(kill_at)
        first = run(root, kill_at)
        second = run(root, resume="last", faults=faults_left(first.requests))
        assert first.requests + second.requests == whole.requests
        same_end(second, whole)


@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_ctrl_c_at_any_request_keeps_what_was_judged_and_the_fit_goes_on(
    tmp_path: Path, agent_type: type[Agent]
) -> None:
    expected = run(tmp_path / "whole", agent_type=agent_type)
    judged = {JOB_PROMPT}
    for number, kill_at in enumerate(range(1, len(expected.requests) + 1, 3)):
        root = tmp_path / str(number)
        first = run(root, kill_at, agent_type=agent_type, error=KeyboardInterrupt)
        assert first.trainer.interrupted
        assert first.trainer.stop_reason == "interrupted by Ctrl-C."
        judged.add(first.prompt)
        second = run(root, resume="last", agent_type=agent_type, faults=faults_left(first.requests))
        assert sorted(first.requests + second.requests) == sorted(expected.requests)
        same_end(second, expected)
    kept = {load(path)["agent_state_dict"]["prompt"].data for path in checkpoints(tmp_path / "whole")}
    assert judged <= kept


def test_killed_again_and_again(whole: Run, tmp_path: Path) -> None:
    requests: list[str] = []
    for kill_at in (7, 1, 2, 15, 3, 30, None):
        last = run(tmp_path, kill_at, resume="last", faults=faults_left(requests))
        requests += last.requests
    assert requests == whole.requests
    same_end(last, whole)


def test_from_every_checkpoint_it_goes_on_to_the_same_end(whole: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(Path(whole.trainer.checkpoint).parent, tmp_path / "checkpoints")
    paths = [*folder.glob("checkpoint_epoch*.hf"), *folder.glob("epoch_*/*.hf"), folder / "best.hf"]
    assert len(paths) == 3 + 8 + 1
    for path in paths:
        again = run(folder.parent, resume="best" if path.name == "best.hf" else str(path))
        assert again.requests == []  # all of it is in the call log
        assert again.prompt == whole.prompt
        assert again.metrics == whole.metrics


def test_an_async_step_goes_on_too(tmp_path: Path) -> None:
    expected = run(tmp_path / "whole", agent_type=AsyncAgent)
    for kill_at in range(1, len(expected.requests) + 1, 5):
        root = tmp_path / str(kill_at)
        first = run(root, kill_at, agent_type=AsyncAgent)
        second = run(root, resume="last", agent_type=AsyncAgent, faults=faults_left(first.requests))
        assert sorted(first.requests + second.requests) == sorted(expected.requests)
        same_end(second, expected)


def test_the_engines_own_log_serves_as_well(whole: Run, tmp_path: Path) -> None:
    args: dict[str, Any] = {"engine_args": {"call_log": tmp_path / "calls.jsonl"}}
    first = run(tmp_path, 40, **args)
    second = run(tmp_path, resume="last", faults=faults_left(first.requests), **args)
    assert first.requests + second.requests == whole.requests
    assert second.prompt == whole.prompt
    assert not list(tmp_path.glob("checkpoints/calls_*"))


def test_without_reuse_of_answers_too(tmp_path: Path) -> None:
    expected = run(tmp_path / "whole", reuse_answers=False)
    first = run(tmp_path / "killed", 40, reuse_answers=False)
    second = run(tmp_path / "killed", resume="last", reuse_answers=False, faults=faults_left(first.requests))
    assert first.requests + second.requests == expected.requests
    same_end(second, expected)


def test_a_whole_fit_replays_offline(whole: Run, tmp_path: Path) -> None:
    folder = Path(whole.trainer.checkpoint).parent
    log = CallLog(next(folder.glob("calls_*.jsonl")), mode="replay")
    with log:
        again = run(None, kill_at=1, engine_args={"call_log": log})
    assert again.requests == []
    assert again.prompt == whole.prompt
    assert again.metrics == whole.metrics


def test_the_budget_knows_what_was_spent_before_the_kill(whole: Run, tmp_path: Path) -> None:
    total = len(whole.requests)
    first = run(tmp_path, 31, budget=Budget(calls=total))
    second = run(tmp_path, resume="last", budget=Budget(calls=total), faults=faults_left(first.requests))
    assert second.trainer.stop_reason is None
    same_end(second, whole)
    assert second.trainer.budget.spent["calls"] == total


def test_a_used_up_budget_goes_on_with_a_larger_one(whole: Run, tmp_path: Path) -> None:
    first = run(tmp_path, budget=Budget(calls=50))
    assert "Budget(calls=50)" in first.trainer.stop_reason
    assert len(first.requests) == 50
    second = run(tmp_path, resume="last", budget=Budget(calls=1000), faults=faults_left(first.requests))
    assert first.requests + second.requests == whole.requests
    same_end(second, whole)


def test_more_epochs_later(tmp_path: Path) -> None:
    expected = run(tmp_path / "whole", max_epochs=3)
    first = run(tmp_path / "parts", max_epochs=1)
    second = run(tmp_path / "parts", max_epochs=3, resume="last", faults=faults_left(first.requests))
    assert first.requests + second.requests == expected.requests
    same_end(second, expected)


def test_max_steps_in_the_middle_of_an_epoch(whole: Run, tmp_path: Path) -> None:
    first = run(tmp_path, max_steps=2)
    assert first.trainer.state.progress.batch == 2
    assert first.trainer.stop_reason == "max_steps=2 reached"
    second = run(tmp_path, resume="last", faults=faults_left(first.requests))
    assert second.prompt == whole.prompt
    assert second.trainer.state.progress.steps == 8


# what may be wrong with the files


def checkpoints(root: Path) -> list[Path]:
    """The oldest first, as ``ckpt_path="last"`` has it: clocks of files are too coarse for two written in a row."""
    return [*Folder(root)._newest_first()][::-1]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def tamper(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, tamper, lambda path: path.write_bytes(b"")])
def test_a_damaged_last_checkpoint_is_passed_over(
    whole: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], Any]
) -> None:
    first = run(tmp_path, 50)
    damage(checkpoints(tmp_path)[-1])
    second = run(tmp_path, resume="last", faults=faults_left(first.requests))
    assert "The one before it is tried." in caplog.text
    assert first.requests + second.requests == whole.requests
    same_end(second, whole)


@pytest.mark.parametrize("damage", [cut, tamper])
def test_a_damaged_checkpoint_named_by_its_path_is_an_error(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    run(tmp_path, 30)
    path = checkpoints(tmp_path)[-1]
    damage(path)
    with pytest.raises(CheckpointError, match=path.name):
        run(tmp_path, resume=path)


def test_no_checkpoint_at_all(whole: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(tmp_path, resume="last").requests == whole.requests
    assert "starting from the beginning" in caplog.text
    with pytest.raises(CheckpointError, match="nothing"):
        run(tmp_path, resume=tmp_path / "nothing.hf")


def test_only_damaged_checkpoints(tmp_path: Path) -> None:
    run(tmp_path, 30)
    for path in checkpoints(tmp_path):
        cut(path)
    with pytest.raises(CheckpointError, match="No checkpoint in"):
        run(tmp_path, resume="last")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    save({"hello": 1}, tmp_path / "x.hf")
    with pytest.raises(CheckpointError, match="no checkpoint of a Trainer"):
        run(tmp_path, resume=tmp_path / "x.hf")
    save({"agent_state_dict": {}, "format": "afnio.trainer/9"}, tmp_path / "x.hf")
    with pytest.raises(CheckpointError, match=r"afnio\.trainer/9"):
        run(tmp_path, resume=tmp_path / "x.hf")


def test_a_checkpoint_of_another_agent(tmp_path: Path) -> None:
    run(tmp_path, 30)

    class Other(Agent):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            del self.prompt
            self.instructions = type(self.template)("x")
            self.register_parameter("other", None)
            from afnio.cognitive import Parameter

            self.other = Parameter("x", role="y")

        def messages(self) -> list[dict[str, Any]]:
            return [{"role": "system", "content": [self.other]}]

    with pytest.raises(CheckpointError, match="does not fit this agent"):
        run(tmp_path, resume="last", agent_type=Other)


def test_a_lost_call_log_is_said_and_the_fit_goes_on(
    whole: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(tmp_path, 30)
    for path in tmp_path.glob("checkpoints/calls_*.jsonl"):
        path.unlink()
    second = run(tmp_path, resume="last", faults=faults_left(first.requests))
    assert "is not there" in caplog.text
    assert second.prompt == whole.prompt


def test_a_folder_may_be_moved(whole: Run, tmp_path: Path) -> None:
    first = run(tmp_path / "here", 45)
    shutil.move(tmp_path / "here", tmp_path / "there")
    second = run(tmp_path / "there", resume="last", faults=faults_left(first.requests))
    assert first.requests + second.requests == whole.requests


def test_what_a_checkpoint_holds(whole: Run) -> None:
    folder = Path(whole.trainer.checkpoint).parent
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("**/*.hf"))
    stems = [name[: name.rindex("_")] for name in names if name != "best.hf"]
    batches = [f"epoch_{epoch}/checkpoint_batch{batch}" for epoch in (1, 2) for batch in range(4)]
    assert sorted(stems) == sorted([f"checkpoint_epoch{epoch}" for epoch in (0, 1, 2)] + batches)
    for path in folder.glob("epoch_1/checkpoint_batch2_*.hf"):
        content = load(path)
        assert list(content) == ["format", "epoch", "batch", "agent_state_dict", "optimizer_state_dict", "trainer"]
        assert (content["epoch"], content["batch"]) == (1, 2)
    (path,) = folder.glob("checkpoint_epoch2_*.hf")
    content = load(path)
    assert (content["epoch"], content["batch"]) == (2, None)
    assert content["agent_state_dict"]["prompt"].data == whole.prompt or whole.best.epoch == 1


def test_a_folder_that_vanishes_is_warned_of_once_and_training_goes_on(
    whole: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Vandal(Callback):
        def on_epoch_start(self, fit: Fit) -> None:
            if fit.progress.epoch == 0:
                (tmp_path / "checkpoints" / "epoch_1").write_text("in the way")
                (tmp_path / "checkpoints" / "epoch_2").write_text("in the way")

    result = run(tmp_path, callbacks=[Vandal()])
    assert result.requests == whole.requests
    assert result.prompt == whole.prompt
    assert caplog.text.count("A checkpoint could not be written") == 1


def test_nothing_is_paid_for_where_no_checkpoint_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    client = model()
    agent = Agent(client)
    agent.register_completion_config("extra", {"unsavable": object()})
    with engine(client), pytest.raises(CheckpointError, match="enable_checkpointing=False"):
        quiet(tmp_path).fit(agent, loader())
    assert client.calls == 0


def test_callbacks_keep_their_state(tmp_path: Path) -> None:
    expected = run(tmp_path / "whole", max_epochs=6, callbacks=[EarlyStopping(patience=2)])
    assert expected.trainer.stop_reason is not None
    assert expected.trainer.state.progress.epoch < 6
    first = run(tmp_path / "parts", max_epochs=2, callbacks=[EarlyStopping(patience=2)])
    second = run(
        tmp_path / "parts",
        max_epochs=6,
        resume="last",
        callbacks=[EarlyStopping(patience=2)],
        faults=faults_left(first.requests),
    )
    assert second.trainer.stop_reason == expected.trainer.stop_reason
    assert second.history == expected.history
