"""Checks of the shapes that messages, sequences and functions must have.

Each ``_validate_...`` returns nothing or raises; each ``is_...`` says yes or no and never raises.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

from afnio.variable import Variable

__all__ = [
    "MultiTurnMessages",
    "_is_valid_function",
    "_validate_function",
    "_validate_multi_turn_messages",
    "_validate_typed_sequence",
    "is_multi_turn_messages",
]

MultiTurnMessages: TypeAlias = list[dict[str, Any]]
"""A conversation: ``[{"role": "system", "content": [Variable, ...]}, ...]``."""


def _validate_typed_sequence(
    value: object,
    item_type: type | tuple[type, ...],
    allow_tuple: bool = False,
    allow_single: bool = False,
    input_name: str | None = None,
) -> None:
    """Check that ``value`` is a list (or, if allowed, a tuple or one item) of ``item_type``.

    Raises:
        TypeError: it is not; the message names ``input_name`` and the first item that does not fit.
    """
    if allow_single and isinstance(value, item_type):
        return
    name = input_name or "value"
    if not isinstance(value, (list, tuple) if allow_tuple else list):
        expected = _expected(item_type, allow_tuple, allow_single)
        raise TypeError(f"{name} must be {expected}, got {type(value).__name__}.")
    for index, item in enumerate(value):
        if not isinstance(item, item_type):
            raise TypeError(f"{name}[{index}] must be {_names(item_type)}, got {type(item).__name__}.")


def _expected(item_type: type | tuple[type, ...], allow_tuple: bool, allow_single: bool) -> str:
    sequence = "a list or tuple" if allow_tuple else "a list"
    single = f"{_names(item_type)} or " if allow_single else ""
    return f"{single}{sequence} of {_names(item_type)}"


def _names(item_type: type | tuple[type, ...]) -> str:
    types = item_type if isinstance(item_type, tuple) else (item_type,)
    return " or ".join(one.__name__ for one in types)


def _validate_multi_turn_messages(messages: object) -> None:
    """Check that ``messages`` is a list of ``{"role": str, "content": [Variable, ...]}``.

    Raises:
        TypeError: it is no list of dicts, a role is no string, or a content is no list of Variables.
        ValueError: a message has no ``"role"`` or no ``"content"``.
    """
    _validate_typed_sequence(messages, dict, input_name="messages")
    assert isinstance(messages, list)
    for index, message in enumerate(messages):
        for key in ("role", "content"):
            if key not in message:
                raise ValueError(f'messages[{index}] has no "{key}": it needs "role" and "content".')
        if not isinstance(message["role"], str):
            raise TypeError(f'messages[{index}]["role"] must be str, got {type(message["role"]).__name__}.')
        _validate_typed_sequence(message["content"], Variable, input_name=f'messages[{index}]["content"]')


def is_multi_turn_messages(value: object) -> bool:
    """Whether ``value`` is a conversation, be it an empty one."""
    try:
        _validate_multi_turn_messages(value)
    except (TypeError, ValueError):
        return False
    return True


def _validate_function(func: object) -> None:
    """Check that ``func`` can be saved by its name: a function at the top of a module, or a builtin.

    Raises:
        TypeError: a method, lambda, closure, class or other callable, or no callable at all.
        ValueError: it cannot be found again by its name, so it could not be loaded.
    """
    if inspect.ismethod(func) or _is_bound_builtin(func):
        raise TypeError(f"Expected a function, got the method {func!r}: define a function at the top of a module.")
    if not (inspect.isfunction(func) or inspect.isbuiltin(func)):
        raise TypeError(f"Expected a function, got {type(func).__name__}.")
    if func.__name__ == "<lambda>":
        raise TypeError("Expected a named function, got a lambda: define it with `def` at the top of a module.")
    if getattr(func, "__closure__", None):
        raise TypeError(
            f"{func.__qualname__} is a closure: it holds variables of the function around it and cannot be saved "
            "by its name. Define it at the top of a module."
        )
    _validate_importable(func)


def _is_bound_builtin(func: object) -> bool:
    owner = getattr(func, "__self__", None)
    return inspect.isbuiltin(func) and owner is not None and not isinstance(owner, ModuleType)


def _validate_importable(func: Callable[..., Any]) -> None:
    import pickle  # for those who ask

    try:
        pickle.dumps(func)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        name = getattr(func, "__qualname__", repr(func))
        raise ValueError(
            f"{name} cannot be found again by its name ({error}). Define it at the top of a module."
        ) from error


def _is_valid_function(func: object) -> bool:
    """Whether ``func`` is None or a function that can be saved by its name."""
    if func is None:
        return True
    try:
        _validate_function(func)
    except (TypeError, ValueError):
        return False
    return True
