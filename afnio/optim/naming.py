"""What a parameter is called where it is tracked, if nobody named it: its role."""

from __future__ import annotations

import itertools
from typing import Any
from weakref import WeakKeyDictionary

from afnio.variable import Variable

__all__ = ["name_by_role"]

_given: WeakKeyDictionary[Any, dict[str, Variable]] = WeakKeyDictionary()
"""Tracker -> name -> parameter.  By tracker, because the next Run begins its names anew."""


def name_by_role(tracker: Any, param: Variable) -> str:
    """The role of ``param``; with a number where ``tracker`` knows another parameter by it."""
    role = param.role or "parameter"
    try:
        taken = _given.setdefault(tracker, {})
    except TypeError:  # it cannot be referenced weakly, or has no hash: roles as they are
        return role
    for number in itertools.count(1):
        name = role if number == 1 else f"{role} ({number})"
        if taken.setdefault(name, param) is param:
            return name
    raise AssertionError  # count() does not end
