"""Modules that hold Modules: `ModuleList`, `ModuleDict`, `Sequential`.

Source: https://docs.pytorch.org/docs/stable/nn.html#containers
"""

from __future__ import annotations

import inspect
import operator
from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self, overload

from afnio.cognitive._repr import indent
from afnio.cognitive.module import Module

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


class _Numbered(Module):
    """Modules by position; their names are ``"0"``, ``"1"``, ..., unless they were given names."""

    _modules: dict[str, Module]  # type: ignore[assignment]

    def _name(self, index: int) -> str:
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range")
        return list(self._modules)[index]

    def _renumber(self, modules: Iterable[Module]) -> None:
        self._modules = {str(index): module for index, module in enumerate(modules)}

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        if isinstance(index, int):
            self._name(index)
        del modules[index]
        self._renumber(modules)

    def append(self, module: Module) -> Self:
        """Add a Module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add Modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{type(self).__name__}.extend should be called with an iterable, but got {type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a Module before the one at ``index``; those behind it move up.

        Raises:
            IndexError: ``index`` is out of range.
            TypeError: not a Module.
        """
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")
        if not isinstance(module, Module):
            raise TypeError(f"insert() expects a Module, got {type(module).__name__}.")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Module | Self:
        if isinstance(index, slice):
            return self._slice(index)
        return self._modules[self._name(index)]

    def _slice(self, index: slice) -> Self:
        raise NotImplementedError

    def pop(self, key: int | slice) -> Module | Self:
        """Take out a Module, or several."""
        taken = self[key]
        del self[key]
        return taken


class ModuleList(_Numbered):
    """Modules in a list, registered under ``"0"``, ``"1"``, ...

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _slice(self, index: slice) -> Self:
        return type(self)(list(self)[index])

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Equal neighbours are drawn once, as ``(0-3): 4 x ...``."""
        runs: list[tuple[int, int, str]] = []
        for index, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], index, text)
            else:
                runs.append((index, index, text))
        lines = [
            indent(f"({first}): {text}" if first == last else f"({first}-{last}): {last - first + 1} x {text}")
            for first, last, text in runs
        ]
        inside = "\n  ".join(lines)
        return f"{self._get_name()}(\n  {inside}\n)" if lines else f"{self._get_name()}()"


class Sequential(_Numbered):
    """Modules called one after the other, each with what the one before it returned.

    Takes Modules, or one OrderedDict of name -> Module.  If one of them is asynchronous, so is the call:
    ``output = await sequential(x)``; ``await sequential.acall(x)`` works in any case.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html
    """

    @overload
    def __init__(self, *modules: Module) -> None: ...

    @overload
    def __init__(self, modules: OrderedDict[str, Module], /) -> None: ...

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], OrderedDict):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    def _slice(self, index: slice) -> Self:
        return type(self)(OrderedDict(list(self._modules.items())[index]))

    def __add__(self, other: Sequential) -> Sequential:
        _check_sequential(other)
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Self:
        _check_sequential(other)
        return self.extend(other)

    def __mul__(self, times: int) -> Sequential:
        _check_times(self, times)
        return Sequential(*(module for _ in range(times) for module in self))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Self:
        _check_times(self, times)
        return self.extend(list(self) * (times - 1))

    def forward(self, input: Any) -> Any:
        """The output of the last Module."""
        modules = iter(list(self))
        for module in modules:
            input = module(input)
            if inspect.isawaitable(input):
                return _rest(input, modules)
        return input

    async def aforward(self, input: Any) -> Any:
        """`forward`, where each Module is awaited."""
        for module in list(self):
            input = await module.acall(input)
        return input


async def _rest(pending: Any, modules: Iterator[Module]) -> Any:
    value = await pending
    for module in modules:
        value = module(value)
        if inspect.isawaitable(value):
            value = await value
    return value


def _check_sequential(other: object) -> None:
    if not isinstance(other, Sequential):
        raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")


def _check_times(sequential: Sequential, times: object) -> None:
    if not isinstance(times, int):
        raise TypeError(f"unsupported operand type(s) for *: {type(sequential)} and {type(times)}")
    if times <= 0:
        raise ValueError(f"Non-positive multiplication factor {times} for {type(sequential)}")


class ModuleDict(Module):
    """Modules by name, in the order they were added.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleDict.html
    """

    _modules: dict[str, Module]  # type: ignore[assignment]

    def __init__(self, modules: Mapping[str, Module] | ModuleDict | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Take out all Modules."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Take out one Module and return it."""
        return self._modules.pop(key)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> ValuesView[Module]:
        """The Modules."""
        return self._modules.values()

    def items(self) -> ItemsView[str, Module]:
        """``(name, module)``."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | ModuleDict | Iterable[tuple[str, Module]]) -> None:
        """Add Modules from a mapping or from ``(name, module)`` pairs; names that are there are overwritten."""
        if isinstance(modules, (Mapping, ModuleDict)):
            pairs: Iterable[Any] = modules.items()
        elif isinstance(modules, Iterable):
            pairs = modules
        else:
            raise TypeError(
                "ModuleDict.update should be called with an iterable of key/value pairs, "
                f"but got {type(modules).__name__}"
            )
        for index, pair in enumerate(pairs):
            if not isinstance(pair, Iterable):
                raise TypeError(
                    f"ModuleDict update sequence element #{index} should be Iterable; is {type(pair).__name__}"
                )
            items = list(pair)
            if len(items) != 2:
                raise ValueError(f"ModuleDict update sequence element #{index} has length {len(items)}; 2 is required")
            self[items[0]] = items[1]
