"""Add: two values joined."""

from __future__ import annotations

from typing import Any

from afnio.autodiff.function import Context, Function
from afnio.autodiff.ops._roles import all_of
from afnio.autodiff.ops._table import op
from afnio.variable import Variable

__all__ = ["Add"]


@op
class Add(Function):
    """``add(x, y)``: numbers are added, strings joined, lists of the same length element by element.

    A number beside a string is written out first.  The result's role is ``"<x's> and <y's>"``.

    Backward: the feedback on the sum, unchanged, to both.

    Raises:
        TypeError: an argument is not a Variable, or holds nothing.
        ValueError: a list beside a scalar, or lists of different lengths.
    """

    is_linear = True

    @staticmethod
    def forward(ctx: Context, x: Variable, y: Variable) -> Variable:
        """The sum of ``x`` and ``y``."""
        for value in (x, y):
            if not isinstance(value, Variable):
                raise TypeError(f"add() expects two Variables, got {type(value).__name__}.")
        result = Variable(_add(x.data, y.data), all_of((x.role, y.role)))
        result._samples = x._samples or y._samples
        return result

    @staticmethod
    def backward(ctx: Context, grad_output: Variable) -> tuple[Variable, Variable]:
        """The same feedback to both."""
        return grad_output, grad_output


def _add(x: Any, y: Any) -> Any:
    if isinstance(x, list) != isinstance(y, list):
        raise ValueError("add() cannot join a list and a scalar: give two lists of one length, or two scalars.")
    if isinstance(x, list):
        if len(x) != len(y):
            raise ValueError(f"add() expects lists of one length, got {len(x)} and {len(y)} items.")
        return [_add(left, right) for left, right in zip(x, y, strict=True)]
    if x is None or y is None:
        raise TypeError("add() cannot add None.")
    if isinstance(x, str) or isinstance(y, str):
        return f"{x}{y}"
    return x + y
