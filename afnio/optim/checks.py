"""What code can check of a proposed value.  A value that fails is a fault of the reply, told to the model."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

from afnio.autodiff.template import placeholders
from afnio.calls.tokens import estimate
from afnio.models.contract import Fault
from afnio.optim.constraint import Constraint

__all__ = ["UNITS", "check_constraints", "check_value", "copied_passage", "length"]

RUN = 8
"""Words in a row that count as copied."""

UNITS = ("characters", "tokens")
"""What a length is measured in.  Tokens are estimated, a token for every four letters, so that every machine agrees."""

_WORD = r"[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # 4 ms to compile


async def check_value(
    value: Any,
    before: str,
    *,
    max_length: int | None = None,
    length_unit: str = "characters",
    constraints: Sequence[Any] = (),
    sources: Iterable[str] = (),
) -> str:
    """``value`` if it may take the place of ``before``.

    Args:
        value: the proposed text.
        before: the present text.
        max_length: greatest length; None: 10,000 characters, or four times the present length if that is more.
        length_unit: one of `UNITS`.
        constraints: those that are `Constraint` with a check are checked.
        sources: texts of training samples, of which no run of 8 words may be new in ``value``.

    Raises:
        Fault: what is wrong with it.
    """
    if not isinstance(value, str):
        raise Fault("'value' must be a string")
    if not value.strip():
        raise Fault("'value' is empty")
    _check_length(value, before, max_length, length_unit)
    _check_placeholders(value, before)
    await check_constraints(value, constraints)
    passage = copied_passage(value, before, sources)
    if passage is not None:
        raise Fault(f"'value' copies a training sample ({passage!r}); state the general rule instead")
    return value


async def check_constraints(value: Any, constraints: Sequence[Any]) -> None:
    """Have each constraint that has a check look at ``value``.

    Raises:
        Fault: one is broken.
    """
    for constraint in constraints:
        if isinstance(constraint, Constraint) and constraint.check is not None and not await _kept(constraint, value):
            raise Fault(f"'value' breaks the constraint: {constraint.text}")


def length(text: str, unit: str) -> int:
    """The length of ``text`` in one of `UNITS`."""
    return estimate(text) if unit == "tokens" else len(text)


def _check_length(value: str, before: str, most: int | None, unit: str) -> None:
    unit = "characters" if most is None else unit
    limit = max(10_000, 4 * len(before)) if most is None else most
    if (found := length(value, unit)) > limit:
        raise Fault(f"'value' has {found} {unit}; at most {limit} are allowed: shorten it by {found - limit} or more")


async def _kept(constraint: Constraint, value: Any) -> bool:
    """The verdict of the user's check, which may have to be asked for in another process."""
    verdict: Any = constraint.check(value) if constraint.check is not None else True
    return bool(await verdict if inspect.isawaitable(verdict) else verdict)


def _check_placeholders(value: str, before: str) -> None:
    had, has = placeholders(before), placeholders(value)
    dropped = [name for name in had if name not in has]
    if dropped:
        raise Fault(f"'value' drops the placeholder {', '.join(f'{{{name}}}' for name in dropped)}, which must stay")
    added = [name for name in has if name not in had]
    if added:
        raise Fault(f"'value' has the placeholder {', '.join(f'{{{name}}}' for name in added)}, which nothing fills")


def copied_passage(value: str, before: str, sources: Iterable[str]) -> str | None:
    """The first run of words that ``value`` has from a source and ``before`` has not, or None."""
    words = _words(value)
    known = _runs(_words(before))
    new = {run: start for start, run in reversed(list(enumerate(_windows(words, RUN)))) if run not in known}
    for source in sources:
        for run in _windows(_words(source), RUN):
            if run in new:
                return " ".join(run)
    return None


def _words(text: str) -> list[str]:
    return [word.casefold() for word in re.findall(_WORD, text)]


def _windows(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    return set(_windows(words, RUN))
