"""`Choice` and `Number`: parameters that are no text, and `Domain`, which says what they may be.

A model's name, a strategy, a temperature: an optimizer proposes a value for them by a schema, and none that is
outside of the domain is ever held.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from afnio.parameter import Parameter
from afnio.variable import Variable

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Choice", "Domain", "Number"]

Option = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Domain:
    """What a value may be: one of some options, or a number in a range.

    Attributes:
        options: the options, or None: it is a number.
        low: the least number.
        high: the greatest.
        step: numbers are ``low``, ``low + step``, ...; None: any in between.
        integer: whole numbers only.
    """

    options: tuple[Any, ...] | None = None
    low: float = 0
    high: float = 0
    step: float | None = None
    integer: bool = False

    def check(self, value: Any) -> Any:
        """``value`` as it is held: an option as it was given, a number as int or float.

        Raises:
            ValueError: it is outside; the message says what is inside.
        """
        return self._option(value) if self.options is not None else self._number(value)

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a value."""
        if self.options is not None:
            return {"enum": list(self.options)}
        return {"type": "integer" if self.integer else "number", "minimum": self.low, "maximum": self.high}

    def in_words(self) -> str:
        """What is inside, for people and models."""
        if self.options is not None:
            return "one of " + ", ".join(map(repr, self.options))
        kind = "a whole number" if self.integer else "a number"
        grid = "" if self.step is None or (self.integer and self.step == 1) else f", in steps of {self.step:g}"
        return f"{kind} from {self.low:g} to {self.high:g}{grid}"

    def _option(self, value: Any) -> Any:
        for option in self.options or ():
            if option == value and isinstance(option, bool) == isinstance(value, bool):
                return option
        raise ValueError(f"{value!r:.100} is not {self.in_words()}")

    def _number(self, value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{value!r:.100} is not {self.in_words()}")
        number = float(value)
        if self.step is not None:
            number = self._on_grid(number)
        whole = self.integer and number == round(number)
        if not self.low <= number <= self.high or (self.integer and not whole):
            raise ValueError(f"{value!r:.100} is not {self.in_words()}")
        return int(number) if self.integer else number

    def _on_grid(self, number: float) -> float:
        """``number`` without the dust of binary fractions: 0.1 + 0.2 is on a grid of 0.1."""
        assert self.step is not None
        nearest = round((number - self.low) / self.step) * self.step + self.low
        if not math.isclose(nearest, number, rel_tol=1e-9, abs_tol=1e-9 * self.step):
            raise ValueError(f"{number!r} is not {self.in_words()}")
        rounded = round(nearest, 12)
        ends = [end for end in (self.low, self.high) if math.isclose(rounded, end, rel_tol=1e-9)]
        return float(ends[0]) if ends else rounded


class _Bounded(Parameter):
    """A parameter with a domain: a value outside of it is refused wherever it comes from."""

    __slots__ = ()

    @property
    def domain(self) -> Domain:
        """What the value may be."""
        raise NotImplementedError

    def checked(self, value: Any) -> Any:
        """``value`` as it is held.

        Raises:
            ValueError: it is outside of the domain.
        """
        try:
            return self.domain.check(value)
        except ValueError as error:
            named = f" {self.role!r}" if self.role else ""
            raise ValueError(f"The {type(self).__name__}{named} cannot be that: {error}.") from None

    def copy_(self, src: Variable) -> Self:
        """Take over data, role and ``requires_grad`` of ``src``; the domain stays.

        Raises:
            TypeError: ``src`` is not a Variable.
            ValueError: its value is outside of the domain.
        """
        if isinstance(src, Variable):
            self.checked(src.data)
        return super().copy_(src)

    def __iadd__(self, other: Variable) -> Self:
        raise TypeError(f"A {type(self).__name__} cannot be added to in place: write a + b, or set its data.")

    def __repr__(self) -> str:
        inside = self.domain.in_words()
        return (
            f"{type(self).__name__}(data={self.data!r}, {inside}, role={self.role}, requires_grad={self.requires_grad})"
        )


class Choice(_Bounded):
    """A learnable value that is one of some options: a model's name, a strategy.

    Args:
        options: what it may be: strings, numbers or booleans; no two are equal.
        value: the start value; None: the first option.
        role: what it is for, in words: the optimizer reads it.
        requires_grad: False keeps it as it is.

    ``data`` is the option itself, so that it can be given where the plain value can: ``chat(..., model=self.model)``.

    Raises:
        ValueError: no options, two equal ones, or a value that is none of them.  Later values are checked too.
        TypeError: ``options`` is no list, or one of them is neither string, number nor boolean.
    """

    __slots__ = ("options",)

    _extra: ClassVar[tuple[str, ...]] = ("options",)

    options: tuple[Any, ...]

    def __init__(
        self,
        options: Sequence[Option],
        value: Option | None = None,
        role: str | None = None,
        requires_grad: bool = True,
    ) -> None:
        self.options = _checked_options(options)
        super().__init__(None, role, requires_grad)
        self._data = self.checked(self.options[0] if value is None else value)

    @property
    def domain(self) -> Domain:
        """One of the options."""
        return Domain(options=tuple(self.options))


class Number(_Bounded):
    """A learnable number in a range: a temperature, the ``k`` of a retriever.

    Args:
        value: the start value.
        low: the least it may be.
        high: the most.
        step: it is ``low``, ``low + step``, ``low + 2 * step``, ...; None: anything in between.
        integer: whole numbers only; None: if ``value``, ``low``, ``high`` and ``step`` are ints.
        role: what it is for, in words: the optimizer reads it.
        requires_grad: False keeps it as it is.

    ``data`` is the plain number, an ``int`` for whole numbers, else a ``float``.

    Raises:
        ValueError: the range is empty, or the value is outside or between two steps.  Later values are checked too.
        TypeError: one of them is no number.
    """

    __slots__ = ("high", "integer", "low", "step")

    _extra: ClassVar[tuple[str, ...]] = ("low", "high", "step", "integer")

    low: float
    high: float
    step: float | None
    integer: bool

    def __init__(
        self,
        value: float,
        low: float,
        high: float,
        step: float | None = None,
        *,
        integer: bool | None = None,
        role: str | None = None,
        requires_grad: bool = True,
    ) -> None:
        given = {"value": value, "low": low, "high": high} | ({} if step is None else {"step": step})
        for name, number in given.items():
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                raise TypeError(f"The {name} of a Number is a number, got {type(number).__name__}.")
            if not math.isfinite(number):
                raise ValueError(f"The {name} of a Number must be finite, got {number!r}.")
        if low > high:
            raise ValueError(f"A Number needs low <= high, got low={low!r} and high={high!r}.")
        if step is not None and step <= 0:
            raise ValueError(f"step must be greater than 0, got {step!r}.")
        self.low, self.high, self.step = low, high, step
        self.integer = all(isinstance(number, int) for number in given.values()) if integer is None else integer
        super().__init__(None, role, requires_grad)
        self._data = self.checked(value)

    @property
    def domain(self) -> Domain:
        """The range."""
        return Domain(None, self.low, self.high, self.step, self.integer)


def _checked_options(options: Any) -> tuple[Any, ...]:
    if isinstance(options, (str, bytes)) or not isinstance(options, Sequence):
        raise TypeError(f"options must be a list of values, got {type(options).__name__}: write Choice(['a', 'b']).")
    found = tuple(options)
    for option in found:
        if not isinstance(option, (str, int, float)) or (isinstance(option, float) and not math.isfinite(option)):
            raise TypeError(f"An option is a string, a finite number or a boolean, got {option!r:.100}.")
    if not found:
        raise ValueError("A Choice needs at least one option.")
    kinds = [(isinstance(option, bool), option) for option in found]
    if len(set(kinds)) != len(kinds):
        raise ValueError(f"Two options of a Choice are equal: {list(found)!r:.200}.")
    return found
