"""What all evaluators share: pairing predictions with targets, scoring, and feedback made by code."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from afnio.autodiff.feedback import Pieces, given_pieces
from afnio.autodiff.function import Context
from afnio.autodiff.loss import Loss, Score
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = [
    "check_functions",
    "evaluate",
    "feedback_to_prediction",
    "pairs",
    "reduced",
    "right_samples",
    "scored",
    "text_of",
]


def text_of(value: str | Variable, name: str) -> str:
    """A purpose: non-empty text, in a Variable or not.

    Raises:
        TypeError: not text.
        ValueError: empty.
    """
    text = value.data if isinstance(value, Variable) else value
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a string or a Variable that holds one, got {type(text).__name__}.")
    if not text.strip():
        raise ValueError(f"{name} must not be empty: say in a few words what it is for.")
    return text


def pairs(prediction: Variable, target: Any) -> list[tuple[Any, Any]]:
    """(prediction, target) of each sample, as plain values.

    Raises:
        TypeError: ``prediction`` is no Variable, or ``target`` no text, list or Variable.
        ValueError: they differ in length, or one is a list and the other is not.
    """
    if not isinstance(prediction, Variable):
        raise TypeError(f"prediction must be a Variable, got {type(prediction).__name__}.")
    if not isinstance(target, (str, int, float, list, Variable)):
        raise TypeError(f"target must be a string, a list or a Variable, got {type(target).__name__}.")
    wanted = target.data if isinstance(target, Variable) else target
    if not isinstance(prediction.data, list) or not isinstance(wanted, list):
        if isinstance(prediction.data, list) or isinstance(wanted, list):
            raise ValueError("prediction and target must both be lists (a batch) or both be single values.")
        return [(prediction.data, wanted)]
    if len(prediction.data) != len(wanted):
        raise ValueError(f"prediction has {len(prediction.data)} items and target {len(wanted)}; give one for each.")
    if not wanted:
        raise ValueError("prediction and target are empty: there is nothing to evaluate.")
    return list(zip(prediction.data, wanted, strict=True))


def check_functions(success_fn: object, reduction_fn: object) -> None:
    """TypeError unless both are functions of a list of scores, or None; asked before anything is evaluated."""
    for name, given in (("success_fn", success_fn), ("reduction_fn", reduction_fn)):
        if given is not None and not callable(given):
            raise TypeError(f"{name} must be a function of a list of scores, or None, got {given!r:.80}.")


def reduced(scores: list[Any], reduction_fn: Callable[[list[Any]], Any] | None, batched: bool) -> Any:
    """The score of the whole: of a batch what ``reduction_fn`` makes of it, or the list where it is None.

    Raises:
        ValueError: what ``reduction_fn`` returned is no score.
    """
    if not batched:
        return scores[0]
    if reduction_fn is None:
        return scores
    total = reduction_fn(scores)
    numbers = total if isinstance(total, list) and total else [total]
    if not all(isinstance(number, (int, float)) and not math.isnan(number) for number in numbers):
        raise ValueError(f"reduction_fn must make a number of the scores, got {total!r:.80} of {scores!r:.80}.")
    return total


def right_samples(
    scores: Sequence[Any], pairs: Sequence[tuple[Any, Any]], success_fn: Callable[[list[Any]], bool] | None
) -> list[bool]:
    """For each sample whether it needs no feedback.

    ``success_fn`` judges lists of scores: all of them first, then each alone.  Without one a sample is right
    if its prediction equals its target.
    """
    if success_fn is None:
        return [prediction is not None and prediction == target for prediction, target in pairs]
    if success_fn(list(scores)):
        return [True] * len(scores)
    alone = [bool(success_fn([score])) for score in scores]
    # A success_fn that is content with each but not with all of them blames the whole batch.
    return [False] * len(scores) if all(alone) else alone


def scored(scores: Sequence[Any], target: Any) -> tuple[tuple[Any, Any], ...]:
    """(score, target) of each sample, for optimizers that compare values sample by sample; kept as ``ctx.scored``."""
    wanted = target.data if isinstance(target, Variable) else target
    targets = wanted if isinstance(wanted, list) and len(wanted) == len(scores) else [wanted] * len(scores)
    return tuple(zip(scores, targets, strict=True))


def evaluate(
    ctx: Context,
    prediction: Variable,
    target: Any,
    score: Any,
    explanation: Any,
    texts: Sequence[str],
    right: Sequence[bool],
    goal: str,
    scores: Sequence[Any],
) -> Loss:
    """Keep on ``ctx`` what `feedback_to_prediction` needs; the evaluator's result."""
    batched = isinstance(prediction.data, list)
    samples = prediction._samples or (target._samples if isinstance(target, Variable) else None)
    ctx.evaluation = (tuple(texts), tuple(right), samples, batched, goal, prediction.role)  # type: ignore[attr-defined]
    return Loss(
        Score(score, f"Evaluation result score of {prediction.role}", scores),
        Variable(explanation, f"Evaluation result explanation of {prediction.role}"),
    )


def feedback_to_prediction(ctx: Context, grad_outputs: Sequence[Gradient]) -> Pieces:
    """One piece for each sample that is not right, and what came from further on, unchanged.

    One empty piece where all samples are right.
    """
    texts, right, samples, batched, goal, role = ctx.evaluation  # type: ignore[attr-defined]
    ids = samples if samples and len(samples) == len(texts) else _numbered(len(texts), ctx.label, batched)
    pieces = [
        Gradient(text, f"feedback to {role}", samples=(ids[i],), index=i if batched else None, goal=goal)
        for i, text in enumerate(texts)
        if not right[i]
    ]
    pieces += given_pieces(grad_outputs)
    return pieces or [Gradient("", f"feedback to {role}")]


def _numbered(count: int, label: str, batched: bool) -> list[str]:
    """Sample ids where the data set gave none: position in the batch, after the evaluator's number in the graph."""
    if not batched:
        return [label or "0"]
    return [f"{label}.{i}" if label else str(i) for i in range(count)]
