"""Modules that hold Parameters: `ParameterList`, `ParameterDict`.

Source: https://docs.pytorch.org/docs/stable/nn.html#containers
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Self, overload

from afnio.cognitive.module import Module
from afnio.parameter import Parameter
from afnio.variable import Variable

__all__ = ["ParameterDict", "ParameterList"]


def _parameter(value: object) -> Parameter:
    """``value``, if it is a Parameter; a Variable is made one, as torch does with a tensor."""
    if isinstance(value, Parameter):
        return value
    if isinstance(value, Variable):
        return Parameter(value.data, value.role)
    raise TypeError(f"It holds Parameters, got {type(value).__name__}. Wrap it: cog.Parameter({value!r}, role=...).")


def _lines(named: Iterable[tuple[Any, Variable]]) -> str:
    # str, not repr: prompts are long, and str shortens them
    return "\n".join(f"({name}): Parameter containing: {variable}" for name, variable in named)


class ParameterList(Module):
    """Parameters in a list, registered under ``"0"``, ``"1"``, ...: the few examples of a prompt, for instance.

    Raises:
        TypeError: an item is neither Parameter nor Variable.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ParameterList.html
    """

    def __init__(self, values: Iterable[Variable] | None = None) -> None:
        super().__init__()
        if values is not None:
            self.extend(values)

    def _name(self, index: int) -> str:
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range")
        return str(index % len(self))

    @overload
    def __getitem__(self, index: int) -> Parameter: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Parameter | Self:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._value(self._name(index))

    def _value(self, name: str) -> Parameter:
        value = self._parameters[name]
        assert value is not None
        return value

    def __setitem__(self, index: int, value: Variable) -> None:
        self._parameters[self._name(index)] = _parameter(value)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter([self._value(str(index)) for index in range(len(self))])

    def __iadd__(self, values: Iterable[Variable]) -> Self:
        return self.extend(values)

    def append(self, value: Variable) -> Self:
        """Add a Parameter at the end."""
        self.register_parameter(str(len(self)), _parameter(value))
        return self

    def extend(self, values: Iterable[Variable]) -> Self:
        """Add Parameters at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Variable):
            raise TypeError(f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}")
        for value in [_parameter(value) for value in values]:
            self.append(value)
        return self

    def extra_repr(self) -> str:
        """One line for each Parameter."""
        return _lines(enumerate(self))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module, MutableMapping[str, Parameter]):
    """Parameters by name, in the order they were added.

    A dict, but that ``pop`` and ``popitem`` take the Parameter out of the agent too.

    Raises:
        TypeError: a name is no text, or a value neither Parameter nor Variable.
        KeyError: a name has a dot, is empty, or is an attribute of the class (``"train"``).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ParameterDict.html
    """

    __hash__ = Module.__hash__

    def __init__(self, parameters: Mapping[str, Variable] | Iterable[tuple[str, Variable]] | None = None) -> None:
        super().__init__()
        if parameters is not None:
            self.update(parameters)  # type: ignore[arg-type]  # Variables become Parameters

    def __eq__(self, other: object) -> bool:
        return self is other  # a Module is itself, whatever it holds

    def __getitem__(self, key: str) -> Parameter:
        value = self._parameters[key]
        assert value is not None
        return value

    def __setitem__(self, key: str, value: Variable) -> None:
        self.register_parameter(key, _parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._parameters[key]

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._parameters)

    def popitem(self) -> tuple[str, Parameter]:
        """Take out the Parameter added last."""
        if not self:
            raise KeyError("the ParameterDict is empty")
        key = next(reversed(self))
        return key, self.pop(key)

    def copy(self) -> ParameterDict:
        """Another ParameterDict with the same Parameters."""
        return ParameterDict(OrderedDict(self))

    def __or__(self, other: Mapping[str, Variable]) -> ParameterDict:
        return ParameterDict([*self.items(), *other.items()])

    def __ior__(self, other: Mapping[str, Variable]) -> Self:
        self.update(other)  # type: ignore[arg-type]
        return self

    def extra_repr(self) -> str:
        """One line for each Parameter."""
        return _lines(self.items())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ParameterDict should not be called.")
