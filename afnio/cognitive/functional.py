"""The ops as functions.  Each is described once, where it is defined: in ``afnio.autodiff.ops``."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from afnio._op_result import OpResult
from afnio.autodiff import ops
from afnio.autodiff.loss import Loss
from afnio.autodiff.structured import shape_of
from afnio.autodiff.turn import ToolResult, Turn
from afnio.cognitive import _tool_calls as calls
from afnio.cognitive._ahead import check_ahead
from afnio.cognitive._results import check, result_of
from afnio.cognitive.tools import Tool
from afnio.variable import Variable

__all__ = [
    "achat_completion",
    "achat_turn",
    "add",
    "alm_judge_evaluator",
    "arun_tools",
    "chat_completion",
    "chat_turn",
    "deterministic_evaluator",
    "exact_match_evaluator",
    "lm_judge_evaluator",
    "run_tools",
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
    check_ahead(messages, inputs, completion_args)
    result: Variable = ops.ChatCompletion.apply(forward_model_client, messages, inputs, **completion_args)
    return result


async def achat_completion(
    forward_model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any] | None = None,
    **completion_args: Any,
) -> Variable:
    """`chat_completion`, for code that runs in an event loop."""
    check_ahead(messages, inputs, completion_args)
    result: Variable = await ops.ChatCompletion.aapply(forward_model_client, messages, inputs, **completion_args)
    return result


def chat_turn(
    forward_model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any] | None = None,
    *,
    tools: Sequence[Any] = (),
    response_format: Any = None,
    mask: Sequence[bool] | None = None,
    **completion_args: Any,
) -> OpResult[Any]:
    """One turn of a conversation for each sample; see `afnio.autodiff.ops.ChatTurn`.

    Args:
        tools: what the model may call: `Tool` objects, whose descriptions learn, or functions, whose docstrings do not.
        response_format: what the answer must look like: a pydantic model class, or the JSON schema of an object.  The
            schema is sent, the answer checked, and a faulty one sent back once with its fault.
        mask: of a batch, one bool a sample: whether to ask it.

    Returns:
        `OpResult`: the text, the blocks, why the model stopped, what was parsed, and a Variable for each field.

    Raises:
        BatchError: some samples of a batch failed.
        ReplyContractError: there is no batch, and the answer broke the ``response_format`` twice (of a batch:
            ``result.parse_error``).
    """
    shape = shape_of(response_format, "chat_turn()")
    check_ahead(messages, inputs, tools, completion_args)
    turn: Turn = ops.ChatTurn.apply(
        forward_model_client,
        messages,
        inputs,
        tools=_tools(tools),
        response_format=shape or response_format,
        mask=mask,
        **completion_args,
    )
    check(turn)
    return result_of(turn, shape, [*messages, {"role": "assistant", "content": [turn]}])


def _tools(tools: Sequence[Any]) -> Sequence[Any]:
    """Functions as tools; what is neither is left for the op to refuse."""
    if not isinstance(tools, (list, tuple)):
        return tools
    return [Tool(each, requires_grad=False) if inspect.isroutine(each) else each for each in tools]


async def achat_turn(
    forward_model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any] | None = None,
    *,
    tools: Sequence[Any] = (),
    response_format: Any = None,
    mask: Sequence[bool] | None = None,
    **completion_args: Any,
) -> OpResult[Any]:
    """`chat_turn`, for code that runs in an event loop."""
    shape = shape_of(response_format, "chat_turn()")
    check_ahead(messages, inputs, tools, completion_args)
    turn: Turn = await ops.ChatTurn.aapply(
        forward_model_client,
        messages,
        inputs,
        tools=_tools(tools),
        response_format=shape or response_format,
        mask=mask,
        **completion_args,
    )
    check(turn)
    return result_of(turn, shape, [*messages, {"role": "assistant", "content": [turn]}])


def run_tools(
    turn: OpResult[Any] | Turn, tools: Sequence[Any], *, on_error: calls.OnError = "tell"
) -> list[ToolResult]:
    """What the tools answer that ``turn`` called: the content of a message with the role ``"tool"``.

    All calls of all samples run side by side, each once: async tools in the caller's event loop (from sync code: in
    the LM loop), others in threads, a single one in this thread.

    Args:
        turn: what `chat_turn` returned.
        tools: `Tool` objects or functions.
        on_error: ``"tell"``: a tool that fails, an unknown name and arguments that break the schema are results that
            say so; ``"raise"``: `ToolError`.

    Returns:
        one Variable for each call of the sample that made most; its data is None where a sample made fewer.  It takes
        feedback where a tool returned Variables that do; what plain functions return has nothing to learn.

    Raises:
        ToolError: see ``on_error``; or a tool returned what has no JSON form.
        ValueError: the turn called no tool.
    """
    return calls.run_tools(turn.output if isinstance(turn, OpResult) else turn, tools, on_error)  # type: ignore[arg-type]


async def arun_tools(
    turn: OpResult[Any] | Turn, tools: Sequence[Any], *, on_error: calls.OnError = "tell"
) -> list[ToolResult]:
    """`run_tools`, for code that runs in an event loop."""
    return await calls.arun_tools(turn.output if isinstance(turn, OpResult) else turn, tools, on_error)  # type: ignore[arg-type]


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
