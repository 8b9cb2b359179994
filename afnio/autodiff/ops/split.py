"""Split: one text in parts."""

from __future__ import annotations

from typing import Any

from afnio.autodiff.feedback import IDENTITY
from afnio.autodiff.function import Context, Function
from afnio.autodiff.ops._roles import bounded
from afnio.autodiff.ops._table import op
from afnio.variable import Variable

__all__ = ["Split"]


@op
class Split(Function):
    """``split(x, sep=None, maxsplit=-1)``: the parts of a text, as ``str.split`` makes them.

    Of a list each text is split; short ones are filled up with ``""``, and result i holds the i-th parts.
    ``sep`` and ``maxsplit`` may be Variables.  Part i has the role ``"split part {i} of <x's role>"``.

    Backward: the feedback on each part, unchanged, to ``x``.

    Raises:
        TypeError: ``x`` is not a Variable that holds text, ``sep`` no string, ``maxsplit`` no int.
        ValueError: an empty ``sep``.
    """

    is_linear = True

    @staticmethod
    def forward(
        ctx: Context, x: Variable, sep: str | Variable | None = None, maxsplit: int | Variable = -1
    ) -> tuple[Variable, ...]:
        """The parts of ``x``."""
        if not isinstance(x, Variable):
            raise TypeError(f"split() expects a Variable, got {type(x).__name__}.")
        separator, most = _plain(sep), _plain(maxsplit)
        if separator is not None and not isinstance(separator, str):
            raise TypeError(f"sep must be a string or None, got {type(separator).__name__}.")
        if not isinstance(most, int) or isinstance(most, bool):
            raise TypeError(f"maxsplit must be an int, got {type(most).__name__}.")
        return tuple(_part(data, index, x) for index, data in enumerate(_split(x.data, separator, most)))

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Variable) -> Any:
        """The feedback on all parts to ``x``."""
        return [grad for grad in grad_outputs if grad.data or grad is IDENTITY], None, None


def _plain(value: Any) -> Any:
    return value.data if isinstance(value, Variable) else value


def _part(data: Any, index: int, x: Variable) -> Variable:
    part = Variable(data, bounded(f"split part {index} of {x.role}"))
    part._samples = x._samples
    return part


def _split(data: Any, sep: str | None, maxsplit: int) -> list[Any]:
    if isinstance(data, str):
        return list(data.split(sep, maxsplit))
    if not isinstance(data, list) or not all(isinstance(text, str) for text in data):
        raise TypeError("split() expects a Variable that holds a string or a list of strings.")
    rows = [text.split(sep, maxsplit) for text in data]
    width = max(map(len, rows), default=0)
    return [[row[i] if i < len(row) else "" for row in rows] for i in range(width)]
