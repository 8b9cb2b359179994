"""Deep and wide graphs: operations are counted, nothing recurses, everything is freed."""

from __future__ import annotations

import gc
import json
import sys
import weakref
from collections.abc import Callable, Iterator
from operator import gt
from typing import Any

import pytest

from afnio import functional as F
from afnio.autodiff import Function, local_engine
from afnio.autodiff.wavefront import Wavefront
from afnio.models.scripted import Scripted
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, backward_model, system, texts

WRONG = Variable("wrong", "feedback")


def leaf(text: str = "") -> Variable:
    return Variable(text, "leaf", requires_grad=True)


def chain(lab: Lab, prompt: Variable, length: int) -> Variable:
    value: Any = "start"
    for _ in range(length):
        value = lab.chat([system(prompt)], inputs={"x": value})
    assert isinstance(value, Variable)
    return value


def test_a_chain_of_ten_thousand_calls(inline: Lab) -> None:
    prompt = Parameter("Do {x}", "prompt")
    chain(inline, prompt, 10_000).backward(WRONG)
    assert len(prompt.grad) == 10_000
    assert inline.calls() == {"forward": 10_000, "backward": 10_000}


def test_a_fan_of_a_thousand_calls(inline: Lab) -> None:
    prompt = Parameter("Do {x}", "prompt")
    F.sum([inline.chat([system(prompt)], inputs={"x": f"{number}"}) for number in range(1_000)]).backward(WRONG)
    assert len(prompt.grad) == 1_000
    assert inline.calls() == {"forward": 1_000, "backward": 1_000}


def test_a_long_chain_needs_no_deep_stack_to_be_dropped(inline: Lab) -> None:
    value = leaf()
    for _ in range(100_000):
        value = value + Variable("")
    first = weakref.ref(value.grad_fn)
    del value
    gc.collect()
    assert first() is None


@pytest.mark.parametrize("length", [100, 1_000, 10_000])
def test_the_work_is_linear_in_the_nodes(inline: Lab, length: int) -> None:
    """Python calls per node, counted by the interpreter."""
    x = value = leaf()
    for _ in range(length):
        value = value + Variable("")
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        value.backward(WRONG)
    finally:
        sys.setprofile(None)
    assert texts(x) == ["wrong"]
    assert calls <= 40 * length + 1_000


def test_feedback_on_many_samples_through_many_nodes_stays_small(inline: Lab) -> None:
    """A hundred pieces through a hundred sums are the same hundred objects at the end."""
    x = value = Variable(["a"] * 100, "batch", requires_grad=True)
    for _ in range(100):
        value = value + Variable([""] * 100)
    loss = F.exact_match_evaluator(value, ["b"] * 100)
    loss.backward()
    assert len(x.grad) == len({id(gradient) for gradient in x.grad}) == 100


def test_each_node_is_visited_once(inline: Lab) -> None:
    values = [leaf()]
    for _ in range(200):
        values.append(values[-1] + values[-1])
    assert len(Wavefront([(values[-1].grad_fn, 0, [])]).order) == 201
    assert values[-1].data == ""


def test_what_a_forward_saved_is_freed_by_backward(inline: Lab) -> None:
    saved: list[weakref.ref[Variable]] = []

    class Saving(Function):
        @staticmethod
        def forward(ctx: Any, x: Variable) -> Variable:
            kept = Variable("kept")
            saved.append(weakref.ref(kept))
            ctx.save_for_backward(kept)
            return Variable("y")

        @staticmethod
        def backward(ctx: Any, given: Variable) -> Variable:
            assert ctx.saved_variables[0].data == "kept"
            return given

    value = leaf()
    results = []
    for _ in range(50):
        value = Saving.apply(value)
        results.append(value)
    results[-1].backward(WRONG)
    gc.collect()
    assert [ref() for ref in saved] == [None] * 50
    assert results[0].grad_fn.ctx is None


def test_gradients_hold_no_graph(inline: Lab) -> None:
    prompt = Parameter("Do {x}", "prompt")
    answer = chain(inline, prompt, 3)
    node = weakref.ref(answer.grad_fn)
    answer.backward(WRONG)
    del answer
    gc.collect()
    assert node() is None
    assert len(prompt.grad) == 3


# ------------------------------------------------------------------------------------- what a call costs

ONE = json.dumps({"feedback": [{"variable": "v1", "text": "better"}]})


def side_by_side(model: Scripted, prompt: Variable, size: int) -> Variable:
    calls = [F.chat_completion(model, [system(prompt)], inputs={"x": f"{number}"}) for number in range(size)]
    return F.sum(calls)


@pytest.fixture
def scripted() -> Iterator[tuple[Scripted, Scripted]]:
    """A model that answers and one that criticises, both at once and in process."""
    model, critic = Scripted(lambda body: "answer"), Scripted(lambda body: ONE)
    with local_engine(), backward_model(critic):
        side_by_side(model, Parameter("Do {x}", "prompt"), 3).backward(WRONG)  # what is imported or kept once
        yield model, critic


def counted(work: Callable[[], Any]) -> tuple[Any, int]:
    """What ``work`` returns, and how many Python calls that took."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        result = work()
    finally:
        sys.setprofile(None)
    return result, calls


def test_a_call_costs_few_python_calls(scripted: tuple[Scripted, Scripted]) -> None:
    prompt, size = Parameter("Do {x}", "prompt"), 200
    end, forward = counted(lambda: side_by_side(scripted[0], prompt, size))
    _, backward = counted(lambda: end.backward(WRONG))
    assert len(prompt.grad) == size
    assert forward <= 110 * size
    assert backward <= 160 * size


def test_a_call_is_few_objects_and_leaves_no_cycles(scripted: tuple[Scripted, Scripted]) -> None:
    """The collector goes through every object of a graph again and again, and through cycles to free them."""
    size, times = 500, 0
    bounds = 15 * size + size // 2, 0, size // 10
    least = objects(*scripted, size)
    # Other threads of this process make objects, too, now and then; ours are there each time.
    while any(map(gt, least, bounds)) and times < 20:
        least, times = tuple(map(min, least, objects(*scripted, size))), times + 1
    assert not any(map(gt, least, bounds)), least


def objects(model: Scripted, critic: Scripted, size: int) -> tuple[int, ...]:
    """How many objects a forward pass of ``size`` calls adds, then its backward, and how many are left in cycles."""
    prompt = Parameter("Do {x}", "prompt")
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        end = side_by_side(model, prompt, size)
        built = len(gc.get_objects())
        end.backward(WRONG)
        walked = len(gc.get_objects())
        del end, prompt
        model.requests.clear()
        critic.requests.clear()
        return built - before, walked - built, gc.collect()
    finally:
        gc.enable()
