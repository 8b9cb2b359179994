"""`Trainer.predict`: what the agent answers, batch by batch."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import afnio
from afnio import _dispatch
from afnio.calls import Budget
from afnio.errors import BudgetExceeded
from afnio.trainer import Callback, Fit, Trainer
from afnio.utils.data import DataLoader
from tests.trainer.job import Agent, AsyncAgent, Tickets, engine, loader, model, quiet
from tests.trainer.told import Told


class Sync(Agent):
    """Answers a batch at once."""

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        return self(batch[0])


class Async(AsyncAgent):
    """Answers ticket by ticket."""

    async def predict_step(self, batch: Any, batch_idx: int) -> Any:
        assert not afnio.is_grad_enabled()
        assert not self.training
        return await self.chat.acall(self.client, self.messages(), inputs={"message": batch[0]}, model="sim")


def messages(batch_size: int = 8) -> DataLoader[Any]:
    """The tickets without their answers."""
    data = Tickets()
    return DataLoader([data[place][0] for place in range(len(data))], batch_size=batch_size)


def answers(predictions: list[Any]) -> list[str]:
    """The texts of all samples, in order."""
    found = []
    for one in predictions:
        for variable in one if isinstance(one, list) else [one]:
            found += variable.data if isinstance(variable.data, list) else [variable.data]
    return found


def test_it_is_the_forward_of_the_batch_unless_redefined() -> None:
    agent = Agent(model())
    agent.train()
    predictions = quiet().predict(agent, messages(10))
    assert [len(one.data) for one in predictions] == [10, 10, 4]
    assert all(one.is_leaf for one in predictions)
    assert agent.training
    assert answers(predictions) == answers(quiet().predict(Sync(model()), loader(10)))
    assert all("sentiment" in json.loads(text) for text in answers(predictions)[:3])


@pytest.mark.parametrize("agent_type", [Sync, Async])
@pytest.mark.parametrize("size", [1, 7, 24])
def test_all_samples_in_order_however_they_are_batched(agent_type: type[Agent], size: int) -> None:
    expected = answers(quiet().predict(Sync(model()), loader(24)))
    trainer = quiet()
    predictions = trainer.predict(agent_type(model()), loader(size))
    assert len(predictions) == -(-24 // size)
    assert answers(predictions) == expected
    assert trainer.predictions is predictions
    assert answers(asyncio.run(quiet().apredict(agent_type(model()), loader(size)))) == expected


def test_small_batches_of_an_async_step_are_answered_side_by_side() -> None:
    """The step of each sample waits for all others, of all batches."""

    class Together(Async):
        waiting = 0

        def __init__(self, client: Any) -> None:
            super().__init__(client)
            self.all_here = asyncio.Event()

        async def predict_step(self, batch: Any, batch_idx: int) -> Any:
            self.waiting += 1
            if self.waiting == 24:
                self.all_here.set()
            await asyncio.wait_for(self.all_here.wait(), 30)
            return await super().predict_step(batch, batch_idx)

        async def validation_step(self, batch: Any, batch_idx: int) -> Any:
            await self.predict_step(batch, batch_idx)
            return await super().validation_step(batch, batch_idx)

    assert len(quiet().predict(Together(model()), loader(1))) == 24
    metrics = quiet().validate(Together(model()), loader(5))
    assert metrics == quiet().validate(Agent(model()), loader(5))
    assert metrics.samples == 24


@pytest.mark.parametrize("agent_type", [Sync, Async])
def test_samples_that_fail_are_reported_and_have_no_prediction(
    agent_type: type[Agent], caplog: pytest.LogCaptureFixture
) -> None:
    bad = Tickets()[9][0].data

    def before(body: dict[str, Any], number: int) -> None:
        if bad in body["messages"][1]["content"]:
            raise ValueError("no")

    trainer = quiet()
    first, second, third = trainer.predict(agent_type(model(before=before)), loader(8))
    assert [(failure.stage, failure.batch, failure.sample) for failure in trainer.failures] == [("predict", 1, "9")]
    assert "sample 9 of batch 1 failed and has no prediction" in caplog.text
    if agent_type is Async:
        assert [place for place, one in enumerate(second) if one is None] == [1]
        assert len(first) == len(second) == len(third) == 8
    else:
        assert len(second.data) == 7


def test_a_batch_that_fails_whole() -> None:
    texts = {Tickets()[place][0].data for place in range(8, 16)}

    def before(body: dict[str, Any], number: int) -> None:
        if any(text in body["messages"][1]["content"] for text in texts):
            raise ValueError("no")

    assert quiet().predict(Sync(model(before=before)), loader(8))[1] is None
    assert quiet().predict(Async(model(before=before)), loader(8))[1] == [None] * 8
    with pytest.raises(ValueError, match="no"):
        quiet().predict(Sync(model(before=before)), loader(8, rows=slice(8, 16)))


def test_the_budget_ends_it_and_what_was_done_is_kept() -> None:
    trainer = quiet(budget=Budget(calls=12))
    client = model()
    with pytest.raises(BudgetExceeded):
        trainer.predict(Sync(client), loader(8))
    assert client.calls == 12
    assert [len(one.data) for one in trainer.predictions] == [8]
    trainer, client = quiet(budget=Budget(calls=12)), model()
    with pytest.raises(BudgetExceeded):
        trainer.predict(Async(client), loader(4))
    assert client.calls == 12
    assert [len(one) for one in trainer.predictions] == [4, 4, 4]  # those that are complete, of all under way
    client = model()
    with engine(client, budget=Budget(calls=5)), pytest.raises(BudgetExceeded):
        quiet().predict(Sync(client), loader(8))
    assert client.calls == 5


@pytest.mark.parametrize("agent_type", [Sync, Async])
def test_ctrl_c_keeps_what_was_done(agent_type: type[Agent]) -> None:
    def before(body: dict[str, Any], number: int) -> None:
        if number == 20:
            raise KeyboardInterrupt

    agent, trainer = agent_type(model(before=before)), quiet()
    agent.train()
    with pytest.raises(KeyboardInterrupt):
        trainer.predict(agent, loader(8))
    assert len(trainer.predictions) == 2
    assert agent.training
    assert afnio.is_grad_enabled()


def test_what_is_shown_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    class Heard(Callback):
        seen: list[str] = []

        def on_predict_start(self, fit: Fit) -> None:
            self.seen.append("start")

        def on_predict_batch_start(self, fit: Fit, batch: Any, batch_idx: int) -> None:
            self.seen.append(f"batch {batch_idx}")

        def on_predict_batch_end(self, fit: Fit, outcome: Any, metrics: Any) -> None:
            self.seen.append(f"done {outcome.size}")

        def on_predict_end(self, fit: Fit, metrics: Any) -> None:
            self.seen.append(f"end {metrics.samples}")

        def on_fit_end(self, fit: Fit) -> None:
            self.seen.append("fit")

    told, client = Told(), model()
    with _dispatch.use_tracker(told):
        Trainer(callbacks=[Heard()]).predict(Sync(client), loader(12), [client])
    assert Heard.seen == ["start", "batch 0", "done 12", "batch 1", "done 12", "end 24"]
    assert [name for name, *_ in told.metrics] == ["total_cost($)"]
    assert client.get_usage()["total_tokens"] == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Predicting"
    assert out[2].startswith("[Predict] 2/2 0:00:0")
    assert out[2].endswith("tot_cost: $0.0000")


def test_arguments() -> None:
    with pytest.raises(ValueError, match=r"predict\(\) needs a predict_dataloader"):
        quiet().predict(Sync(model()))
    with pytest.raises(TypeError, match="agent must be"):
        quiet().predict(print, loader())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="predict_dataloader must be a DataLoader"):
        quiet().predict(Sync(model()), 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="predict_dataloader gave no batches"):
        quiet().predict(Sync(model()), iter([]))
