"""Per-sample masks: which samples of a batch go on, and why the others stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, overload

from afnio._content_blocks import StopReason

__all__ = ["BoolMask", "StopReasonView", "last_stop_reason"]


class BoolMask:
    """One bool for each sample of a batch.

    ``~``, ``&``, ``|``, ``^``, ``==`` and ``!=`` work sample by sample, with another mask or a list of bools.  A mask
    has no truth of its own: ask ``any()`` or ``all()``.

    Raises:
        TypeError: an item is no bool.
        ValueError: masks of different lengths; ``bool(mask)``.
    """

    __slots__ = ("values",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: Iterable[bool]) -> None:
        self.values = list(values)
        for value in self.values:
            if not isinstance(value, bool):
                raise TypeError(f"A mask holds bools, got {value!r:.100}.")

    def any(self) -> bool:
        """Whether one is True."""
        return any(self.values)

    def all(self) -> bool:
        """Whether all are True."""
        return all(self.values)

    def __invert__(self) -> BoolMask:
        return BoolMask(not value for value in self.values)

    def __and__(self, other: Any) -> BoolMask:
        return self._with(other, lambda x, y: x and y)

    def __or__(self, other: Any) -> BoolMask:
        return self._with(other, lambda x, y: x or y)

    def __xor__(self, other: Any) -> BoolMask:
        return self._with(other, lambda x, y: x != y)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, (BoolMask, list, tuple)):
            return NotImplemented
        return _Comparison(self._with(other, lambda x, y: x == y).values)

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else _Difference((~equal).values)

    def _with(self, other: Any, rule: Callable[[bool, bool], bool]) -> BoolMask:
        if not isinstance(other, (BoolMask, list, tuple)):
            raise TypeError(f"A mask goes with a mask or a list of bools, got {type(other).__name__}.")
        if len(other) != len(self.values):
            raise ValueError(f"The masks differ in length: {len(self.values)} and {len(other)} samples.")
        return BoolMask(rule(x, y) for x, y in zip(self.values, BoolMask(other).values, strict=True))

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[bool]:
        return iter(self.values)

    @overload
    def __getitem__(self, index: int) -> bool: ...
    @overload
    def __getitem__(self, index: slice) -> BoolMask: ...
    def __getitem__(self, index: int | slice) -> bool | BoolMask:
        return BoolMask(self.values[index]) if isinstance(index, slice) else self.values[index]

    def __bool__(self) -> bool:
        raise ValueError("A mask has one truth for each sample. Write mask.any() or mask.all().")

    def __repr__(self) -> str:
        return f"BoolMask({self.values})"


class _Comparison(BoolMask):
    """What ``==`` gives: a mask, with the truth that an ``assert`` asks for."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return all(self.values)


class _Difference(BoolMask):
    """What ``!=`` gives."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return any(self.values)


class StopReasonView(Sequence[StopReason | None]):
    """Why each sample of a batch stopped; None: it was not asked.

    ``view == "tool_use"`` and ``!=`` give a `BoolMask`.
    """

    __slots__ = ("_reasons",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, reasons: Iterable[StopReason | str | None]) -> None:
        self._reasons = [None if reason is None else StopReason(reason) for reason in reasons]

    def __eq__(self, other: object) -> Any:
        if isinstance(other, (list, tuple, StopReasonView)):
            if len(other) != len(self):
                raise ValueError(f"The stop reasons differ in length: {len(self)} and {len(other)} samples.")
            return _Comparison(mine == theirs for mine, theirs in zip(self._reasons, other, strict=True))
        return BoolMask(reason == other for reason in self._reasons)

    def __ne__(self, other: object) -> Any:
        equal = self == other
        return _Difference((~equal).values) if isinstance(equal, _Comparison) else ~equal

    def __len__(self) -> int:
        return len(self._reasons)

    @overload
    def __getitem__(self, index: int) -> StopReason | None: ...
    @overload
    def __getitem__(self, index: slice) -> StopReasonView: ...
    def __getitem__(self, index: int | slice) -> StopReason | StopReasonView | None:
        return StopReasonView(self._reasons[index]) if isinstance(index, slice) else self._reasons[index]

    def __bool__(self) -> NoReturn:
        raise ValueError("Stop reasons have no truth of their own. Compare them: (reasons == 'tool_use').any().")

    def __repr__(self) -> str:
        return f"StopReasonView({[None if reason is None else reason.value for reason in self._reasons]})"


def last_stop_reason(batch_of_threads: Sequence[Sequence[Mapping[str, Any]]]) -> StopReasonView:
    """Of each conversation the ``_stop_reason`` of its last message; None where that is not the assistant's."""
    last = [thread[-1] if thread else {} for thread in batch_of_threads]
    return StopReasonView(
        message.get("_stop_reason") if message.get("role") == "assistant" else None for message in last
    )
