"""Callbacks: Lightning's names, errors that say whose they are, which checkpoints are kept."""

from __future__ import annotations

import asyncio
import functools
import re
from pathlib import Path
from typing import Any

import pytest

from afnio.calls import Budget
from afnio.errors import StepError
from afnio.serialization import load
from afnio.trainer import Callback, EarlyStopping, Fit, ModelCheckpoint, Trainer
from afnio.trainer.callbacks.base import HOOKS
from tests.trainer.job import Agent, AsyncAgent, engine, loader, model, quiet, state


class Heard(Callback):
    """Writes down the names of all hooks that are called; one of them may raise."""

    def __init__(self, raises: str = "", error: BaseException | None = None) -> None:
        self.names: list[str] = []
        for name in HOOKS:
            setattr(self, name, self._hook(name, name == raises, error or LookupError("mine")))

    def _hook(self, name: str, raises: bool, error: BaseException) -> Any:
        usual = getattr(super(), name)

        def hook(*args: Any) -> None:
            self.names.append(name)
            if raises:
                raise error
            usual(*args)

        hook.__code__ = hook.__code__.replace(co_name=name)
        return hook


def trained(*callbacks: Any, root: Path | None = None, agent_type: type[Agent] = Agent, **args: Any) -> Any:
    """The agent and its Trainer, after a fit or the error of it."""
    agent, trainer = agent_type(model()), quiet(root, callbacks=callbacks, **args)
    with engine(agent.client):
        trainer.fit(agent, loader(12), loader(12), ckpt_path="last" if root else None)
    return agent, trainer


@functools.cache
def whole(kind: str) -> str:
    """The prompt a fit ends with that nothing disturbs."""
    prompt: str = trained(agent_type=AGENTS[kind])[0].prompt.data
    return prompt


AGENTS = {each.__name__: each for each in (Agent, AsyncAgent)}


def test_lightnings_names_are_called_beside_the_general_ones() -> None:
    heard = Heard()
    trained(heard)
    batch = ["on_batch_start", "on_train_batch_start"], ["on_batch_end", "on_train_batch_end"]
    validated = ["on_batch_start", "on_validation_batch_start"], ["on_batch_end", "on_validation_batch_end"]
    names = [name for name in heard.names if name != "on_verdict"]
    assert names == [
        *("on_fit_start", "on_epoch_start", "on_train_epoch_start", "on_stage_start"),
        *(batch[0] + batch[1]) * 2,
        *("on_stage_end", "on_stage_start", "on_validation_start"),
        *(validated[0] + validated[1]) * 2,
        *("on_stage_end", "on_validation_end", "on_epoch_end", "on_train_epoch_end", "on_fit_end"),
    ]


def test_a_test_tells_of_stages_and_batches_only() -> None:
    heard = Heard()
    quiet(callbacks=heard).test(Agent(model()), loader(24))
    assert heard.names == [
        *("on_stage_start", "on_test_start", "on_batch_start", "on_test_batch_start"),
        *("on_batch_end", "on_test_batch_end", "on_stage_end", "on_test_end"),
    ]
    heard = Heard()
    with pytest.raises(ValueError, match="no"):
        quiet(callbacks=[heard]).validate(Agent(model(before=_no)), loader(24))
    assert heard.names[-1] == "on_exception"


def _no(body: dict[str, Any], number: int) -> None:
    raise ValueError("no")


def test_what_a_callback_puts_into_a_checkpoint_comes_back(tmp_path: Path) -> None:
    class Extra(Callback):
        loaded: Any = None

        def on_save_checkpoint(self, fit: Fit, checkpoint: dict[str, Any]) -> None:
            checkpoint["extra"] = {"steps": fit.progress.steps}

        def on_load_checkpoint(self, fit: Fit, checkpoint: Any) -> None:
            self.loaded = checkpoint["extra"]

    _, trainer = trained(Extra(), root=tmp_path)
    assert load(trainer.checkpoint)["extra"] == {"steps": 2}
    again = Extra()
    trained(again, root=tmp_path, max_epochs=2)
    assert again.loaded == {"steps": 2}


def test_why_a_fit_ended_and_where_to_go_on_are_two_sentences(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained(EarlyStopping(target=0.0), root=tmp_path, max_epochs=2)
    assert re.search(r"fit ended early: val_loss reached \d\.\d{4}\. Go on with fit\(", caplog.text)


def test_early_stopping_by_a_metric_of_its_own() -> None:
    class Scores(Callback):
        def on_stage_end(self, fit: Fit, stage: Any, metrics: Any) -> None:
            fit.metrics["val_errors"] = [5, 4, 3, 3, 3, 3][fit.progress.epoch]

    _, trainer = trained(Scores(), EarlyStopping(2, monitor="val_errors", mode="min"), max_epochs=6)
    assert trainer.stop_reason == "val_errors was no better than 3.0000 for 2 epochs"
    assert state(trainer).progress.epoch == 5
    _, trainer = trained(Scores(), EarlyStopping(2, monitor="val_errors", mode="min", target=4), max_epochs=6)
    assert trainer.stop_reason == "val_errors reached 4.0000"
    with pytest.raises(StepError, match="monitor='f1'.* is none of the metrics: train_loss, val_loss"):
        trained(EarlyStopping(monitor="f1"))
    with pytest.raises(ValueError, match="mode must be"):
        EarlyStopping(mode="best")


# one that raises

CALLED = [
    name
    for name in HOOKS
    if not any(part in name for part in ("test", "predict", "exception", "skip", "failure", "undo", "load", "fit_end"))
]


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_an_error_while_a_checkpoint_is_made_is_no_full_disk(tmp_path: Path, error: type[Exception]) -> None:
    class Later(Callback):
        def on_save_checkpoint(self, fit: Fit, checkpoint: dict[str, Any]) -> None:
            if fit.progress.steps == 1:
                raise error("mine")

    with pytest.raises(error, match="mine") as caught:
        trained(Later(), root=tmp_path)
    assert "Raised by the callback Later, in on_save_checkpoint()." in caught.value.__notes__


@pytest.mark.parametrize("hook", CALLED)
@pytest.mark.parametrize("agent_type", [Agent, AsyncAgent])
def test_the_error_says_whose_it_is_and_the_fit_can_go_on(tmp_path: Path, hook: str, agent_type: type[Agent]) -> None:
    bad, good = Heard(hook), Heard()
    root = tmp_path / "parts"
    with pytest.raises(LookupError, match="mine") as caught:
        trained(bad, good, root=root, agent_type=agent_type)
    assert f"Raised by the callback Heard, in {hook}()." in caught.value.__notes__
    assert good.names[-2:] == ["on_exception", "on_fit_end"]
    if hook in ("on_fit_start", "on_save_checkpoint"):
        return  # before the first checkpoint
    agent, trainer = trained(root=root, agent_type=agent_type)
    assert agent.prompt.data == whole(agent_type.__name__)
    assert state(trainer).progress.steps == 2


def test_an_error_at_the_end_does_not_keep_others_from_ending(caplog: pytest.LogCaptureFixture) -> None:
    good = Heard()
    with pytest.raises(LookupError, match="mine") as caught:
        trained(Heard("on_fit_end"), Heard("on_fit_end", OSError("second")), good)
    assert caught.value.__notes__ == ["Raised by the callback Heard, in on_fit_end()."]
    assert good.names[-1] == "on_fit_end"
    assert "OSError: second Raised by the callback Heard, in on_fit_end()." in caplog.text


def test_an_error_at_the_end_does_not_hide_what_ended_the_fit(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError):
        trained(Heard("on_epoch_end", ZeroDivisionError()), Heard("on_fit_end"), Heard("on_exception"))
    assert caplog.text.count("LookupError: mine Raised by the callback Heard") == 2


@pytest.mark.parametrize("asynchronous", [False, True], ids=["fit", "afit"])
@pytest.mark.parametrize("hook", CALLED)
def test_ctrl_c_at_any_moment_ends_cleanly_and_the_fit_can_go_on(tmp_path: Path, hook: str, asynchronous: bool) -> None:
    heard, root = Heard(hook, KeyboardInterrupt()), tmp_path / "parts"
    agent, trainer = Agent(model()), quiet(root, callbacks=[heard])
    with engine(agent.client):
        if asynchronous:
            asyncio.run(trainer.afit(agent, loader(12), loader(12)))
        else:
            trainer.fit(agent, loader(12), loader(12))
    assert trainer.interrupted
    assert trainer.stop_reason == "interrupted by Ctrl-C."
    assert "on_exception" in heard.names
    assert heard.names[-1] == "on_fit_end"
    agent, trainer = trained(root=root)
    assert agent.prompt.data == whole("Agent")
    assert not trainer.interrupted


# what is no callback


@pytest.mark.parametrize(
    ("callbacks", "said"),
    [
        (5, r"callbacks must be a list of Callback objects, got 5 \(int\)"),
        (None, "callbacks must be a list"),
        ("early", "callbacks must be a list"),
        ([EarlyStopping], r"make an object of it: EarlyStopping\(\)"),
        ([print], "which is no Callback"),
        ([object()], "derive its class from afnio.trainer.Callback"),
    ],
)
def test_unknown_things_among_the_callbacks(callbacks: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        quiet(callbacks=callbacks)


def test_a_hook_nobody_calls_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    class Typo(Callback):
        def on_train_batch_ends(self, fit: Fit) -> None: ...

        def on_before_zero_grad(self, fit: Fit) -> None: ...

    Trainer(callbacks=Typo())
    assert "Typo.on_train_batch_ends() is no hook" in caplog.text
    assert "Did you mean on_train_batch_end()?" in caplog.text
    assert "on_before_zero_grad() is no hook: the Trainer never calls it." in caplog.text


# which checkpoints are kept


def kept(root: Path) -> list[str]:
    """Their names, without the time."""
    folder = root / "checkpoints"
    names = [path.relative_to(folder).as_posix() for path in folder.glob("**/*.hf")]
    return sorted(name if name == "best.hf" else name[: name.rindex("_")] for name in names)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({}, 3 + 1 + 6 + 1),
        ({"keep_batches": 0}, 3 + 1 + 1),
        ({"save_top_k": 0, "keep_batches": 0}, 1 + 1),
        ({"save_top_k": 1, "keep_batches": 2}, 2 + 2 + 1),
        ({"every_n_train_steps": 4}, 4 + 1 + 1),
    ],
)
def test_the_newest_and_the_best_are_always_kept(tmp_path: Path, args: dict[str, int], expected: int) -> None:
    _, trainer = trained(ModelCheckpoint(**args), root=tmp_path, max_epochs=3)
    names = kept(tmp_path)
    assert "checkpoint_epoch3" in names
    assert "best.hf" in names
    assert Path(trainer.checkpoint).is_file()
    assert len(names) <= expected
    assert len([name for name in names if "batch" in name]) <= max(args.get("keep_batches", 100), 0)
    assert not [path for path in tmp_path.glob("checkpoints/epoch_*") if not any(path.iterdir())]


def test_the_k_best_epochs_are_kept(tmp_path: Path) -> None:
    class Scores(Callback):
        """Epoch 2 of 5 is the best, then 4."""

        def on_stage_end(self, fit: Fit, stage: Any, metrics: Any) -> None:
            if stage.name == "validation":
                fit.metrics["val_loss"] = metrics["loss"] = [0.1, 0.9, 0.2, 0.5, 0.3][fit.progress.epoch]

    trained(ModelCheckpoint(save_top_k=2, keep_batches=1), Scores(), root=tmp_path, max_epochs=5)
    epochs = [name for name in kept(tmp_path) if name.startswith("checkpoint_epoch")]
    assert epochs == ["checkpoint_epoch2", "checkpoint_epoch4", "checkpoint_epoch5"]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_an_epoch_without_a_number_is_the_first_to_go_and_never_the_best(tmp_path: Path, mode: str) -> None:
    given = [0.5, float("nan"), 0.5, 0.9 if mode == "max" else 0.1, float("nan"), 0.5]

    class Scores(Callback):
        """Epoch 4 is the best; 2 and 5 have none."""

        def on_stage_end(self, fit: Fit, stage: Any, metrics: Any) -> None:
            if stage.name == "validation":
                fit.metrics["val_loss"] = metrics["loss"] = given[fit.progress.epoch]

    keeping = ModelCheckpoint(save_top_k=4, keep_batches=0)
    _, trainer = trained(keeping, Scores(), root=tmp_path, max_epochs=6, mode=mode, gate=None)
    epochs = [name for name in kept(tmp_path) if name.startswith("checkpoint_epoch")]
    assert epochs == [f"checkpoint_epoch{number}" for number in (1, 3, 4, 6)]
    assert trainer.best.score == given[3]


def test_a_resumed_fit_removes_what_the_first_part_wrote(tmp_path: Path) -> None:
    for epochs in (1, 2, 3):
        trained(ModelCheckpoint(keep_batches=2, save_top_k=1), root=tmp_path, max_epochs=epochs)
    names = kept(tmp_path)
    assert len([name for name in names if "batch" in name]) <= 3
    other = tmp_path / "checkpoints" / "epoch_1" / "checkpoint_batch0_mine.hf"
    other.parent.mkdir(exist_ok=True)
    other.write_text("not ours")
    trained(ModelCheckpoint(keep_batches=0), root=tmp_path / "other", max_epochs=1)
    assert other.exists()


def test_a_second_fit_of_the_same_trainer_starts_anew(tmp_path: Path) -> None:
    stopping, keeping = EarlyStopping(patience=2), ModelCheckpoint(save_top_k=0, keep_batches=0)
    trainer = quiet(tmp_path, callbacks=[stopping, keeping], max_epochs=6)
    ends, files = [], set()
    for _ in range(2):
        agent = Agent(model())
        with engine(agent.client):
            trainer.fit(agent, loader(12), loader(12))
        ends.append((trainer.stop_reason, len(trainer.history)))
        assert trainer.checkpoint is not None
        files.add(trainer.checkpoint)
    assert ends[0] == ends[1]
    assert ends[0][0] is not None
    assert all(Path(name).is_file() for name in files)


@pytest.mark.parametrize("bad", [{"save_top_k": -2}, {"keep_batches": 1.5}, {"every_n_train_steps": 0}])
def test_numbers_out_of_range(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        ModelCheckpoint(**bad)


def test_two_of_them_or_none_to_write() -> None:
    with pytest.raises(ValueError, match="more than one ModelCheckpoint"):
        Trainer(callbacks=[ModelCheckpoint(), ModelCheckpoint()])
    with pytest.raises(ValueError, match="enable_checkpointing=False"):
        Trainer(callbacks=[ModelCheckpoint()], enable_checkpointing=False)


def test_a_used_up_budget_is_no_exception() -> None:
    heard = Heard()
    _, trainer = trained(heard, budget=Budget(calls=3))
    assert "Budget(calls=3)" in trainer.stop_reason
    assert "on_exception" not in heard.names
