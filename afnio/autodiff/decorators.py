"""Decorators for Functions."""

from __future__ import annotations

from typing import TypeVar

from afnio.autodiff.function import Function

__all__ = ["evaluator"]

_F = TypeVar("_F", bound=type[Function])


def evaluator(cls: _F) -> _F:
    """Mark a Function as an evaluator: ``backward()`` may start at its outputs without a gradient.

    Raises:
        TypeError: ``cls`` is not a Function class.
    """
    if not isinstance(cls, type) or not issubclass(cls, Function):
        raise TypeError(f"@evaluator expects a subclass of Function, got {cls!r}.")
    cls._is_evaluator = True
    return cls
