"""The ops as Modules and as functions, on a scripted model."""

from __future__ import annotations

import asyncio
import copy
import inspect
import io
from typing import Any

import pytest

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable
from afnio._op_result import OpResult
from afnio.autodiff import ops
from afnio.models import backward_client
from afnio.models.scripted import Scripted


def same(prediction: str, target: str) -> int:
    return int(prediction == target)


def all_right(scores: list[int]) -> bool:
    return all(scores)


def echo(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


VERDICT = {"score": 1, "explanation": "well said"}


class Agent(cog.Module):
    def __init__(self) -> None:
        super().__init__()
        self.prompt = cog.Parameter("Answer.", role="system prompt")
        self.template = Variable("{message}", role="message")
        self.answer = cog.ChatCompletion()
        self.evaluate = cog.ExactMatchEvaluator()

    def messages(self) -> list[dict[str, Any]]:
        return [{"role": "system", "content": [self.prompt]}, {"role": "user", "content": [self.template]}]

    def forward(self, client: Any, message: Any) -> Any:
        return self.answer(client, self.messages(), inputs={"message": message}, model="m", temperature=0)


def messages() -> list[dict[str, Any]]:
    return [{"role": "user", "content": [Variable("{prediction} {target}", role="judge")]}]


def arguments(name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments for the op of that name, the same each time."""
    x, y = Variable("a b", role="x"), Variable("c", role="y")
    client = Scripted(lambda body: VERDICT)
    table: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
        "add": ((x, y), {}),
        "sum": (([x, y],), {}),
        "split": ((x,), {"maxsplit": 1}),
        "chat_completion": ((Scripted(echo), [{"role": "user", "content": [x]}]), {"model": "m"}),
        "chat_turn": ((Scripted(echo), [{"role": "user", "content": [x]}]), {"model": "m"}),
        "deterministic_evaluator": ((x, "a b", same, "equality", all_right, sum, "summation"), {}),
        "exact_match_evaluator": ((x, "c"), {}),
        "lm_judge_evaluator": ((client, messages(), x, "c"), {"model": "m", "success_fn": all_right}),
    }
    return table[name]


MODULES: dict[str, type[cog.Module]] = {
    "add": cog.Add,
    "sum": cog.Sum,
    "split": cog.Split,
    "chat_completion": cog.ChatCompletion,
    "chat_turn": cog.ChatTurn,
    "deterministic_evaluator": cog.DeterministicEvaluator,
    "exact_match_evaluator": cog.ExactMatchEvaluator,
    "lm_judge_evaluator": cog.LMJudgeEvaluator,
}

RECORDED = {
    "add": {},
    "sum": {},
    "split": {"_buffers": ["sep", "maxsplit"]},
    "chat_completion": {
        "_models": ["forward_model_client"],
        "_chats": ["messages"],
        "_completion_configs": ["completion_args"],
    },
    "chat_turn": {
        "_models": ["forward_model_client"],
        "_chats": ["messages"],
        "_completion_configs": ["completion_args"],
    },
    "deterministic_evaluator": {
        "_functions": ["eval_fn", "success_fn", "reduction_fn"],
        "_buffers": ["eval_fn_purpose", "reduction_fn_purpose"],
    },
    "exact_match_evaluator": {"_functions": ["reduction_fn"], "_buffers": ["reduction_fn_purpose"]},
    "lm_judge_evaluator": {
        "_models": ["forward_model_client"],
        "_chats": ["messages"],
        "_completion_configs": ["completion_args"],
        "_functions": ["success_fn", "reduction_fn"],
        "_buffers": ["reduction_fn_purpose", "eval_mode"],
    },
}


def shown(result: Any) -> Any:
    if isinstance(result, OpResult):
        return shown(result.output)
    return tuple(map(shown, result)) if isinstance(result, tuple) else (result.data, result.role)


# --- the same op in three forms


@pytest.mark.parametrize("name", MODULES)
def test_module_function_and_op_say_the_same(name: str) -> None:
    args, kwargs = arguments(name)
    op: Any = getattr(ops, MODULES[name].__name__)
    results = [MODULES[name]()(*args, **kwargs), getattr(F, name)(*args, **kwargs), op.apply(*args, **kwargs)]
    assert shown(results[0]) == shown(results[1]) == shown(results[2])


@pytest.mark.parametrize("name", MODULES)
def test_acall_says_what_a_call_says(name: str) -> None:
    args, kwargs = arguments(name)
    module = MODULES[name]()
    assert shown(asyncio.run(module.acall(*args, **kwargs))) == shown(module(*args, **kwargs))


@pytest.mark.parametrize("name", ["chat_completion", "chat_turn", "lm_judge_evaluator"])
def test_the_async_function_says_what_the_function_says(name: str) -> None:
    args, kwargs = arguments(name)
    assert shown(asyncio.run(getattr(F, f"a{name}")(*args, **kwargs))) == shown(getattr(F, name)(*args, **kwargs))


@pytest.mark.parametrize("name", MODULES)
def test_module_and_function_take_the_same_arguments(name: str) -> None:
    function = inspect.signature(getattr(F, name))
    module = inspect.signature(MODULES[name].forward)
    assert list(module.parameters.values())[1:] == list(function.parameters.values())
    if aforward := getattr(MODULES[name], "aforward", None):
        assert inspect.signature(aforward).parameters == module.parameters
        assert inspect.signature(getattr(F, f"a{name}")) == function


@pytest.mark.parametrize("name", MODULES)
def test_function_and_op_take_the_same_arguments(name: str) -> None:
    op: Any = getattr(ops, MODULES[name].__name__)
    forward = list(inspect.signature(op.forward).parameters.values())[1:]
    function = list(inspect.signature(getattr(F, name)).parameters.values())
    assert [(p.name, p.default, p.kind) for p in function] == [(p.name, p.default, p.kind) for p in forward]


KINDS = {"Parameter", "Choice", "Number", "Demos"}


CONTAINERS = {"Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"}


def test_the_public_names_are_these() -> None:
    functions = set(MODULES) | {"achat_completion", "achat_turn", "alm_judge_evaluator", "run_tools", "arun_tools"}
    assert set(F.__all__) == functions
    classes = {cls.__name__ for cls in MODULES.values()}
    names = {"BoolMask", "OpResult", "Tool", "ToolLoop", "tool"}
    assert set(cog.__all__) == functions | classes | CONTAINERS | KINDS | names


# --- what a module keeps


@pytest.mark.parametrize("name", MODULES)
def test_a_module_keeps_the_arguments_of_its_latest_call(name: str) -> None:
    module = MODULES[name]()
    places = {
        slot: list(held)
        for slot, held in vars(module).items()
        if slot in {"_models", "_chats", "_completion_configs", "_functions", "_buffers", "_parameters", "_modules"}
        and held
    }
    assert places == RECORDED[name]
    assert module.state_dict() == {}
    args, kwargs = arguments(name)
    module(*args, **kwargs)
    given = inspect.signature(module.forward).bind(*args, **kwargs)
    given.apply_defaults()
    for slot, names in RECORDED[name].items():
        for held in names:
            value, wanted = getattr(module, held), given.arguments.get(held, kwargs)
            if slot == "_buffers" and wanted is not None:
                assert (value.data, value.role) == (wanted, held)
            elif slot == "_completion_configs":
                assert value == {"model": "m"}
            else:
                assert value is wanted


def test_the_latest_call_counts() -> None:
    agent, first, second = Agent(), Scripted(["1"]), Scripted(["2"])
    agent(first, "hello")
    agent(second, ["a"])
    assert agent.answer.forward_model_client is second
    assert list(agent.models()) == [second]


def test_a_variable_is_kept_as_it_is() -> None:
    module, sep = cog.Split(), Variable(",", role="separator")
    module(Variable("a,b"), sep)
    assert module.sep is sep


def test_what_cannot_be_saved_is_used_but_not_kept() -> None:
    module = cog.DeterministicEvaluator()
    loss = module(Variable("a"), "b", lambda p, t: 7, "anything", None, None, "")
    assert loss.score.data == 7
    assert module.eval_fn is None
    assert list(module.state_dict()) == ["eval_fn_purpose", "reduction_fn_purpose"]


def test_a_wrong_argument_is_the_ops_error() -> None:
    with pytest.raises(TypeError):
        cog.ChatCompletion()(Scripted([]), "hello", model="m")
    with pytest.raises(TypeError):
        cog.Add()(Variable("a"), "b")


# --- an agent that was used


def used(message: Any = "hello") -> Agent:
    agent = Agent()
    client = Scripted(["wrong"] * 9)
    prediction = agent(client, message)
    agent.evaluate(prediction, message)
    return agent


@pytest.mark.parametrize("before", [None, "hello", ["a", "b"], ["a", "b", "c"]])
@pytest.mark.parametrize("after", [None, "hello", ["a", "b"]])
def test_any_state_loads_into_any_agent_of_the_class(before: Any, after: Any) -> None:
    source, target = (Agent() if message is None else used(message) for message in (before, after))
    source.prompt.data = "learned"
    prompt = target.prompt
    assert target.load_state_dict(source.state_dict()) == ([], [])
    assert target.prompt is prompt
    assert (prompt.data, prompt.requires_grad) == ("learned", True)
    assert target(Scripted(["fine"]), "again").data == "fine"


def test_an_agent_with_gradients_can_be_loaded() -> None:
    agent = Agent()
    prediction = agent(Scripted(["wrong"]), "hello")
    prediction.retain_grad()
    agent.answer(Scripted(["x"]), [{"role": "user", "content": [prediction]}], model="m")
    agent.prompt.append_grad(Variable("feedback"))
    for keep_vars in (True, False):
        agent.load_state_dict(agent.state_dict(keep_vars=keep_vars))
    assert agent.answer.messages[0]["content"][0].data == "wrong"
    assert prediction.data == "wrong"
    assert len(agent.prompt.grad) == 1


def test_the_state_of_a_used_agent_goes_through_a_file() -> None:
    agent, file = used(["a", "b"]), io.BytesIO()
    afnio.save(agent.state_dict(keep_vars=True), file)
    file.seek(0)
    state, client = afnio.load(file), Scripted([])
    twin = Agent()
    twin.load_state_dict(state, model_clients={"answer.forward_model_client": client})
    assert twin.answer.forward_model_client is client
    assert client.get_usage() == agent.answer.forward_model_client.get_usage()
    assert twin.answer.completion_args == {"model": "m", "temperature": 0}
    assert twin.answer.messages[0]["content"][0].data == "Answer."
    assert twin.evaluate.reduction_fn is sum


def test_a_used_agent_can_be_copied() -> None:
    agent = used()
    agent.answer(Scripted(["x"]), [{"role": "user", "content": [agent.prompt + Variable("!")]}], model="m")
    twin = copy.deepcopy(agent)
    assert list(twin.models()) == list(agent.models())
    assert twin.answer.messages[0]["content"][0].data == "Answer.!"
    assert twin(Scripted(["fine"]), "again").data == "fine"


def test_feedback_reaches_the_prompt_of_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backward_client, "_current", None)  # and back to what it was
    feedback = {"feedback": [{"variable": "v1", "text": "Say only the word."}]}
    afnio.set_backward_model_client(Scripted(lambda body: feedback), completion_args={"model": "critic"})
    agent = Agent()
    prediction = agent(Scripted(["wrong"]), "hello")
    loss = agent.evaluate(prediction, "right")
    with afnio.local_engine():
        loss.backward()
    assert [gradient.data for gradient in agent.prompt.grad] == ["Say only the word."]
