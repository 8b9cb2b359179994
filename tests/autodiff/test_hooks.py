"""Hooks on gradients and `retain_grad`: order, replacement, removal, as in torch."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from afnio import functional as F
from afnio.parameter import Parameter
from afnio.variable import Variable
from tests.autodiff.lab import Lab, open_lab, samples, system, texts

WRONG = Variable("wrong", "feedback")


def leaf(text: Any = "a") -> Variable:
    return Variable(text, "leaf", requires_grad=True)


def test_hooks_see_each_gradient_in_order_before_it_is_kept(lab: Lab) -> None:
    x, seen = leaf(["a", "b", "c"]), []
    x.register_hook(lambda gradient: seen.append(("first", gradient.data, len(x.grad))))
    x.register_hook(lambda gradient: seen.append(("second", gradient.data, len(x.grad))))
    lab.backward(x + Variable(["", "", ""]), Variable(["one", "", "three"]))
    assert seen == [("first", "one", 0), ("second", "one", 0), ("first", "three", 0), ("second", "three", 0)]
    assert texts(x) == ["one", "three"]


def test_what_a_hook_returns_takes_the_place_of_the_gradient(lab: Lab) -> None:
    prompt = Parameter("Do {x}", "prompt")
    answer = lab.chat([system(prompt)], inputs={"x": ["a", "b"]})
    answer.register_hook(lambda gradient: Variable(gradient.data.upper(), gradient.role))
    answer.register_hook(lambda gradient: Variable(f"{gradient.data}!"))
    prompt.register_hook(lambda gradient: Variable("from the hook"))
    lab.backward(F.exact_match_evaluator(answer, ["answer", "x"]))
    (asked,) = lab.brain.of("backward")
    (sample,) = asked.samples
    assert sample[0] == "1"
    assert sample[1][0].endswith("SCORE 0.!")
    assert texts(prompt) == ["from the hook"]
    assert samples(prompt) == [("1",)]  # the samples stay


def test_an_emptied_gradient_costs_nothing_upstream(lab: Lab) -> None:
    prompt = Parameter("Do {x}", "prompt")
    answer = lab.chat([system(prompt)], inputs={"x": "a"})
    answer.register_hook(lambda gradient: Variable(""))
    lab.backward(answer, WRONG)
    assert texts(prompt) == [""]
    assert lab.calls() == {"forward": 1}


def test_a_removed_hook_is_not_called(lab: Lab) -> None:
    x, seen = leaf(), []
    first = x.register_hook(lambda gradient: seen.append("first"))
    second = x.register_hook(lambda gradient: seen.append("second"))
    first.remove()
    third = x.register_hook(lambda gradient: seen.append("third"))
    first.remove()  # again: takes no other's place
    lab.backward(x + x, WRONG)
    assert seen == ["second", "third"] * 2
    second.remove()
    third.remove()
    with x.register_hook(lambda gradient: seen.append("inside")):
        lab.backward(x + Variable(""), WRONG)
    lab.backward(x + Variable(""), WRONG)
    assert seen[4:] == ["inside"]


def test_removing_the_last_hook_and_registering_again() -> None:
    x, seen = leaf(), []
    old = x.register_hook(lambda gradient: seen.append("old"))
    old.remove()
    x.register_hook(lambda gradient: seen.append("new"))
    old.remove()
    with open_lab() as lab:
        lab.backward(x + Variable(""), WRONG)
    assert seen == ["new"]


def test_retain_grad_keeps_what_the_hooks_made(lab: Lab) -> None:
    x = leaf()
    middle = x + Variable("!")
    middle.retain_grad()
    middle.register_hook(lambda gradient: Variable("replaced"))
    lab.backward(middle + Variable("?"), WRONG)
    assert texts(middle) == texts(x) == ["replaced"]
    middle.grad.clear()
    assert middle.grad == []


def test_retain_grad_on_each_output_and_on_losses(lab: Lab) -> None:
    x = leaf("a b")
    first, second = F.split(x)
    first.retain_grad()
    second.retain_grad()
    loss = F.exact_match_evaluator(second, "b")
    loss.explanation.retain_grad()
    lab.backward([loss.explanation, first], [None, WRONG])
    assert (texts(first), texts(second), texts(x)) == (["wrong"], [""], ["wrong"])
    assert texts(loss.explanation) == [""]


def test_kept_gradients_are_the_users_own(inline: Lab) -> None:
    """Writing into a kept empty gradient does not reach other graphs."""
    for _ in range(2):
        x = leaf("a") + Variable("")
        x.retain_grad()
        F.exact_match_evaluator(x, "a").backward()
        assert texts(x) == [""]
        x.grad[0].data = "scribbled"


def test_what_cannot_be_hooked_or_retained() -> None:
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        Variable("a").register_hook(lambda gradient: None)
    with pytest.raises(RuntimeError, match="leaf keeps its gradients anyway"):
        leaf().retain_grad()
    result = leaf() + leaf()
    for touch in (lambda: result.grad, lambda: result.append_grad(WRONG), lambda: setattr(result, "grad", [])):
        with pytest.raises(RuntimeError, match=r"retain_grad\(\)"):
            touch()


def test_a_hook_that_returns_something_else_is_an_error(lab: Lab) -> None:
    x = leaf()
    x.register_hook(lambda gradient: "text")  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="hook returns a Variable or None, got str"):
        lab.backward(x + x, WRONG)
    assert x.grad == []


def test_a_hook_that_fails_changes_nothing(lab: Lab) -> None:
    x, y = leaf(), leaf()

    def fail(gradient: Variable) -> None:
        raise ArithmeticError("hook")

    y.register_hook(fail)
    with pytest.raises(ArithmeticError, match="hook"):
        lab.backward(x + y, WRONG)
    assert (x.grad, y.grad) == ([], [])


def test_hooks_run_in_torchs_order(inline: Lab) -> None:
    """The order torch 2 calls the same hooks in on the graph ``(x * 2) * 3``."""
    order: list[str] = []

    def hook(name: str) -> Any:
        return lambda gradient: order.append(name)

    x = leaf()
    h = x + Variable("!")
    x.register_hook(hook("leaf"))
    h.register_hook(hook("h first"))
    h.register_hook(hook("h second"))
    (h + Variable("?")).backward(WRONG)
    assert order == ["h first", "h second", "leaf"]


def test_hooks_on_many_leaves_under_abackward(inline: Lab) -> None:
    leaves, seen = [leaf(str(number)) for number in range(5)], []
    for x in leaves:
        x.register_hook(lambda gradient: seen.append(gradient.data))
    asyncio.run(F.sum(leaves).abackward(WRONG))
    assert seen == ["wrong"] * 5
