"""What goes wrong in a step of a tool agent says what and where, and parameters, gradients and optimizer stay as is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydantic
import pytest

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio.errors import BudgetExceeded, ContextLengthError, ReplyContractError, ToolError
from afnio.models.lm_server import LMServer
from afnio.models.lm_server.worlds import shop
from afnio.optim import TGD
from tests.agents.shop_agent import Asked, ShopAgent, loader, right, train

ASKED, HELD_OUT = Asked(12, seed=11), Asked(20, seed=12)
BATCH = next(iter(loader(ASKED)))


class Total(pydantic.BaseModel):
    """What it costs."""

    total: str


class Remembering(ShopAgent):
    """Remembers its past steps."""

    def configure_optimizers(self) -> TGD:
        """TGD with momentum."""
        return TGD(self.parameters(), model_client=self.critic, momentum=2, model="m")


class Training:
    """A step done, and the next one's gradients there: the moment at which most can be lost."""

    def __init__(self, server: LMServer, client: Any) -> None:
        self.server, self.agent = server, Remembering(client, model="m")
        self.optimizer = self.agent.configure_optimizers()
        for _ in range(2):
            self.optimizer.clear_grad()
            self.loss().backward()
            if not self.optimizer.state:
                self.optimizer.step()

    def loss(self) -> Any:
        """Of the batch."""
        return self.agent.training_step(BATCH, 0)

    def state(self) -> Any:
        """All that training has made."""
        grads = [[(id(each), each.data) for each in parameter.grad] for parameter in self.agent.parameters()]
        return self.agent.texts(), grads, repr(self.optimizer.state_dict()["state"])

    def strict(self) -> Any:
        """The step, which ends at the first wrong call."""
        self.agent.loop.on_error = "raise"
        return self.loss()

    def broken(self, tool: Callable[..., Any]) -> Any:
        """The step with another search."""
        tools = [cog.Tool(tool, name="search", description=shop.SEARCH), self.agent.loop.tools["calculator"]]
        loop = cog.ToolLoop(tools, on_error="raise")
        return loop(self.agent.client, self.agent.messages(BATCH[2]), {"question": BATCH[0]}, model="m")

    def typed(self) -> Any:
        """The step of a question, with an answer by a schema."""
        loop = cog.ToolLoop(list(self.agent.loop.tools.values()), response_format=Total)
        return loop(self.agent.client, self.agent.messages([None]), {"question": BATCH[0].data[0]}, model="m")


def refuses(query: str) -> str:
    raise OSError("the index is gone")


def nothing_to_say(query: str) -> Any:
    return object()


def backward(training: Training) -> None:
    loss = training.loss()
    training.server.faults = ["overflow"]
    loss.backward()


def load(change: dict[str, Any]) -> Callable[[Training], Any]:
    def act(training: Training) -> Any:
        state = training.agent.state_dict()
        return training.agent.load_state_dict({"prompt": afnio.Variable("new", state["prompt"].role), **change})

    return act


def with_budget(training: Training) -> None:
    with afnio.local_engine(budget=afnio.Budget(calls=0)):
        training.loss()


def wrong_shape(training: Training) -> None:
    F.exact_match_evaluator(training.agent(BATCH[0], BATCH[2]).output, ["5"])


def other_optimizer(training: Training) -> None:
    state = training.optimizer.state_dict()
    state["param_groups"] = []
    training.optimizer.load_state_dict(state)


CASES: dict[str, tuple[list[str], Callable[[Training], Any], type[Exception], str]] = {
    "a tool that raises": (
        [],
        lambda t: t.broken(refuses),
        ToolError,
        r"Turn 1 .*'search' .sample 0. failed: OSError: the index",
    ),
    "a tool without an answer": ([], lambda t: t.broken(nothing_to_say), ToolError, "search"),
    "a tool that is not there": (
        ["unknown_tool"],
        Training.strict,
        ToolError,
        r"no tool 'search_by_telephone'.*on_error=",
    ),
    "arguments that do not fit": (["bad_arguments"], Training.strict, ToolError, "arguments do not fit"),
    "JSON that breaks the schema": (["broken_output@1x9"], Training.typed, ReplyContractError, "broke the .* twice"),
    "an overflow in the forward pass": (["overflow"], Training.loss, ContextLengthError, "Turn 1 .*context"),
    "an overflow in the backward pass": ([], backward, ContextLengthError, "context"),
    "an overflow in the step": (["overflow"], lambda t: t.optimizer.step(), ContextLengthError, "context"),
    "an update that breaks its schema": (
        ["malformed@1x99:role=optimizer"],
        lambda t: t.optimizer.step(),
        ReplyContractError,
        "No parameter was changed",
    ),
    "a budget of zero": ([], with_budget, BudgetExceeded, r"Budget\(calls=0\)"),
    "a wrong type": ([], lambda t: t.agent([1, 2], [None]), TypeError, r"inputs\['question'\]"),
    "a wrong shape": ([], wrong_shape, ValueError, "prediction has 12 items and target 1"),
    "an unknown key": ([], load({"unknown": afnio.Variable("x", "y")}), RuntimeError, 'Unexpected key.*"unknown"'),
    "a value of a wrong type": ([], load({"loop.tools.search.description": 5}), RuntimeError, "received <class 'int'>"),
    "a value of a wrong shape": (
        [],
        load({"loop.tools.search.description": afnio.Variable(["a", "b"], "tool")}),
        RuntimeError,
        "size mismatch for loop.tools.search.description",
    ),
    "the state of another optimizer": ([], other_optimizer, ValueError, "group"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_goes_wrong_changes_nothing(server: LMServer, client: Any, name: str) -> None:
    faults, act, error, words = CASES[name]
    with afnio.local_engine():
        training = Training(server, client)
        before = training.state()
        assert any(grads for grads in before[1])
        server.faults = list(faults)
        with pytest.raises(Exception, match=f"(?s){words}") as caught:
            act(training)
        assert _is(caught.value, error), repr(caught.value)
        assert training.state() == before
        server.faults = []
        training.optimizer.step()  # the gradients still work
        assert training.agent.texts() != before[0]


def _is(raised: BaseException, error: type[Exception]) -> bool:
    """One error, or that of samples of a batch."""
    several = list(getattr(raised, "errors", {}).values())
    return isinstance(raised, error) or (bool(several) and all(isinstance(each, error) for each in several))


@pytest.mark.parametrize("name", ["loop.tools.search.description", "loop.tools.calculator.description", "prompt"])
def test_each_learned_text_is_better_than_the_first_one(client: Any, name: str) -> None:
    agent = ShopAgent(client, model="m")
    first = agent.texts()
    with afnio.local_engine():
        train(agent, Asked(24, seed=11), lambda agent, batch: agent.training_step(batch, 0))
    reached = right(agent, HELD_OUT)
    agent.get_parameter(name).data = first[name]
    assert right(agent, HELD_OUT) < reached - 0.1
