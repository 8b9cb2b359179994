"""Steps that optimize by hand, and several optimizers."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from afnio import _dispatch
from afnio import cognitive as cog
from afnio.cognitive import functional as F
from afnio.errors import AfnioError, GraphError, StepError
from afnio.models.lm_server import LMServer
from afnio.models.openai import AsyncOpenAI
from afnio.optim import TGD
from afnio.trainer import Trainer
from tests.trainer.job import Agent, AsyncAgent, all_ones, counts, engine, loader, match, mean, model, quiet
from tests.trainer.told import Told


class Manual(Agent):
    """Does by hand what the Trainer does without a gate."""

    returns: Any = None

    def __init__(self, client: Any, **args: Any) -> None:
        super().__init__(client, **args)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        optimizer = self.optimizers()
        optimizer.clear_grad()
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss)
        optimizer.step()
        return loss if self.returns == "loss" else self.returns

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return super().training_step(batch, batch_idx)


class AsyncManual(AsyncAgent):
    """The same, awaited; it gets the whole batch."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.automatic_optimization = False

    async def training_step(self, batch: Any, batch_idx: int) -> Any:
        optimizer = self.optimizers()
        optimizer.clear_grad()
        message, answer = batch
        prediction = await self.chat.acall(self.client, self.messages(), inputs={"message": message}, model="sim")
        loss = F.deterministic_evaluator(prediction, answer, match, "exact match", all_ones, mean, "mean")
        await self.amanual_backward(loss)
        await optimizer.astep()
        return loss


def trained(agent: Agent, val: Any = None, **args: Any) -> Trainer:
    trainer = quiet(**args)
    with engine(agent.client):
        trainer.fit(agent, loader(), val)
    return trainer


AUTOMATIC: Any = "what the automatic step scores"


@pytest.mark.parametrize(
    ("returns", "metrics"),
    [
        (None, {}),
        ("loss", {"train_loss": AUTOMATIC}),
        (0.5, {"train_loss": 0.5}),
        ({"accuracy": 0.25}, {"train_accuracy": 0.25}),
        ({"each": [1.0] * 8, "loss": 2}, {"train_loss": 2.0, "train_each": 1.0}),
    ],
)
def test_what_a_step_may_return(returns: Any, metrics: dict[str, float]) -> None:
    automatic = Agent(model())
    score = trained(automatic, gate=None).metrics["train_loss"]
    agent = Manual(model())
    agent.returns = returns
    trainer = trained(agent)
    assert agent.prompt.data == automatic.prompt.data
    assert trainer.metrics == {name: score if value is AUTOMATIC else value for name, value in metrics.items()}
    assert (trainer.best is None) == ("train_loss" not in metrics)
    assert counts(agent.client)["forward"] == 24  # no gate
    assert trainer.state is not None
    assert trainer.state.progress.steps == 3


@pytest.mark.parametrize("returns", ["good", (1, 2, 3), {"loss": "x"}, [1.0, 2.0], {"each": [1.0] * 5}])
def test_rubbish_from_a_step_changes_nothing(returns: Any) -> None:
    agent = Manual(model())
    agent.returns = returns
    before = agent.prompt.data
    with pytest.raises(StepError, match="Manual.training_step"):
        trained(agent)
    assert agent.prompt.data == before


def test_with_validation_the_best_is_known() -> None:
    trainer = trained(Manual(model()), loader(12))
    assert trainer.best is not None
    assert trainer.best.metric == "val_loss"
    with pytest.raises(StepError, match="monitor='f1' is none of the metrics"):
        trained(Manual(model()), monitor="f1")


@pytest.mark.parametrize("asynchronous", [False, True], ids=["fit", "afit"])
def test_an_async_step_by_hand(asynchronous: bool) -> None:
    automatic = Agent(model())
    score = trained(automatic, gate=None).metrics["train_loss"]
    agent, trainer = AsyncManual(model()), quiet()
    with engine(agent.client):
        if asynchronous:
            asyncio.run(trainer.afit(agent, loader()))
        else:
            trainer.fit(agent, loader())
    assert agent.prompt.data == automatic.prompt.data
    assert trainer.metrics["train_loss"] == score


def test_a_step_by_hand_that_fails_leaves_the_prompt_as_it_was(tmp_path: Path) -> None:
    class Failing(Manual):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            super().training_step(batch, batch_idx)
            raise OSError("after the step")

    agent = Failing(model())
    before, trainer = agent.prompt.data, quiet(tmp_path)
    with engine(agent.client), pytest.raises(OSError, match="after the step") as caught:
        trainer.fit(agent, loader())
    assert counts(agent.client)["optimizer"] == 1  # never repeated
    assert agent.prompt.data == before
    assert any("ckpt_path='last'" in note for note in caught.value.__notes__)
    mended = Manual(agent.client)
    with engine(agent.client):
        quiet(tmp_path).fit(mended, loader(), ckpt_path="last")
    assert counts(agent.client)["optimizer"] == 3  # the first comes from the call log


def test_that_there_is_no_gate_is_said(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    agent = Manual(model())
    with engine(agent.client):
        Trainer(max_epochs=1, enable_checkpointing=False).fit(agent, loader())
    assert capsys.readouterr().out.count("No gate judges its updates") == 1
    caplog.set_level(logging.INFO, "afnio.trainer")
    trained(Manual(model()))
    assert caplog.text.count("No gate judges its updates") == 1


def test_updates_by_hand_are_told_by_name() -> None:
    told, agent = Told(), Manual(model())
    with _dispatch.use_tracker(told):
        trained(agent)
    assert [(data["parameter"], data["step"]) for data in told.of("prompt")] == [("prompt", step) for step in (1, 2, 3)]


# misuse


def test_nothing_returned_by_an_automatic_step() -> None:
    class Nothing(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            super().training_step(batch, batch_idx)

    with pytest.raises(StepError, match="set automatic_optimization = False on the agent"):
        trained(Nothing(model()))


def test_backward_by_hand_in_an_automatic_step() -> None:
    class Twice(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            loss.backward()
            return loss

    with pytest.raises(GraphError, match="freed") as caught:
        trained(Twice(model()))
    assert "Did training_step() call backward() itself?" in caught.value.__notes__[0]


def test_manual_backward_in_an_automatic_step() -> None:
    class Mixed(Agent):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            self.manual_backward(loss)
            return loss

    agent = Mixed(model())
    with pytest.raises(StepError, match="is for steps that optimize by hand"):
        trained(agent)
    assert counts(agent.client) == {"forward": 8}  # it is not tried again
    with pytest.raises(TypeError, match="takes a Loss"):
        Manual(model()).manual_backward(0.5)
    with pytest.raises(AttributeError, match="has no optimizers yet"):
        Manual(model()).optimizers()


def test_a_blocking_backward_in_an_async_step() -> None:
    class Blocking(AsyncManual):
        async def amanual_backward(self, loss: Any, **kwargs: Any) -> None:
            self.manual_backward(loss)

    with LMServer(bad_share=0.0) as server:
        agent = Blocking(AsyncOpenAI(api_key="any", base_url=server.base_url))
        with pytest.raises(AfnioError, match=r"await loss.abackward\(\)"):
            trained(agent)


# several optimizers


class Two(Agent):
    """Two prompts, each with an optimizer of its own."""

    def __init__(self, client: Any, **args: Any) -> None:
        super().__init__(client, **args)
        self.extra = cog.Parameter("Be careful.", role="second prompt of the classifier")

    def messages(self) -> list[dict[str, Any]]:
        first, second = super().messages()
        return [first, {"role": "system", "content": [self.extra]}, second]

    def configure_optimizers(self) -> Any:
        return (
            TGD([self.prompt], model_client=self.client, momentum=1, model="sim"),
            TGD([self.extra], model_client=self.client, momentum=2, model="sim"),
        )


@pytest.mark.parametrize("asynchronous", [False, True], ids=["fit", "afit"])
def test_several_optimizers_step_side_by_side(asynchronous: bool) -> None:
    """Each waits until the other has begun, too."""

    class Waiting(TGD):
        begun: list[Any] = []

        async def astep(self, closure: Any = None) -> Any:
            self.begun.append(asyncio.Event())
            if len(self.begun) % 2 == 0:
                for event in self.begun:
                    event.set()
            await asyncio.wait_for(self.begun[-1].wait(), 30)
            return await super().astep(closure)

    class Side(Two):
        def configure_optimizers(self) -> Any:
            return [Waiting([each], model_client=self.client, model="sim") for each in (self.prompt, self.extra)]

    expected = Two(model())
    trained(expected, gate=None)
    with LMServer(bad_share=0.0) as server:
        agent, trainer = Side(AsyncOpenAI(api_key="any", base_url=server.base_url)), quiet(gate=None)
        with engine(agent.client):
            if asynchronous:
                asyncio.run(trainer.afit(agent, loader()))
            else:
                trainer.fit(agent, loader())
    assert len(Waiting.begun) == 6
    assert agent.prompt.data == expected.prompt.data


def test_each_optimizers_state_is_in_the_checkpoint(tmp_path: Path) -> None:
    whole = Two(model())
    with engine(whole.client):
        quiet(tmp_path / "whole", max_epochs=2).fit(whole, loader())
    first, second = Two(model()), Two(model())
    with engine(first.client):
        quiet(tmp_path / "parts", max_steps=2, max_epochs=2).fit(first, loader())
    with engine(second.client):
        quiet(tmp_path / "parts", max_epochs=2).fit(second, loader(), ckpt_path="last")
    assert second.export_prompts() == whole.export_prompts()
    kept = [[len(state.get("momentum_buffer", ())) for state in each.state.values()] for each in second.optimizers()]
    assert kept == [
        [len(state.get("momentum_buffer", ())) for state in each.state.values()] for each in whole.optimizers()
    ]


def test_the_gate_undoes_the_updates_of_all() -> None:
    agent = Two(model("destructive@1x2"))
    before, told = agent.export_prompts(), Told()
    with _dispatch.use_tracker(told):
        trained(agent, max_steps=1, restore_best=False)
    verdicts = told.of("gate")
    assert verdicts[0]["status"] == "undone"
    assert {update["parameter"] for update in verdicts[0]["updates"]} == {"prompt", "extra"}
    assert {update["before"] for update in verdicts[0]["updates"]} == set(before.values())


def test_a_parameter_of_two_optimizers_is_stepped_by_one_after_the_other() -> None:
    class Shared(Agent):
        def configure_optimizers(self) -> Any:
            return [TGD([self.prompt], model_client=self.client, model="sim") for _ in range(2)]

    with LMServer(bad_share=0.0) as server:
        agent, told = Shared(AsyncOpenAI(api_key="any", base_url=server.base_url)), Told()
        with _dispatch.use_tracker(told):
            trained(agent, max_steps=1, gate=None)
    _, second = [record["request"] for record in told.calls if record["role"] == "optimizer"]
    assert told.of("prompt")[0]["after"] in "".join(message["content"] for message in second["messages"])


def test_one_of_two_optimizers_fails_and_neither_prompt_changes() -> None:
    class Half(Two):
        def configure_optimizers(self) -> Any:
            return [
                TGD([self.prompt], model_client=self.client, model="sim"),
                TGD([self.extra], model_client=self.client, model="sim", max_length=1),
            ]

    with LMServer(bad_share=0.0) as server:
        agent = Half(AsyncOpenAI(api_key="any", base_url=server.base_url))
        before = agent.export_prompts()
        trainer = trained(agent, max_steps=1)
    assert agent.export_prompts() == before
    assert trainer.state is not None
    assert trainer.state.progress.skipped == 1
