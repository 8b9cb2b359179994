"""`Parameter`: a Variable that a Module registers and an optimizer rewrites."""

from __future__ import annotations

from typing import Any

from afnio._types import Data
from afnio.variable import Variable

__all__ = ["Parameter"]


class Parameter(Variable):
    """A learnable value, most often a prompt.

    Assigned to an attribute of a `Module` it is registered by itself and appears in ``parameters()``.

    Args:
        data: the start value; see `Variable`.
        role: what the value is for, in words: the optimizer reads it.
        requires_grad: False keeps it as it is.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
    """

    __slots__ = ()

    def __init__(self, data: Data = None, role: str | None = None, requires_grad: bool = True) -> None:
        super().__init__(data, "" if role is None else role, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        other = super().__deepcopy__(memo)
        assert isinstance(other, Parameter)
        return other

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
