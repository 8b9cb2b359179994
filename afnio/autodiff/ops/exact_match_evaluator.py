"""ExactMatchEvaluator: 1 where prediction and target are equal, else 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from afnio.autodiff.decorators import evaluator
from afnio.autodiff.function import Context, Function
from afnio.autodiff.loss import Loss
from afnio.autodiff.ops._evaluation import feedback_to_prediction, text_of
from afnio.autodiff.ops._table import op
from afnio.autodiff.ops.deterministic_evaluator import score_by_code
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = ["ExactMatchEvaluator"]


@op
@evaluator
class ExactMatchEvaluator(Function):
    """``exact_match_evaluator(prediction, target, reduction_fn=sum, reduction_fn_purpose="summation")``.

    A `DeterministicEvaluator` whose ``eval_fn`` is equality, and which is content when every score is 1.
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
        reduction_fn: Callable[[list[Any]], Any] | None = sum,
        reduction_fn_purpose: str | Variable = "summation",
    ) -> Loss:
        """Score each sample 1 or 0."""
        how = text_of(reduction_fn_purpose, "reduction_fn_purpose") if reduction_fn is not None else ""
        return score_by_code(ctx, prediction, target, _equal, "exact match", _all_ones, reduction_fn, how)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Gradient) -> Any:
        """Text made by code, for each sample that is not right."""
        return feedback_to_prediction(ctx, grad_outputs), *([None] * (len(ctx.arguments) - 1))


def _equal(prediction: Any, target: Any) -> int:
    return int(prediction == target)


def _all_ones(scores: list[Any]) -> bool:
    return all(score == 1 for score in scores)
