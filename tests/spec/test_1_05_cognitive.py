"""`afnio.cognitive`: names, signatures, and what is not tested elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio.cognitive import functional as F
from afnio.models.scripted import Scripted
from tests.spec.signatures import takes

OPS = ["Add", "ChatCompletion", "DeterministicEvaluator", "ExactMatchEvaluator", "LMJudgeEvaluator", "Split", "Sum"]
KINDS = ["parameters", "buffers", "chats", "models", "completion_configs", "functions"]
PURPOSE = "reduction_fn=sum, reduction_fn_purpose='summation'"
JUDGE = f"forward_model_client, messages, prediction, target=None, inputs=None, success_fn=None, {PURPOSE}"
DETERMINISTIC = "prediction, target, eval_fn, eval_fn_purpose, success_fn, reduction_fn, reduction_fn_purpose"
FUNCTIONS = {
    "add": "x, y",
    "chat_completion": "forward_model_client, messages, inputs=None, **completion_args",
    "deterministic_evaluator": DETERMINISTIC,
    "exact_match_evaluator": f"prediction, target, {PURPOSE}",
    "lm_judge_evaluator": f"{JUDGE}, eval_mode=True, **completion_args",
    "split": "x, sep=None, maxsplit=-1",
    "sum": "x",
}


def test_its_names() -> None:
    assert {*OPS, "Module", "Parameter", *FUNCTIONS} <= set(cog.__all__)
    assert all(getattr(cog, name) is getattr(F, name) for name in FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_these_signatures(name: str) -> None:
    takes(getattr(F, name), FUNCTIONS[name])
    module = "LMJudgeEvaluator" if name == "lm_judge_evaluator" else name.title().replace("_", "")
    takes(getattr(cog, module).forward, FUNCTIONS[name])


def test_module_has_these_signatures() -> None:
    takes(cog.Module.register_buffer, "name, variable, persistent=True")
    takes(cog.Module.register_parameter, "name, param")
    takes(cog.Module.register_chat, "name, messages")
    takes(cog.Module.register_model, "name, model")
    takes(cog.Module.register_completion_config, "name, args")
    takes(cog.Module.register_function, "name, func")
    takes(cog.Module.register_module, "name, module")
    for kind in KINDS:
        takes(getattr(cog.Module, f"named_{kind}"), "prefix='', recurse=True, remove_duplicate=True")
        takes(getattr(cog.Module, kind), "")
    takes(cog.Module.named_modules, "memo=None, prefix='', remove_duplicate=True")
    takes(cog.Module.train, "mode=True")
    takes(cog.Module.state_dict, "*, destination=None, prefix='', keep_vars=False")
    takes(cog.Module.load_state_dict, "state_dict, strict=True, assign=False, model_clients=None")
    for step in ("training_step", "validation_step", "test_step"):
        takes(getattr(cog.Module, step), "batch, batch_idx")


def test_a_new_module_has_these_attributes() -> None:
    module = cog.Module()
    assert (module._version, module.training, module.automatic_optimization) == (1, True, True)
    slots = ["parameters", "buffers", "chats", "modules", "models", "completion_configs", "functions"]
    assert all(getattr(module, f"_{slot}") == {} for slot in slots)
    assert module._non_persistent_buffers_set == set()
    assert module.extra_repr() == ""
    with pytest.raises(AttributeError):
        module.optimizers()
    for call in (module.forward, module.configure_optimizers, lambda: module.training_step(None, 0)):
        with pytest.raises(NotImplementedError):
            call()
    wrong: Any = "yes"
    with pytest.raises(ValueError, match="boolean"):
        module.train(wrong)


def test_a_parameter_is_a_variable_that_is_learned() -> None:
    takes(cog.Parameter, "data=None, role=None, requires_grad=True")
    parameter = cog.Parameter("a", "r")
    assert isinstance(parameter, Variable)
    assert parameter.requires_grad
    assert repr(parameter).splitlines()[0] == "Parameter containing:"
    assert len(repr(parameter).splitlines()) == 2


KEPT: dict[str, dict[str, str]] = {
    "ChatCompletion": {"forward_model_client": "models", "messages": "chats", "completion_args": "completion_configs"},
    "DeterministicEvaluator": {
        "eval_fn": "functions",
        "success_fn": "functions",
        "reduction_fn": "functions",
        "eval_fn_purpose": "buffers",
        "reduction_fn_purpose": "buffers",
    },
    "ExactMatchEvaluator": {"reduction_fn": "functions", "reduction_fn_purpose": "buffers"},
    "LMJudgeEvaluator": {
        "forward_model_client": "models",
        "messages": "chats",
        "completion_args": "completion_configs",
        "success_fn": "functions",
        "reduction_fn": "functions",
        "reduction_fn_purpose": "buffers",
        "eval_mode": "buffers",
    },
    "Split": {"sep": "buffers", "maxsplit": "buffers"},
}


@pytest.mark.parametrize("name", KEPT)
def test_op_modules_keep_their_arguments_under_these_names(name: str) -> None:
    module = getattr(cog, name)()
    for argument, kind in KEPT[name].items():
        assert argument in getattr(module, f"_{kind}"), argument


def test_chats_and_parameters_follow_requires_grad_and_empty_grad() -> None:
    module = cog.Module()
    said = Variable("x", requires_grad=True)
    module.prompt, module.chat = cog.Parameter("a"), [{"role": "user", "content": [said]}]
    for variable in (module.prompt, said):
        variable.append_grad(Variable("feedback"))
    for clear in (module.empty_grad, module.zero_grad):
        clear()
        assert module.prompt.grad == said.grad == []
        said.append_grad(Variable("more"))
    module.requires_grad_(False)
    assert not module.prompt.requires_grad
    assert not said.requires_grad


class Traps(cog.Module):
    def __init__(self) -> None:
        super().__init__()
        self.x: Any = None
        self.items: list[Any] = []
        self.examples = [{"a": 1}]
        self.settings = {"temperature": 0}
        self.path = "openai/gpt-5"
        self.template = Variable("{x}")


def test_what_was_a_trap_is_an_ordinary_attribute() -> None:
    module = Traps()
    module.x, module.path = 5, "openai/gpt-4o"
    module.items = [1]
    module.items.append(2)
    module.settings["top_p"] = 1
    assert (module.x, module.items, module.examples, module.path) == (5, [1, 2], [{"a": 1}], "openai/gpt-4o")
    assert list(module.state_dict()) == []
    assert list(module.models()) == []


def test_a_state_has_this_shape() -> None:
    client = Scripted(["x"], model="m")
    agent = cog.Module()
    agent.prompt, agent.client = cog.Parameter("a", "r"), client
    agent.chat = [{"role": "user", "content": [agent.prompt]}]
    agent.fn = sum
    agent.register_buffer("note", Variable("n"))
    agent.register_buffer("gone", Variable("n"), persistent=False)
    agent.register_completion_config("config", {"temperature": 0})
    outer = cog.Module()
    outer.agent = agent
    state: Any = outer.state_dict()
    names = ["prompt", "note", "chat", "client", "config", "fn"]
    assert list(state) == [f"agent.{name}" for name in names]
    assert state._metadata == {"": {"version": 1}, "agent": {"version": 1}}
    assert set(state["agent.client"]) == {"class_type", "provider", "usage"}
    assert state["agent.chat"][0]["role"] == "user"
    assert state["agent.prompt"] is not agent.prompt
    assert outer.state_dict(keep_vars=True)["agent.prompt"] is agent.prompt
    assert state["agent.fn"] is sum


def test_loading_says_all_that_is_wrong_at_once_in_these_words() -> None:
    agent = cog.Module()
    agent.prompt, agent.list = cog.Parameter("a"), cog.Parameter(["a"])
    assert str(agent.load_state_dict(agent.state_dict())) == "<All keys matched successfully>"
    with pytest.raises(RuntimeError) as caught:
        agent.load_state_dict({"list": Variable(["a", "b"]), "other": Variable("x")})
    told = str(caught.value)
    assert told.startswith("Error(s) in loading state_dict for Module:\n\t")
    for part in ('Missing key(s) in state_dict: "prompt"', 'Unexpected key(s) in state_dict: "other"', "size mismatch"):
        assert part in told
    wrong: Any = [1]
    with pytest.raises(TypeError, match="dict-like"):
        agent.load_state_dict(wrong)
