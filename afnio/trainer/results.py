"""What a user's step returned, checked: the loss to learn from and the numbers to show."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from afnio.autodiff.loss import Score
from afnio.errors import StepError
from afnio.variable import Variable

__all__ = ["LOSS", "Result", "Value", "read_manual", "read_result"]

LOSS = "loss"

Value = float | list[float]


@dataclass(frozen=True, slots=True)
class Result:
    """What one call of a step returned.

    Attributes:
        explanation: where ``backward`` starts.
        values: metric -> its number, or one number for each sample; ``"loss"`` first.
        known: metric -> what its evaluator gave each sample, in the unit of the metric's number.
    """

    explanation: Any
    values: dict[str, Value]
    known: dict[str, list[float]] = field(default_factory=dict)


def read_result(returned: Any, where: str) -> Result:
    """Read what the step ``where`` returned.

    Raises:
        StepError: it cannot be used; the message says what was returned and what is expected.
    """
    extras: dict[str, Any] = {}
    loss = returned
    if isinstance(returned, dict):
        if LOSS not in returned:
            raise _rubbish(
                where, f"a dict without the key 'loss' (its keys: {', '.join(map(repr, returned)) or 'none'})"
            )
        extras = {name: value for name, value in returned.items() if name != LOSS}
        loss = returned[LOSS]
    if not isinstance(loss, tuple) or len(loss) != 2:
        raise _rubbish(where, f"{_described(loss)}{' under the key loss' if isinstance(returned, dict) else ''}")
    score, explanation = loss
    values = {LOSS: _numbers(score, LOSS, where)}
    if not isinstance(explanation, Variable):
        raise _rubbish(where, f"a loss whose explanation is {_described(explanation)}, not a Variable")
    values |= {str(name): _numbers(value, name, where) for name, value in extras.items()}
    known = {str(name): _known(value) for name, value in {LOSS: score, **extras}.items()}
    return Result(explanation, values, {name: numbers for name, numbers in known.items() if numbers})


def read_manual(returned: Any, where: str) -> dict[str, Value]:
    """The metrics that the step ``where`` returned, which optimizes by hand and need not return any.

    Raises:
        StepError: it returned something else.
    """
    if returned is None:
        return {}
    if not isinstance(returned, dict):
        returned = {LOSS: returned}
    values = {}
    for name, value in returned.items():
        is_loss = name == LOSS and isinstance(value, tuple) and len(value) == 2
        values[str(name)] = _numbers(value[0] if is_loss else value, name, where, _MANUAL)
    return {name: values[name] for name in sorted(values, key=lambda name: name != LOSS)}


def _known(value: Any) -> list[float]:
    """What each sample adds to ``value``, where that is the mean or the sum of an evaluator's scores."""
    if not isinstance(value, Score) or isinstance(value.data, list):
        return []
    scores = [float(score) for score in value.of_samples]
    total, size = math.fsum(scores), len(scores)
    weight = next((weight for weight in (1, size) if math.isclose(total * weight, value.data * size, abs_tol=1e-9)), 0)
    return [score * weight for score in scores] if weight else []


def _numbers(value: Any, name: Any, where: str, expected: str = "") -> Value:
    data = value.data if isinstance(value, Variable) else value
    if _is_number(data):
        return float(data)
    if isinstance(data, list) and data and all(map(_is_number, data)):
        return [float(item) for item in data]
    what = f"{_described(value)} as {name!r}, which is neither a number nor a list of numbers"
    raise _rubbish(where, what, expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _described(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Variable):
        return f"a Variable that holds {value.data!r:.80}"
    return f"{value!r:.80} ({type(value).__name__})"


_AUTOMATIC = (
    "the Loss of an evaluator, a tuple (score, explanation) of Variables, or a dict with such a loss under 'loss' and "
    "numbers under other names: return {'loss': loss, 'accuracy': 0.5}."
)
_MANUAL = (
    "a step that optimizes by hand returns nothing, a Loss, a number, or a dict of such: return {'accuracy': 0.5}."
)
_BY_HAND = " A step may return nothing only if it optimizes by hand: set automatic_optimization = False on the agent."


def _rubbish(where: str, what: str, expected: str = "") -> StepError:
    hint = _BY_HAND if what == "None" else ""
    return StepError(f"{where} returned {what}. Expected: {expected or _AUTOMATIC}{hint}")
