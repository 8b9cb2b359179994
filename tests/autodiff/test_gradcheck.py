"""gradcheck finds Functions that break a law, and passes those that keep them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from afnio.autodiff import Add, Function, Split, Sum, gradcheck
from afnio.errors import GradcheckError
from afnio.variable import Variable


def leaf(text: str = "one two") -> Variable:
    return Variable(text, role="a text", requires_grad=True)


class Shout(Function):
    @staticmethod
    def forward(ctx: Any, x: Variable) -> Variable:
        return Variable(x.data.upper(), role=f"shouted {x.role}")

    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> Variable:
        return Variable(f"Once shouted: {grad_output.data}", role=grad_output.role)


def test_built_in_ops_keep_the_laws() -> None:
    assert gradcheck(Add.apply, [leaf(), leaf()])
    assert gradcheck(Sum.apply, [[leaf(), leaf(), leaf()]])
    assert gradcheck(Split.apply, [leaf()])


def test_a_good_function_of_a_user_passes_and_its_gradients_are_left_alone() -> None:
    x = leaf()
    x.grad.append(Variable("from before"))
    assert gradcheck(Shout.apply, [x])
    assert [gradient.data for gradient in x.grad] == ["from before"]


class Forgets(Shout):
    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> None:  # type: ignore[override]
        return None


class Mute(Shout):
    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> Variable:
        return Variable("")


class Nameless(Shout):
    @staticmethod
    def forward(ctx: Any, x: Variable) -> Variable:
        return Variable(x.data)


class Meddles(Shout):
    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> Variable:
        ctx.arguments[0].data = "changed"
        return grad_output


class Counts(Shout):
    numbers = itertools.count()

    @staticmethod
    def backward(ctx: Any, grad_output: Variable) -> Variable:
        return Variable(f"{next(Counts.numbers)}: {grad_output.data}")


@pytest.mark.parametrize(
    ("function", "law"),
    [
        (Forgets, "got no feedback"),
        (Mute, "got empty feedback"),
        (Nameless, "has no role"),
        (Meddles, "changed an input's data"),
        (Counts, "different feedback"),
    ],
)
def test_each_broken_law_is_named(function: type[Function], law: str) -> None:
    with pytest.raises(GradcheckError, match=law):
        gradcheck(function.apply, [leaf()])
    assert not gradcheck(function.apply, [leaf()], raise_exception=False)


def test_an_input_that_needs_a_gradient_is_required() -> None:
    with pytest.raises(GradcheckError, match="no input requires a gradient"):
        gradcheck(Shout.apply, [Variable("x")])
