"""LMJudgeEvaluator: a score and an explanation from a model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from afnio.autodiff.chat import Chat
from afnio.autodiff.critic import criticise
from afnio.autodiff.decorators import evaluator
from afnio.autodiff.feedback import EdgePieces, given_pieces, grad_output
from afnio.autodiff.function import Context, Function
from afnio.autodiff.loss import Loss
from afnio.autodiff.ops._evaluation import (
    check_functions,
    evaluate,
    feedback_to_prediction,
    reduced,
    right_samples,
    scored,
    text_of,
)
from afnio.autodiff.ops._table import op
from afnio.autodiff.together import together
from afnio.errors import GraphError
from afnio.gradient import Gradient
from afnio.models.contract import Contract, Fault, ask
from afnio.models.invoke import is_inline
from afnio.variable import Variable
from afnio.words.judge import JUDGE

__all__ = ["LMJudgeEvaluator"]

_SCHEMA = {
    "type": "object",
    "properties": {"explanation": {"type": "string"}, "score": {"type": "number"}},
    "required": ["explanation", "score"],
    "additionalProperties": False,
}


@op
@evaluator
class LMJudgeEvaluator(Function):
    """``lm_judge_evaluator(forward_model_client, messages, prediction, target=None, inputs=None, success_fn=None,
    reduction_fn=sum, reduction_fn_purpose="summation", eval_mode=True, **completion_args)``.

    The model is asked once for each sample and replies with JSON ``{"score": ..., "explanation": ...}``.

    Args:
        messages: the judge's messages; ``{prediction}`` and ``{target}`` are filled in besides ``inputs``.
        prediction: what to judge: text or a list of texts.
        target: what would be right, if there is such a thing.
        success_fn: ``success_fn(scores)`` -> whether these scores need no improvement; None: every explanation is
            feedback.
        reduction_fn: scores -> score of the batch; None keeps one for each sample.
        eval_mode: True: the explanation is the feedback on the prediction, and nothing flows to the judge.  False:
            feedback flows to the judge's messages and inputs, by the critic, and nothing to the prediction.

    Returns:
        `Loss` ``(score, explanation)``.

    Raises:
        ReplyContractError: the judge's reply is not the JSON asked for, twice.
        ValueError: ``inputs`` has ``prediction`` or ``target``, or lengths differ.
    """

    calls_lm = True

    @classmethod
    def runs_inline(cls, forward_model_client: Any, *args: Any, **kwargs: Any) -> bool:
        """Whether the model answers in process, without waiting."""
        return is_inline(forward_model_client)

    @classmethod
    def inputs_of(cls, ctx: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Variable]:
        """The prediction in eval mode; else the judge's messages and inputs."""
        return [ctx.prediction] if ctx.eval_mode else list(ctx.own)

    @classmethod
    def kept(cls, ctx: Any) -> tuple[str, ...]:
        """The verdicts as feedback; or the judge's call, where feedback flows to it."""
        return ("eval_mode", "evaluation") if ctx.eval_mode else ("eval_mode", "chat", "own", "node", "verdicts")

    @staticmethod
    async def forward(
        ctx: Any,
        forward_model_client: Any,
        messages: Sequence[Mapping[str, Any]],
        prediction: Variable,
        target: Any = None,
        inputs: Mapping[str, Any] | None = None,
        success_fn: Callable[[list[Any]], bool] | None = None,
        reduction_fn: Callable[[list[Any]], Any] | None = sum,
        reduction_fn_purpose: str | Variable = "summation",
        eval_mode: bool | Variable = True,
        **completion_args: Any,
    ) -> Loss:
        """Ask the judge about each sample, all at once."""
        check_functions(success_fn, reduction_fn)
        chat = _chat(messages, prediction, target, inputs, completion_args)
        purpose = text_of(reduction_fn_purpose, "reduction_fn_purpose") if reduction_fn is not None else ""
        ctx.prediction = prediction
        ctx.eval_mode = bool(eval_mode.data if isinstance(eval_mode, Variable) else eval_mode)
        ctx.chat, ctx.node = chat, f"LMJudgeEvaluator: {chat.title}"
        ctx.own = [v for v in chat.variables() if v is not prediction and v is not target]
        args = chat.plain_args(completion_args)
        verdicts = await together(
            [_judge(forward_model_client, chat, index, ctx.node, args) for index in range(chat.size)],
            is_inline(forward_model_client),
        )
        return _result(ctx, prediction, target, verdicts, success_fn, reduction_fn, purpose)

    @staticmethod
    async def backward(ctx: Any, *grad_outputs: Gradient) -> Any:
        """In eval mode the judge's explanations; else what the critic says to the judge's messages."""
        if ctx.eval_mode:
            return EdgePieces([feedback_to_prediction(ctx, grad_outputs)])
        given = given_pieces(grad_outputs)
        if not given:
            raise GraphError("With eval_mode=False a judge needs feedback on its verdict: pass backward(gradient=...).")
        chat: Chat = ctx.chat
        own = {id(v) for v, wanted in zip(ctx.own, ctx.needs_edge, strict=True) if wanted}
        everything = [id(v) in own for v in chat.variables()]
        outputs = [
            json.dumps({"explanation": text, "score": score}, ensure_ascii=False) for score, text in ctx.verdicts
        ]
        edges = await criticise(chat, outputs, grad_output(given), everything, ctx.node)
        by_variable = {id(v): edge for v, edge in zip(chat.variables(), edges, strict=True)}
        return EdgePieces(by_variable[id(v)] for v in ctx.own)


def _chat(
    messages: Any, prediction: Any, target: Any, inputs: Mapping[str, Any] | None, args: Mapping[str, Any]
) -> Chat:
    if not isinstance(prediction, Variable):
        raise TypeError(f"prediction must be a Variable, got {type(prediction).__name__}.")
    if inputs and not isinstance(inputs, Mapping):
        raise TypeError(f"inputs must be a dict of placeholder -> value, got {type(inputs).__name__}.")
    if taken := {"prediction", "target"} & set(inputs or {}):
        raise ValueError(f"inputs must not have {', '.join(sorted(taken))}: the evaluator fills these in itself.")
    filled: dict[str, Any] = {**(inputs or {}), "prediction": prediction}
    if target is not None:
        filled["target"] = target
        wanted = target.data if isinstance(target, Variable) else target
        if isinstance(prediction.data, list) != isinstance(wanted, list):
            raise ValueError("prediction and target must both be lists (a batch) or both be single values.")
    return Chat(messages, filled, "lm_judge_evaluator()", optional=("prediction", "target"), arguments=args)


async def _judge(client: Any, chat: Chat, index: int, node: str, args: dict[str, Any]) -> tuple[Any, str]:
    verdict: tuple[Any, str] = await ask(
        client,
        chat.request(index),
        Contract("afnio_verdict", _SCHEMA, _read, JUDGE.system),
        role="judge",
        node=node,
        variable=chat.title,
        completion_args=args,
        words=JUDGE.label,
    )
    return verdict


def _read(value: dict[str, Any]) -> tuple[Any, str]:
    score, explanation = value["score"], value["explanation"]
    if isinstance(score, str):
        try:
            score = float(score)
        except ValueError:
            raise Fault(f"'score' must be a number, not {score!r}") from None
    if not isinstance(score, (int, float)) or not math.isfinite(score):
        raise Fault(f"'score' must be a number, not {score!r:.80}")
    if not isinstance(explanation, str) or not explanation.strip():
        raise Fault("'explanation' must be text")
    return score, explanation


def _result(
    ctx: Context,
    prediction: Variable,
    target: Any,
    verdicts: list[tuple[Any, str]],
    success_fn: Callable[[list[Any]], bool] | None,
    reduction_fn: Callable[[list[Any]], Any] | None,
    purpose: str,
) -> Loss:
    scores, texts = [score for score, _ in verdicts], [text for _, text in verdicts]
    batched = isinstance(prediction.data, list)
    total = reduced(scores, reduction_fn, batched)
    explanation: Any = texts if batched else texts[0]
    if batched and reduction_fn is not None:
        explanation = (
            f"The judge scored {len(scores)} predictions; the reduction function for '{purpose}' made of it the score "
            f"{total}. " + " ".join(f"({index}) {text}" for index, text in enumerate(texts))
        )
    right = (
        [False] * len(scores) if success_fn is None else right_samples(scores, [(None, None)] * len(scores), success_fn)
    )
    ctx.verdicts = verdicts  # type: ignore[attr-defined]
    ctx.scored = scored(scores, target)  # type: ignore[attr-defined]
    goal = "the judge's score"
    feedback = [f"Judged with the score {score}: {text}" for score, text in verdicts]
    return evaluate(ctx, prediction, target, total, explanation, feedback, right, goal, scores)
