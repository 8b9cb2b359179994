"""A check before a call is paid for: feedback will be wanted through it, so somebody must write that feedback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from afnio.autodiff.grad_mode import is_grad_enabled
from afnio.models.backward_client import backward_is_missing, get_backward_model_client
from afnio.variable import Variable

__all__ = ["check_ahead"]


def check_ahead(*given: Any) -> None:
    """Raise `NoBackwardModelError` where a Trainer will want feedback on a Variable in ``given``, and nobody writes it.

    Args:
        given: messages, inputs, tools, completion arguments; lists and dicts are looked through.
    """
    if backward_is_missing() and is_grad_enabled() and any(each.requires_grad for each in _variables(given)):
        get_backward_model_client()


def _variables(given: Any) -> Iterator[Variable]:
    """The Variables in lists, tuples, dicts, and in the descriptions of tools."""
    if isinstance(given, Variable):
        yield given
    elif isinstance(given, dict):
        for value in given.values():
            yield from _variables(value)
    elif isinstance(given, (list, tuple)):
        for item in given:
            yield from _variables(item)
    elif isinstance(getattr(given, "description", None), Variable):
        yield given.description
