"""What a user's step returned, checked: the loss to learn from and the numbers to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from afnio.errors import StepError
from afnio.variable import Variable

__all__ = ["LOSS", "Result", "read_result"]

LOSS = "loss"

Value = float | list[float]


@dataclass(frozen=True, slots=True)
class Result:
    """What one call of a step returned.

    Attributes:
        explanation: where ``backward`` starts.
        values: metric -> its number, or one number for each sample; ``"loss"`` first.
    """

    explanation: Any
    values: dict[str, Value]


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
    return Result(explanation, values | {str(name): _numbers(value, name, where) for name, value in extras.items()})


def _numbers(value: Any, name: Any, where: str) -> Value:
    data = value.data if isinstance(value, Variable) else value
    if _is_number(data):
        return float(data)
    if isinstance(data, list) and data and all(map(_is_number, data)):
        return [float(item) for item in data]
    raise _rubbish(where, f"{_described(value)} as {name!r}, which is neither a number nor a list of numbers")


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


def _rubbish(where: str, what: str) -> StepError:
    return StepError(
        f"{where} returned {what}. Expected: the Loss of an evaluator, a tuple (score, explanation) of Variables, or a "
        f"dict with such a loss under 'loss' and numbers under other names: return {{'loss': loss, 'accuracy': 0.5}}."
    )
