"""Whether operations build a graph: a flag of the current context (thread or task).

Source: https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType

__all__ = ["enable_grad", "is_grad_enabled", "no_grad", "set_grad_enabled"]

_enabled: ContextVar[bool] = ContextVar("afnio_grad_enabled", default=True)


def is_grad_enabled() -> bool:
    """Whether operations build a graph in this context."""
    return _enabled.get()


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Build no graph inside the ``with`` block or the decorated function."""
    token = _enabled.set(False)
    try:
        yield
    finally:
        _enabled.reset(token)


@contextlib.contextmanager
def enable_grad() -> Iterator[None]:
    """Build the graph again inside a ``no_grad`` block."""
    token = _enabled.set(True)
    try:
        yield
    finally:
        _enabled.reset(token)


class set_grad_enabled:  # noqa: N801  # torch's name
    """Switch the building of graphs on or off, for good or for a ``with`` block.

    Args:
        mode: True builds graphs.

    Raises:
        TypeError: ``mode`` is not a bool.
    """

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"set_grad_enabled expects a bool, got {type(mode).__name__}.")
        self._before = _enabled.get()
        _enabled.set(mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _enabled.set(self._before)
