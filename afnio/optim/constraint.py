"""`Constraint`: a rule an update must keep, told to the model and, where it can be, checked by code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from afnio.variable import Variable

__all__ = ["Constraint", "checked_constraints", "constraint_text", "max_words", "must_contain"]


class Constraint:
    """A rule that a new value must keep.

    Args:
        text: the rule, in words; the model reads it.
        check: ``check(value) -> bool``; a value it refuses is a fault of the reply, and the model is asked again.

    Raises:
        TypeError: ``check`` is no function.
        ValueError: there is no text.
    """

    __slots__ = ("check", "text")

    def __init__(self, text: str, check: Callable[[Any], bool] | None = None) -> None:
        if not isinstance(text, str) or not text.strip():
            raise ValueError("A constraint needs a text that says the rule.")
        if check is not None and not callable(check):
            raise TypeError(f"The check of a constraint is a function of the value, got {type(check).__name__}.")
        self.text = text
        self.check = check

    def __repr__(self) -> str:
        return f"Constraint({self.text!r}{'' if self.check is None else ', checked'})"


def max_words(count: int) -> Constraint:
    """At most ``count`` words; ValueError unless that is an int of at least 1."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"max_words(count): an int of at least 1 is wanted, got {count!r}.")
    return Constraint(f"The text has at most {count} words.", lambda value: len(value.split()) <= count)


def must_contain(phrase: str) -> Constraint:
    """``phrase`` stays in the text, letter by letter; ValueError unless it is a text that is not empty."""
    if not isinstance(phrase, str) or not phrase:
        raise ValueError(f"must_contain(phrase): a text that is not empty is wanted, got {phrase!r}.")
    return Constraint(f"The text contains, letter by letter: {phrase}", lambda value: phrase in value)


def constraint_text(constraint: Any) -> str:
    """The words of a constraint given as text, Variable or `Constraint`.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(constraint, Constraint):
        return constraint.text
    text = constraint.data if isinstance(constraint, Variable) else constraint
    if not isinstance(text, str):
        raise TypeError(
            f"A constraint is a string, a Variable that holds one, or a Constraint; got {type(text).__name__}."
        )
    return text


def checked_constraints(constraints: Any) -> list[Any]:
    """``constraints`` as a list; None is an empty one.

    Raises:
        TypeError: it is no list of constraints (one string, say).
    """
    if isinstance(constraints, (str, Variable, Constraint)) or not isinstance(constraints, Iterable | None):
        raise TypeError(f"constraints must be a list of constraints, got {type(constraints).__name__}: write [...].")
    given = list(constraints or ())
    for constraint in given:
        constraint_text(constraint)
    return given
