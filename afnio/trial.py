"""`trial`: other values for parameters, inside a ``with`` block only.

A search tries many values at once.  Parameters are shared by all tasks of a process, so a value is not written into
its parameter: it is ambient, a ContextVar, and each task that tries one sees its own.

Source: https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Tried", "trial", "tried"]


@dataclass(slots=True)
class Tried:
    """What a parameter is inside a trial.

    Attributes:
        data: its value.
        grad: the gradients it was given.
    """

    data: Any
    grad: list[Any] = field(default_factory=list)


_trial: ContextVar[dict[int, Tried] | None] = ContextVar("afnio_trial", default=None)


@contextmanager
def trial(values: Mapping[Any, Any]) -> Iterator[dict[int, Tried]]:
    """Inside the block the parameters in ``values`` have these values, and gradients of their own.

    Tasks and threads that copy the context see them too; nobody else does.

    Args:
        values: parameter -> value.  They are not checked: the parameter's own setter does that.

    Yields:
        id of each parameter -> its value and its gradients.
    """
    made = {id(parameter): Tried(value) for parameter, value in values.items()}
    token = _trial.set({**(_trial.get() or {}), **made})
    try:
        yield made
    finally:
        _trial.reset(token)


def tried(parameter: Any) -> Tried | None:
    """What ``parameter`` is in the trial under way, if there is one that changes it."""
    values = _trial.get()
    return None if values is None else values.get(id(parameter))
