"""Functions by name: how a checkpoint holds a function without holding code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType
from typing import Any

__all__ = ["find_function", "function_name"]

_PURE = {
    "builtins": {"abs", "all", "any", "len", "max", "min", "round", "sorted", "sum"},
    "math": {"fsum", "isclose", "prod", "sqrt"},
    "statistics": {"fmean", "mean", "median", "mode"},
    "_operator": {"add", "eq", "mul", "sub"},
}
"""Functions of the standard library that a file may name: they compute, and do nothing else."""


def function_name(function: object) -> str | None:
    """``"module:qualified name"`` of a function that `find_function` will find again; None if it will not."""
    if not isinstance(function, (FunctionType, BuiltinFunctionType)):
        return None
    name = f"{function.__module__}:{function.__qualname__}"
    return name if find_function(name) is function else None


def find_function(name: str) -> Callable[..., Any] | None:
    """The function of that name; None if a file may not name it, or if it is not there.

    A file must not be able to make us run or import anything.  So nothing is imported: the module must be
    loaded already.  The function must be a plain Python function defined in that very module.  Of the
    standard library only a few that compute and do nothing else will do (``os.system`` will not).
    """
    module_name, _, qualname = name.partition(":")
    module = sys.modules.get(module_name)
    if qualname in _PURE.get(module_name, ()):
        return getattr(module, qualname, None)
    if module_name.partition(".")[0] in sys.stdlib_module_names:
        return None
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    if isinstance(found, staticmethod):
        found = found.__func__
    if not isinstance(found, FunctionType) or (found.__module__, found.__qualname__) != (module_name, qualname):
        return None
    return found
