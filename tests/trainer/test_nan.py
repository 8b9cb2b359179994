"""A score that is NaN: it never wins, it is told once, and it loses nothing that was learned."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from afnio.optim import Evolution
from afnio.trainer import BatchGate, Callback, EarlyStopping, Fit, StrictGate, Verdict
from afnio.variable import Variable
from tests.trainer.job import Agent, engine, loader, model, quiet

NAN = float("nan")


class Sick(Agent):
    """Its validation scores NaN in the epochs, and its training in the calls, that are named (from 1)."""

    def __init__(self, client: Any, val: Any = (), train: Any = (), metric: str = "loss", **args: Any) -> None:
        super().__init__(client, **args)
        self.val, self.train_calls, self.metric = set(val), set(train), metric
        self.asked = {"val": 0, "train": 0}

    def _told(self, loss: Any, which: str, sick: set[int]) -> Any:
        self.asked[which] += 1
        bad = self.asked[which] in sick
        if self.metric != "loss":
            return {"loss": loss, self.metric: NAN if bad else loss.score.data}
        return {"loss": (Variable(NAN, "score"), loss.explanation)} if bad else loss

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self._told(super().training_step(batch, batch_idx), "train", self.train_calls)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return self._told(super().training_step(batch, batch_idx), "val", self.val)


class Verdicts(Callback):
    def __init__(self) -> None:
        self.seen: list[Verdict] = []

    def on_verdict(self, fit: Fit, verdict: Verdict) -> None:
        self.seen.append(verdict)


def fitted(agent: Sick, *callbacks: Callback, val: bool = True, **args: Any) -> Any:
    trainer = quiet(callbacks=list(callbacks), **args)
    with engine(agent.client):
        trainer.fit(agent, loader(), loader(batch_size=24) if val else None)
    return trainer


@pytest.mark.parametrize("sick", [1, 2])
def test_an_epoch_that_scores_nan_is_never_the_best_and_is_told_once(
    sick: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    trainer = fitted(Sick(model(), val=[sick, 4]), max_epochs=4, root=tmp_path)
    assert not math.isnan(trainer.best.score)
    assert trainer.best.epoch not in (sick, 4)
    assert [math.isnan(epoch["val_loss"]) for epoch in trainer.history] == [n in (sick, 4) for n in range(1, 5)]
    (told,) = (record.message for record in caplog.records if "nan" in record.message)
    assert told == (
        "validation_step() returned nan as 'loss' for batch 0. The mean, val_loss, is nan with it; a nan is never the "
        "best, and no update is kept for it. This is said once."
    )


def test_a_nan_in_another_metric_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    fitted(Sick(model(), val=[1], metric="f1"), max_epochs=1)
    assert "validation_step() returned nan as 'f1' for batch 0" in caplog.text
    quiet().validate(Sick(model(), val=[1], metric="f1"), loader(batch_size=24))
    assert caplog.text.count("returned nan as 'f1'") == 2


@pytest.mark.parametrize("stopping", [EarlyStopping(patience=5), EarlyStopping(patience=5, monitor="val_loss")])
def test_early_stopping_ends_a_fit_that_scores_nan_as_in_lightning(stopping: EarlyStopping) -> None:
    agent = Sick(model(), val=[2])
    trainer = fitted(agent, stopping, max_epochs=4)
    assert trainer.stop_reason.startswith("val_loss is nan, which is no score; the best before was ")
    assert len(trainer.history) == 2
    assert agent.prompt.data == trainer.best.prompts["prompt"]


def test_early_stopping_may_overlook_a_nan_and_never_waits_for_one_to_be_bettered() -> None:
    stopping = EarlyStopping(patience=2, monitor="val_loss", check_finite=False)
    trainer = fitted(Sick(model(), val=[1]), stopping, max_epochs=2)
    assert trainer.stop_reason is None
    assert stopping.state_dict() == {"score": trainer.metrics["val_loss"], "waited": 0}


@pytest.mark.parametrize("gate", [BatchGate(tolerance=1), StrictGate()])
def test_an_update_that_scores_nan_is_undone(gate: Any, caplog: pytest.LogCaptureFixture) -> None:
    verdicts = Verdicts()
    agent = Sick(model(), train=[2, 3])  # both proposals for the first batch
    start = agent.prompt.data
    fitted(agent, verdicts, val=False, max_epochs=1, gate=gate, max_steps=1)
    assert [(math.isnan(verdict.after), verdict.kept) for verdict in verdicts.seen] == [(True, False)] * 2
    assert agent.prompt.data == start
    assert caplog.text.count("training_step() returned nan as 'loss' after an update of batch 0") == 1


@pytest.mark.parametrize("mode", ["max", "min"])
def test_any_number_is_better_than_nan(mode: str) -> None:
    verdicts = Verdicts()
    fitted(Sick(model(), train=[1]), verdicts, val=False, max_epochs=1, max_steps=1, mode=mode)
    (verdict,) = verdicts.seen
    assert math.isnan(verdict.before)
    assert verdict.kept


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_search_never_holds_what_scored_nan(mode: str) -> None:
    class Searching(Sick):
        def configure_optimizers(self) -> Any:
            return Evolution(self.parameters(), model_client=self.client, parents=1, proposals=1, merges=0, model="sim")

    agent = Searching(model(), train=range(2, 100))
    start = agent.prompt.data
    fitted(agent, val=False, max_epochs=1, max_steps=1, mode=mode)
    assert agent.asked["train"] > 1
    assert agent.prompt.data == start
