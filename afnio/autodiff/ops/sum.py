"""Sum: many values joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afnio.autodiff.feedback import EdgePieces, parts_of
from afnio.autodiff.function import Context, Function
from afnio.autodiff.ops._roles import all_of
from afnio.autodiff.ops._table import op
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = ["Sum"]


@op
class Sum(Function):
    """``sum(variables)``: numbers are added; strings are wrapped in ``<ITEM></ITEM>`` and joined; lists by position.

    The result's role is the roles joined with ``" and "``.

    Backward: the feedback on the sum, unchanged, to each.

    Raises:
        TypeError: not a list of Variables, or values that cannot be added to each other.
        ValueError: an empty list, a list beside a scalar, or lists of different lengths.
    """

    is_linear = True

    @staticmethod
    def forward(ctx: Context, x: Sequence[Variable]) -> Variable:
        """The sum of the Variables in ``x``."""
        if not isinstance(x, (list, tuple)) or not all(isinstance(item, Variable) for item in x):
            raise TypeError("sum() expects a list of Variables.")
        if not x:
            raise ValueError("sum() expects at least one Variable.")
        result = Variable(_sum([item.data for item in x]), all_of(item.role for item in x))
        result._samples = next((item._samples for item in x if item._samples), None)
        return result

    @staticmethod
    def backward(ctx: Context, grad_output: Gradient) -> EdgePieces:
        """The same feedback to each."""
        return EdgePieces([list(parts_of(grad_output))] * len(ctx.arguments[0]))


def _sum(values: list[Any]) -> Any:
    if set(map(type, values)) == {str}:  # most are: not gone through five times
        return "".join([f"<ITEM>{value}</ITEM>" for value in values])
    if any(isinstance(value, list) for value in values):
        if not all(isinstance(value, list) for value in values):
            raise ValueError("sum() cannot add lists and scalars to each other.")
        if len({len(value) for value in values}) > 1:
            raise ValueError("sum() expects lists of one length.")
        return [_sum(list(items)) for items in zip(*values, strict=True)]
    if any(value is None for value in values):
        raise TypeError("sum() cannot add None.")
    if all(isinstance(value, str) for value in values):
        return "".join(f"<ITEM>{value}</ITEM>" for value in values)
    if any(isinstance(value, str) for value in values):
        raise TypeError("sum() cannot add strings and numbers to each other.")
    return sum(values)
