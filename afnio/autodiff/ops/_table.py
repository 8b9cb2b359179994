"""The decorator that enters a built-in op into the table of ops."""

from __future__ import annotations

from typing import TypeVar

from afnio import _dispatch
from afnio.autodiff.function import Function

__all__ = ["op"]

_F = TypeVar("_F", bound=type[Function])


def op(cls: _F) -> _F:
    """Mark ``cls`` as built in and enter it into the table under its name."""
    cls.built_in = True
    _dispatch.ops[cls.__name__] = cls
    return cls
