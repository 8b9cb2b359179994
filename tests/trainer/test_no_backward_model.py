"""A Trainer without a backward model: said before the first call, where calls will want feedback."""

from __future__ import annotations

from typing import Any

import pytest

import afnio
from afnio import cognitive as cog
from afnio.autodiff import Function
from afnio.cognitive import functional as F
from afnio.errors import NoBackwardModelError
from afnio.models import backward_client
from afnio.models.scripted import Scripted
from afnio.optim import TGD, FewShot
from afnio.variable import Variable
from tests.trainer.job import Agent, AsyncAgent, loader, model, quiet


@pytest.fixture(autouse=True)
def none_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backward_client, "_current", None)


def lookup(word: str) -> str:
    """Looks a word up."""
    return word


class Looping(Agent):
    """Answers by a loop of tools, whose prompt does not learn, but the tool's description does."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.prompt.requires_grad_(False)
        self.loop = cog.ToolLoop([cog.tool(lookup)])

    def forward(self, message: Variable) -> Any:
        return self.loop(self.client, self.messages(), inputs={"message": message}).output

    def configure_optimizers(self) -> Any:
        return TGD([param for param in self.parameters() if param.requires_grad], model_client=self.client)


class Functional(Agent):
    def forward(self, message: Variable) -> Any:
        return F.chat_completion(self.client, self.messages(), inputs={"message": message})


class Turning(Agent):
    def forward(self, message: Variable) -> Any:
        return F.chat_turn(self.client, self.messages(), inputs={"message": message}).output


@pytest.mark.parametrize("kind", [Agent, AsyncAgent, Functional, Turning, Looping])
def test_it_is_said_before_anything_is_paid_for(kind: Any) -> None:
    agent = kind(model())
    with afnio.local_engine(), pytest.raises(NoBackwardModelError, match="set_backward_model_client"):
        quiet().fit(agent, loader())
    assert agent.client.calls == 0


def test_examples_are_chosen_without_one() -> None:
    class Shown(Agent):
        def __init__(self, client: Any) -> None:
            super().__init__(client)
            self.demos = cog.Demos()

        def messages(self) -> list[dict[str, Any]]:
            first, second = super().messages()
            return [{**first, "content": [*first["content"], self.demos]}, second]

        def configure_optimizers(self) -> Any:
            return FewShot([self.demos], candidates=1)

    agent = Shown(model())
    with afnio.local_engine():
        quiet(max_steps=1).fit(agent, loader())
    assert agent.client.calls > 0


def test_calls_that_want_no_feedback_need_none() -> None:
    class Sign(Function):
        @staticmethod
        def forward(ctx: Any, text: Variable, name: Variable) -> Variable:
            return Variable([f"{one} {name.data}" for one in text.data], "letter")

        @staticmethod
        def backward(ctx: Any, grad_output: Variable) -> Any:
            return None, Variable("Write 'yes'.", "feedback")

    class Signed(Agent):
        """Only the signature learns, by a Function of the user's; the model that writes the letter stays as it is."""

        def __init__(self, client: Any) -> None:
            super().__init__(client)
            self.prompt.requires_grad_(False)
            self.name = cog.Parameter("no", role="signature")

        def forward(self, message: Variable) -> Any:
            return Sign.apply(super().forward(message), self.name)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            message, _ = batch
            return F.exact_match_evaluator(self(message), ["{} yes"] * len(message.data))

        def configure_optimizers(self) -> Any:
            writer = Scripted({"": {"reasoning": "asked for", "value": "yes"}})
            return TGD([self.name], model_client=writer)

    agent = Signed(Scripted({"": "{}"}))
    with afnio.local_engine():
        quiet(max_steps=1).fit(agent, loader())
    assert agent.name.data == "yes"


def test_a_forward_pass_outside_of_a_training_needs_none() -> None:
    agent = Agent(model())
    batch = next(iter(loader()))
    assert len(agent(batch[0]).data) == 8
    quiet().validate(agent, loader())
