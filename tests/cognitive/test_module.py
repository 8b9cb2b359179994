"""The rest of a Module: training protocol, copies, prompts to deploy."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from afnio import Variable
from afnio.cognitive import Module, ModuleList, Parameter, Sequential
from afnio.models.scripted import Scripted


def score(prediction: str, target: str) -> int:
    return int(prediction == target)


class Agent(Module):
    def __init__(self) -> None:
        super().__init__()
        self.prompt = Parameter("Classify.", role="system prompt")
        self.messages: Any = [{"role": "system", "content": [self.prompt]}]
        self.client = Scripted(["answer"])
        self.score = score
        self.plain = {"k": [1]}


class Pickled(Module):
    def __init__(self) -> None:
        super().__init__()
        self.prompt = Parameter("p", "prompt")
        self.fn = sum
        self.register_buffer("note", Variable("n"), persistent=False)
        self.eval()

    def forward(self, x: str) -> str:
        return x


def test_a_new_module_trains_and_is_optimized_by_the_trainer() -> None:
    module = Module()
    assert module.training is True
    assert module.automatic_optimization is True


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("training_step", r"Agent does not define training_step\(batch, batch_idx\)"),
        ("validation_step", r"Agent does not define validation_step\(batch, batch_idx\)"),
        ("test_step", r"Agent does not define test_step\(batch, batch_idx\)"),
        ("configure_optimizers", r"Agent does not define configure_optimizers\(\)"),
    ],
)
def test_a_step_that_is_not_defined_says_so(call: str, message: str) -> None:
    arguments = () if call == "configure_optimizers" else (None, 0)
    with pytest.raises(NotImplementedError, match=message):
        getattr(Agent(), call)(*arguments)


def test_optimizers_are_those_that_were_configured() -> None:
    module = Module()
    with pytest.raises(AttributeError, match="has no optimizers yet"):
        module.optimizers()
    module._optimizers = ["optimizer"]
    assert module.optimizers() == ["optimizer"]


def test_exported_prompts_are_texts_by_name() -> None:
    outer = Module()
    outer.agent = Agent()
    outer.same = outer.agent
    outer.examples = Parameter(["eins", "zwölf"])
    outer.frozen = Parameter("fixed", requires_grad=False)
    assert outer.export_prompts() == {
        "examples": '["eins", "zwölf"]',
        "frozen": "fixed",
        "agent.prompt": "Classify.",
    }


def test_a_copy_has_values_of_its_own_and_shares_the_client() -> None:
    agent = Agent()
    agent.prompt.append_grad(Variable("feedback"))
    twin = copy.deepcopy(agent)
    assert type(twin) is Agent
    assert twin.prompt is not agent.prompt
    assert isinstance(twin.prompt, Parameter)
    assert twin.prompt.grad == []
    assert twin.messages[0]["content"] == [twin.prompt]
    assert twin.client is agent.client
    assert twin.score is score
    twin.prompt.data = "changed"
    twin.plain["k"].append(2)
    assert agent.prompt.data == "Classify."
    assert agent.plain == {"k": [1]}


def test_a_copy_keeps_what_is_shared_inside() -> None:
    outer = Module()
    outer.a = outer.b = Agent()
    twin = copy.deepcopy(outer)
    assert twin.a is twin.b is not outer.a


def test_results_of_calls_in_a_chat_are_copied_without_their_graph() -> None:
    agent = Agent()
    agent.messages.append({"role": "user", "content": [agent.prompt + Variable(" now")]})
    copied = copy.deepcopy(agent).messages[1]["content"][0]
    assert (copied.data, copied.grad_fn) == ("Classify. now", None)


def test_hooks_are_copied_with_the_module() -> None:
    agent, seen = Agent(), []
    agent.register_forward_pre_hook(lambda module, args: seen.append(module))
    twin = copy.deepcopy(agent)
    for module in (agent, twin):
        with pytest.raises(NotImplementedError):
            module()
    assert seen == [agent, twin]


def test_a_pickled_module_comes_back_also_one_of_an_older_release() -> None:
    agent = Sequential(Pickled(), ModuleList([Pickled()]))
    back = pickle.loads(pickle.dumps(agent))
    assert back.state_dict().keys() == agent.state_dict().keys()
    assert repr(back) == repr(agent)
    assert back[0].training is False
    older = pickle.loads(pickle.dumps(Pickled()))
    state = {
        name: value for name, value in vars(older).items() if "backward" not in name and name != "_completion_configs"
    }
    older.__dict__.clear()
    older.__setstate__(state)
    assert (older("x"), older.prompt.data, older._backward_hooks, older._completion_configs) == ("x", "p", {}, {})


def test_no_method_of_module_is_long() -> None:
    lengths = {
        name: len(inspect.getsource(value).splitlines()) - len((value.__doc__ or "").splitlines())
        for name, value in inspect.getmembers(Module, inspect.isfunction)
    }
    assert {name: length for name, length in lengths.items() if length > 40} == {}
