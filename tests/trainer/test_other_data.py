"""Going on from a checkpoint with other data than it was made with: said, and refused where it would mix them up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from afnio.errors import CheckpointError
from afnio.trainer import Callback, Fit
from afnio.trainer.marks import differences, fingerprint, sizes
from afnio.utils.data import DataLoader
from afnio.variable import Variable
from tests.trainer.job import Agent, Tickets, engine, loader, model, quiet, state

WARNED = "is not what the checkpoint was made with"


class Changed(Tickets):
    """As many tickets, and other ones."""

    def __getitem__(self, index: int) -> tuple[Variable, Variable]:
        text, answer = super().__getitem__(index)
        return Variable(text.data + " Please hurry.", text.role), answer


def fitted(root: Path, train: Any, val: Any = None, resume: str | None = None, **args: Any) -> Any:
    agent, trainer = Agent(model()), quiet(root, **args)
    with engine(agent.client):
        trainer.fit(agent, train, val, ckpt_path=resume)
    return trainer


def other(kind: str) -> DataLoader[Any]:
    if kind == "fewer":
        return loader(rows=slice(16))
    return loader(6) if kind == "smaller batches" else DataLoader(Changed(), batch_size=8)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("fewer", "train_dataloader .*: 16 samples where there were 24 and 2 batches where there were 3"),
        ("smaller batches", "train_dataloader .*: 4 batches where there were 3"),
    ],
)
def test_the_middle_of_an_epoch_needs_its_own_data(tmp_path: Path, kind: str, said: str) -> None:
    fitted(tmp_path, loader(), max_steps=1)
    agent, trainer = Agent(model()), quiet(tmp_path)
    before = agent.prompt.data
    with engine(agent.client), pytest.raises(CheckpointError, match=said) as refused:
        trainer.fit(agent, other(kind), ckpt_path="last")
    assert "a checkpoint of the end of an epoch" in str(refused.value)
    assert agent.prompt.data == before
    assert agent.client.calls == 0


@pytest.mark.parametrize("kind", ["fewer", "smaller batches", "others"])
def test_between_two_epochs_other_data_are_warned_of(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    fitted(tmp_path, loader())
    trainer = fitted(tmp_path, other(kind), resume="last", max_epochs=2)
    assert state(trainer).progress.epoch == 2
    (told,) = (record.message for record in caplog.records if WARNED in record.message)
    assert told.startswith("train_dataloader ")
    assert told.endswith("The fit goes on with the new data.")


def test_other_samples_in_the_middle_of_an_epoch_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fitted(tmp_path, loader(shuffle=True, seed=1), max_steps=1)
    fitted(tmp_path, DataLoader(Changed(), batch_size=8, shuffle=True, seed=1), resume="last")
    assert caplog.text.count(WARNED) == 1
    assert "another sample " in caplog.text
    assert "(fingerprint " in caplog.text


def test_other_validation_data_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fitted(tmp_path, loader(), loader(rows=slice(8)), max_steps=2)
    fitted(tmp_path, loader(), loader(rows=slice(4)), resume="last")
    assert "val_dataloader is not what the checkpoint was made with: 4 samples where there were 8." in caplog.text


@pytest.mark.parametrize("steps", [1, 3])
def test_the_same_data_are_not_spoken_of(tmp_path: Path, steps: int, caplog: pytest.LogCaptureFixture) -> None:
    fitted(tmp_path, loader(shuffle=True, seed=3), loader(rows=slice(8)), max_steps=steps)
    fitted(tmp_path, loader(shuffle=True, seed=3), loader(rows=slice(8)), resume="last", max_epochs=2)
    assert WARNED not in caplog.text


def test_batches_in_a_list_are_counted(tmp_path: Path) -> None:
    batches = list(loader())
    fitted(tmp_path, batches, max_steps=1)
    with pytest.raises(CheckpointError, match="2 batches where there were 3"):
        fitted(tmp_path, batches[:2], resume="last")
    fitted(tmp_path, batches, resume="last")


def test_a_data_set_that_never_says_the_same_twice_has_no_fingerprint() -> None:
    class Drawn(Tickets):
        reads = 0

        def __getitem__(self, index: int) -> tuple[Variable, Variable]:
            Drawn.reads += 1
            return Variable(f"draw {Drawn.reads}", "ticket"), Variable("x", "answer")

    drawn = DataLoader(Drawn(), batch_size=8)
    saved = {**sizes(drawn, 3), "mark": fingerprint(next(iter(drawn)))}
    assert saved["mark"] is not None
    assert differences(saved, drawn, 3) == ([], [])
    assert differences(saved, DataLoader(Changed(), batch_size=8), 3)[1]


@pytest.mark.parametrize("shuffle", [False, True])
def test_steps_that_end_with_an_epoch_go_on_with_the_next(tmp_path: Path, shuffle: bool) -> None:
    fitted(tmp_path, loader(shuffle=shuffle, seed=3), max_steps=3, max_epochs=2)
    resumed = state(fitted(tmp_path, loader(shuffle=shuffle, seed=3), resume="last", max_epochs=2))
    assert (resumed.progress.epoch, resumed.progress.steps) == (2, 6)
    whole = state(fitted(tmp_path / "whole", loader(shuffle=shuffle, seed=3), max_epochs=2))
    assert resumed.history == whole.history
    assert resumed.prompts() == whole.prompts()


def test_a_place_that_nobody_went_on_from_is_not_left_in_the_loader(tmp_path: Path) -> None:
    """Of a fit that had nothing left to do, or could not begin: the next fit with the same loader is a whole one."""
    fitted(tmp_path, loader(), max_epochs=2, max_steps=5)
    train = loader()
    assert state(fitted(tmp_path, train, resume="last", max_epochs=1)).progress.batch == 2
    assert len(list(train)) == 3

    class Refusing(Callback):
        def on_load_checkpoint(self, fit: Fit, checkpoint: Any) -> None:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fitted(tmp_path, train, resume="last", max_epochs=2, callbacks=[Refusing()])
    assert len(list(train)) == 3
