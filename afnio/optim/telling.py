"""`Update`, and what a tracker is told of it: each version of each parameter, with the feedback that led to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from afnio import _dispatch
from afnio.variable import Variable

__all__ = ["Update", "tell"]


@dataclass(frozen=True, slots=True)
class Update:
    """What a step did to one parameter.

    Attributes:
        parameter: the parameter.
        before: its data before the step.
        after: its data after it.
        reasoning: the model's reason.
        name: what the parameter is called where it is tracked.
        step: number of the step, from 1.
    """

    parameter: Variable
    before: Any
    after: Any
    reasoning: str
    name: str = ""
    step: int = 0


def tell(updates: Iterable[Update], grads: Mapping[int, Sequence[Variable]] | None = None) -> None:
    """Tell the current tracker, if there is one, of each update that changed something.

    Args:
        updates: the updates.
        grads: id of a parameter -> the feedback on it; those it does not name have theirs.
    """
    tracker = _dispatch.current_tracker()
    if tracker is None:
        return
    for update in updates:
        if update.after != update.before:
            tracker.event("prompt", _told(update, (grads or {}).get(id(update.parameter), update.parameter.grad)))


def _told(update: Update, grads: Sequence[Variable]) -> dict[str, Any]:
    given = {id(gradient): gradient for gradient in grads if gradient.data}
    return {
        "parameter": update.name,
        "role": update.parameter.role,
        "before": update.before,
        "after": update.after,
        "reasoning": update.reasoning,
        "gradients": [
            {"text": str(gradient.data), "samples": list(getattr(gradient, "samples", ()))}
            for gradient in given.values()
        ],
        "step": update.step,
    }
