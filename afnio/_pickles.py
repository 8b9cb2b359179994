"""Reading the pickles in checkpoints of old versions, without letting them run anything.

A pickle is a program: it names classes and functions, and calls them.  This unpickler knows the two Variable
classes, plain containers, and nothing else.  A name of a function is turned into an inert `_Name`, which cannot
be called; it becomes the function after the pickle has ended, by the rule of ``afnio._functions``.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

from afnio._functions import find_function
from afnio.errors import CheckpointError
from afnio.parameter import Parameter
from afnio.variable import Variable

__all__ = ["loads"]


class _OldVariable:
    """Takes the attributes an old pickle gives a Variable, whatever they are called."""

    variable_class: type[Variable] = Variable


class _OldParameter(_OldVariable):
    variable_class = Parameter


class _Name:
    """A function's name.  Not the function."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _reconstructor(cls: type, base: type, state: object) -> Any:
    """``copyreg._reconstructor``, which protocols 0 and 1 use, for the two Variable classes alone."""
    if cls not in (_OldVariable, _OldParameter) or base is not object:
        raise CheckpointError("it builds an object that is no Variable")
    return cls()


_ADMITTED: dict[tuple[str, str], Any] = {
    ("afnio._variable", "Variable"): _OldVariable,
    ("afnio.cognitive.parameter", "Parameter"): _OldParameter,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("copyreg", "_reconstructor"): _reconstructor,
    ("builtins", "object"): object,
    **{("builtins", cls.__name__): cls for cls in (bool, dict, float, frozenset, int, list, set, str, tuple)},
}


_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # protocols 0 to 2 write the names of Python 2


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What the pickle may call by this name."""
        module = _RENAMED.get(module, module)
        if (module, name) in _ADMITTED:
            return _ADMITTED[module, name]
        if find_function(f"{module}:{name}") is not None:
            return _Name(f"{module}:{name}")
        raise CheckpointError(
            f"it is of an old version and names {module}.{name}, which is neither a Variable nor a plain container. "
            "If that is a function of yours, import its module before load()"
        )


def loads(content: bytes) -> Any:
    """The object in an old pickle.

    Raises:
        CheckpointError: it names anything but Variables, plain containers and functions of loaded modules, or
            is damaged.
    """
    try:
        return _Converter().convert(_Unpickler(io.BytesIO(content)).load())
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"its pickle is damaged: {error}") from error


class _Converter:
    """Makes today's objects out of what the unpickler built; what was one object stays one."""

    def __init__(self) -> None:
        self._made: dict[int, Variable] = {}

    def convert(self, value: Any) -> Any:
        kind = type(value)
        if kind in (_OldVariable, _OldParameter):
            return self._variable(value)
        if kind is _Name:
            return find_function(value.name)
        if kind in (list, tuple, set, frozenset):
            return kind(self.convert(item) for item in value)
        if kind in (dict, OrderedDict, defaultdict):
            return self._dict(value)
        if value is None or kind in (bool, int, float, str, bytes):
            return value
        raise CheckpointError(f"it holds a {kind.__name__}, which is neither a Variable nor a plain container")

    def _dict(self, value: dict[Any, Any]) -> dict[Any, Any]:
        made = _empty_like(value)
        for key, item in value.items():
            made[self.convert(key)] = self.convert(item)
        if isinstance(made, OrderedDict) and hasattr(value, "_metadata"):
            made._metadata = self.convert(value._metadata)  # type: ignore[attr-defined]
        return made

    def _variable(self, old: _OldVariable) -> Variable:
        if id(old) in self._made:
            return self._made[id(old)]
        state = vars(old)
        made = old.variable_class.__new__(old.variable_class)
        data = _without_tuples(state.get("_data", state.get("data")))
        Variable.__init__(made, data, state.get("role", ""), bool(state.get("requires_grad", False)))
        self._made[id(old)] = made  # before its gradients: they may name it
        made.grad = self.convert(state.get("_grad") or [])
        return made


def _empty_like(value: dict[Any, Any]) -> dict[Any, Any]:
    if isinstance(value, defaultdict):
        factory: Callable[[], Any] | None = value.default_factory
        return defaultdict(factory)
    return type(value)()


def _without_tuples(data: Any) -> Any:
    """Old Variables could hold tuples; ours hold lists."""
    return [_without_tuples(item) for item in data] if isinstance(data, (list, tuple)) else data
