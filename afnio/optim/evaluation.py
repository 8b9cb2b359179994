"""`Evaluation`: what a closure says of the values that are tried, sample by sample."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from afnio.autodiff.graph import Node
from afnio.variable import Variable

__all__ = ["Evaluation", "all_right", "evaluators", "nodes_behind", "read_evaluation"]


@dataclass(slots=True)
class Evaluation:
    """How well the present values of the parameters did.

    A closure may return one itself, to name its samples or to score what no evaluator scored.

    Attributes:
        scores: one number for each sample, higher is better.
        samples: their ids, where they have any: a sample that comes again is then known again.
        roots: where ``backward`` starts, for feedback on the parameters.
        returned: what the closure returned.
    """

    scores: Sequence[float]
    samples: Sequence[str] | None = None
    roots: Sequence[Variable] = ()
    returned: Any = None
    grads: list[list[Variable]] = field(default_factory=list)

    def named(self, fallback: str) -> dict[str, float]:
        """Sample id -> score; those without an id are named by ``fallback`` and their position."""
        names = self.samples or [f"{fallback}{index}" for index in range(len(self.scores))]
        return dict(zip(names, map(float, self.scores), strict=True))


def read_evaluation(returned: Any) -> Evaluation:
    """What a closure returned, as scores of samples.

    Args:
        returned: an `Evaluation`; a `Loss`, or several in a list; a dict that has one under ``"loss"``; a score or a
            list of them, in a Variable or not.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(returned, Evaluation):
        _check_numbers(list(returned.scores), returned)
        return returned
    loss = returned["loss"] if isinstance(returned, dict) and "loss" in returned else returned
    losses = list(loss) if isinstance(loss, list) and loss and all(map(_is_loss, loss)) else [loss]
    if not all(map(_is_loss, losses)):
        return Evaluation(_numbers(loss), None, _roots([loss]), returned)
    read = [_sample_scores(one) for one in losses]
    scores = [score for numbers, _ in read for score in numbers]
    names = [name for _, samples in read for name in samples or ()]
    distinct = len(names) == len(scores) == len(set(names))
    return Evaluation(scores, names if distinct else None, _roots([one[1] for one in losses]), returned)


def nodes_behind(roots: Sequence[Variable]) -> Iterator[Node]:
    """Every node of the graph behind ``roots``, once, nearest first."""
    waiting = deque(root.grad_fn for root in roots if root.grad_fn is not None)
    seen: set[int] = set()
    while waiting:
        node = waiting.popleft()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        waiting.extend(edge.node for edge in node.next_functions if edge.node is not None)


def evaluators(roots: Sequence[Variable]) -> list[Node]:
    """The evaluators behind ``roots``, those that say the score of each sample."""
    return [
        node
        for node in nodes_behind(roots)
        if node.ctx is not None and getattr(node.op, "_is_evaluator", False) and hasattr(node.ctx, "scored")
    ]


def all_right(evaluation: Evaluation) -> bool:
    """Whether the evaluators found nothing to improve; False where there is none that says so."""
    judges = evaluators(evaluation.roots)
    return bool(judges) and all(all(node.ctx.evaluation[1]) for node in judges)


def _sample_scores(loss: tuple[Variable, Variable]) -> tuple[list[float], Sequence[str] | None]:
    """The score of each sample, if the evaluator is found, else the score of the whole; and the samples' ids."""
    found = evaluators([loss[1]])
    if len(found) == 1:
        scored, samples = found[0].ctx.scored, found[0].ctx.evaluation[2]
        known = samples if samples and len(samples) == len(scored) else None
        return [float(score) for score, _ in scored], known
    return _numbers(loss[0]), None


def _roots(given: Sequence[Any]) -> list[Variable]:
    return [one for one in given if isinstance(one, Variable) and one.grad_fn is not None]


def _is_loss(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, Variable) for part in value)


def _numbers(value: Any) -> list[float]:
    data = value.data if isinstance(value, Variable) else value
    numbers = list(data) if isinstance(data, (list, tuple)) else [data]
    _check_numbers(numbers, value)
    return [float(number) for number in numbers]


def _check_numbers(numbers: list[Any], value: Any) -> None:
    if not numbers or not all(isinstance(number, (int, float)) and not math.isnan(number) for number in numbers):
        raise TypeError(
            f"A closure that tries values returns the Loss of an evaluator, a list of them, scores or an Evaluation; "
            f"got {value!r:.100}. Return the loss, without calling backward()."
        )
