"""DeterministicEvaluator: a score from the user's own function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from afnio.autodiff.decorators import evaluator
from afnio.autodiff.function import Context, Function
from afnio.autodiff.loss import Loss
from afnio.autodiff.ops._evaluation import (
    check_functions,
    evaluate,
    feedback_to_prediction,
    pairs,
    reduced,
    right_samples,
    scored,
    text_of,
)
from afnio.autodiff.ops._table import op
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = ["DeterministicEvaluator", "score_by_code"]


@op
@evaluator
class DeterministicEvaluator(Function):
    """``deterministic_evaluator(prediction, target, eval_fn, eval_fn_purpose, success_fn, reduction_fn,
    reduction_fn_purpose)``.

    A score from a function of yours, and feedback made of prediction, target and score: no LM call.

    Args:
        prediction: what to score: a text, or a list of texts (a batch).
        target: what is right: a string, a list of strings, or a Variable.
        eval_fn: ``eval_fn(prediction, target)`` -> score of one sample, from plain values.
        eval_fn_purpose: what ``eval_fn`` measures, in words; the critic reads it.
        success_fn: ``success_fn(scores)`` -> whether these scores need no improvement, or None: a sample is right
            where prediction and target are equal.
        reduction_fn: ``reduction_fn(scores)`` -> score of the batch; None keeps one score for each sample.
        reduction_fn_purpose: what ``reduction_fn`` does, in words.

    Returns:
        `Loss` ``(score, explanation)``.

    Backward: for each sample that is not right a text made from prediction, target, score and purpose.  No LM
    call.  Where all are right one empty gradient reaches each leaf.

    Raises:
        TypeError: a wrong type.
        ValueError: different lengths, an empty purpose, or a score that is missing.
    """

    @classmethod
    def kept(cls, ctx: Any) -> tuple[str, ...]:
        """The evaluation."""
        return ("evaluation",)

    @staticmethod
    def forward(
        ctx: Context,
        prediction: Variable,
        target: Any,
        eval_fn: Callable[[Any, Any], Any],
        eval_fn_purpose: str | Variable,
        success_fn: Callable[[list[Any]], bool] | None,
        reduction_fn: Callable[[list[Any]], Any] | None,
        reduction_fn_purpose: str | Variable,
    ) -> Loss:
        """Score each sample and say why."""
        if not callable(eval_fn):
            raise TypeError(f"eval_fn must be a function of (prediction, target), got {type(eval_fn).__name__}.")
        purpose = text_of(eval_fn_purpose, "eval_fn_purpose")
        how = text_of(reduction_fn_purpose, "reduction_fn_purpose") if reduction_fn is not None else ""
        return score_by_code(ctx, prediction, target, eval_fn, purpose, success_fn, reduction_fn, how)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Gradient) -> Any:
        """Text made by code, for each sample that is not right."""
        return feedback_to_prediction(ctx, grad_outputs), *([None] * (len(ctx.arguments) - 1))


def _scored(eval_fn: Callable[[Any, Any], Any], index: int, given: Any, wanted: Any) -> Any:
    if given is None:
        return 0
    try:
        score = eval_fn(given, wanted)
    except Exception as error:
        error.add_note(f"Raised by eval_fn for sample {index} of the batch: eval_fn({given!r:.80}, {wanted!r:.80}).")
        raise
    if not isinstance(score, (int, float)):
        raise ValueError(f"eval_fn must return a number for each sample, got {type(score).__name__}.")
    if score != score:  # no score is better or worse than this one: nothing could be learned, and nothing would say so
        raise ValueError(f"eval_fn returned nan for sample {index} of the batch, which is no score.")
    return score


def score_by_code(
    ctx: Context,
    prediction: Variable,
    target: Any,
    eval_fn: Callable[[Any, Any], Any],
    purpose: str,
    success_fn: Callable[[list[Any]], bool] | None,
    reduction_fn: Callable[[list[Any]], Any] | None,
    how: str,
) -> Loss:
    """Score and explain each sample with ``eval_fn``."""
    check_functions(success_fn, reduction_fn)
    samples = pairs(prediction, target)
    batched = isinstance(prediction.data, list)
    scores = [_scored(eval_fn, index, *each) for index, each in enumerate(samples)]
    texts = [
        f"The evaluation function for '{purpose}' compared the prediction ('{given}') with the target ('{wanted}') "
        f"and gave the score {score}."
        for (given, wanted), score in zip(samples, scores, strict=True)
    ]
    total = reduced(scores, reduction_fn, batched)
    ctx.scored = scored(scores, target)  # type: ignore[attr-defined]
    explanation: Any = texts[0] if not batched else texts
    if batched and reduction_fn is not None:
        explanation = (
            f"The evaluation function for '{purpose}' scored {len(scores)} predictions against their targets; "
            f"the reduction function for '{how}' made of it the score {total}."
        )
    right = right_samples(scores, samples, success_fn)
    return evaluate(ctx, prediction, target, total, explanation, texts, right, purpose, scores)
