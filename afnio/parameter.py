"""`Parameter`: a Variable that a Module registers and an optimizer rewrites."""

from __future__ import annotations

from typing import Any

from afnio._types import Data
from afnio.trial import tried
from afnio.variable import Variable, _checked

__all__ = ["Parameter"]


class Parameter(Variable):
    """A learnable value, most often a prompt.

    Assigned to an attribute of a `Module` it is registered by itself and appears in ``parameters()``.

    Args:
        data: the start value; see `Variable`.
        role: what the value is for, in words: the optimizer reads it.
        requires_grad: False keeps it as it is.

    See also `Choice` and `Number` for values that are no text, and `Demos` for examples.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
    """

    __slots__ = ()

    def __init__(self, data: Data = None, role: str | None = None, requires_grad: bool = True) -> None:
        super().__init__(data, "" if role is None else role, requires_grad)

    @property
    def data(self) -> Any:
        """The value itself; inside a search's trial the value that is tried."""
        here = tried(self)
        return self._data if here is None else here.data

    @data.setter
    def data(self, value: Data) -> None:
        checked, here = self.checked(value), tried(self)
        if here is None:
            self._data = checked
        else:
            here.data = checked

    @property
    def grad(self) -> list[Variable]:
        """The gradients; see `Variable.grad`."""
        here = tried(self)
        return super().grad if here is None else here.grad

    @grad.setter
    def grad(self, value: list[Variable]) -> None:
        Variable.grad.__set__(self, value)  # type: ignore[attr-defined]  # super() has no setters

    def checked(self, value: Any) -> Any:
        """``value`` as this parameter holds it.

        Raises:
            TypeError: it is none of what a Variable holds.
            ValueError: it is none of what this parameter may be.
        """
        return _checked(value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        other = super().__deepcopy__(memo)
        assert isinstance(other, Parameter)
        return other

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
