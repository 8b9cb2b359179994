"""The ops as functions.  Each is described once, where it is defined: in ``afnio.autodiff.ops``."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from afnio.autodiff import ops
from afnio.autodiff.loss import Loss
from afnio.variable import Variable

__all__ = [
    "achat_completion",
    "add",
    "alm_judge_evaluator",
    "chat_completion",
    "deterministic_evaluator",
    "exact_match_evaluator",
    "lm_judge_evaluator",
    "split",
    "sum",
]


def add(x: Variable, y: Variable) -> Variable:
    """Two values joined; see `afnio.autodiff.ops.Add`."""
    result: Variable = ops.Add.apply(x, y)
    return result


def sum(x: Sequence[Variable]) -> Variable:
    """Many values joined; see `afnio.autodiff.ops.Sum`."""
    result: Variable = ops.Sum.apply(x)
    return result


def split(x: Variable, sep: str | Variable | None = None, maxsplit: int | Variable = -1) -> tuple[Variable, ...]:
    """One text in parts; see `afnio.autodiff.ops.Split`."""
    result: tuple[Variable, ...] = ops.Split.apply(x, sep, maxsplit)
    return result


def chat_completion(
    forward_model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any] | None = None,
    **completion_args: Any,
) -> Variable:
    """One LM call for each sample; see `afnio.autodiff.ops.ChatCompletion`."""
    result: Variable = ops.ChatCompletion.apply(forward_model_client, messages, inputs, **completion_args)
    return result


async def achat_completion(
    forward_model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any] | None = None,
    **completion_args: Any,
) -> Variable:
    """`chat_completion`, for code that runs in an event loop."""
    result: Variable = await ops.ChatCompletion.aapply(forward_model_client, messages, inputs, **completion_args)
    return result


def deterministic_evaluator(
    prediction: Variable,
    target: Any,
    eval_fn: Callable[[Any, Any], Any],
    eval_fn_purpose: str | Variable,
    success_fn: Callable[[list[Any]], bool] | None,
    reduction_fn: Callable[[list[Any]], Any] | None,
    reduction_fn_purpose: str | Variable,
) -> Loss:
    """A score from a function of yours; see `afnio.autodiff.ops.DeterministicEvaluator`."""
    result: Loss = ops.DeterministicEvaluator.apply(
        prediction, target, eval_fn, eval_fn_purpose, success_fn, reduction_fn, reduction_fn_purpose
    )
    return result


def exact_match_evaluator(
    prediction: Variable,
    target: Any,
    reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
    reduction_fn_purpose: str | Variable = "summation",
) -> Loss:
    """1 where prediction and target are equal, else 0; see `afnio.autodiff.ops.ExactMatchEvaluator`."""
    result: Loss = ops.ExactMatchEvaluator.apply(prediction, target, reduction_fn, reduction_fn_purpose)
    return result


def lm_judge_evaluator(
    forward_model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    prediction: Variable,
    target: Any = None,
    inputs: Mapping[str, Any] | None = None,
    success_fn: Callable[[list[Any]], bool] | None = None,
    reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
    reduction_fn_purpose: str | Variable = "summation",
    eval_mode: bool | Variable = True,
    **completion_args: Any,
) -> Loss:
    """A score and an explanation from a model; see `afnio.autodiff.ops.LMJudgeEvaluator`."""
    result: Loss = ops.LMJudgeEvaluator.apply(
        forward_model_client,
        messages,
        prediction,
        target,
        inputs,
        success_fn,
        reduction_fn,
        reduction_fn_purpose,
        eval_mode,
        **completion_args,
    )
    return result


async def alm_judge_evaluator(
    forward_model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    prediction: Variable,
    target: Any = None,
    inputs: Mapping[str, Any] | None = None,
    success_fn: Callable[[list[Any]], bool] | None = None,
    reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
    reduction_fn_purpose: str | Variable = "summation",
    eval_mode: bool | Variable = True,
    **completion_args: Any,
) -> Loss:
    """`lm_judge_evaluator`, for code that runs in an event loop."""
    result: Loss = await ops.LMJudgeEvaluator.aapply(
        forward_model_client,
        messages,
        prediction,
        target,
        inputs,
        success_fn,
        reduction_fn,
        reduction_fn_purpose,
        eval_mode,
        **completion_args,
    )
    return result
