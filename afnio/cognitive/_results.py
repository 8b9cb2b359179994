"""`OpResult` of a turn: what the model said, with its fields, and the errors of those that have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from afnio._masks import StopReasonView
from afnio._op_result import OpResult
from afnio.autodiff import ops
from afnio.autodiff.ops.fields import Rows
from afnio.autodiff.structured import Shape
from afnio.autodiff.turn import Outcome, Turn
from afnio.errors import BatchError, ReplyContractError
from afnio.variable import Variable

__all__ = ["check", "result_of"]


def check(turn: Turn) -> None:
    """Raise what some samples of a batch failed with.

    Raises:
        BatchError: a call failed.
    """
    errors = {index: outcome.error for index, outcome in enumerate(turn._outcomes) if outcome.error is not None}
    if errors:
        raise BatchError(errors, len(turn._outcomes))


def result_of(
    turn: Turn,
    shape: Shape | None,
    messages: Sequence[Mapping[str, Any]],
    unfinished: Mapping[int, Exception] | None = None,
) -> OpResult[Any]:
    """What `functional.chat_turn` and `ToolLoop` return.

    Args:
        turn: the answer.
        shape: what it should look like.
        messages: the conversation, this answer included.
        unfinished: position -> why there is no answer to be read.

    Raises:
        ReplyContractError: there is no batch, and the answer broke the schema twice.
    """
    outcomes = turn._outcomes
    result: OpResult[Any] = OpResult(
        turn,
        turn._content,
        StopReasonView(outcome.stop_reason for outcome in outcomes),
        messages=[dict(message) for message in messages],
    )
    if shape is not None:
        errors = [(unfinished or {}).get(index) or _fault(turn, each) for index, each in enumerate(outcomes)]
        if not isinstance(turn.data, list) and errors[0] is not None:
            raise errors[0]
        result.parse_error = errors
        result.parsed = [outcome.parsed for outcome in outcomes]
        result.fields = _fields(turn, shape, outcomes)
    return result


def _fault(turn: Turn, outcome: Outcome) -> Exception | None:
    if outcome.fault is None:
        return None
    node = f"ChatTurn: {turn.role}"
    return ReplyContractError(role="forward", node=node, variable=None, fault=outcome.fault, reply=outcome.reply)


def _fields(turn: Turn, shape: Shape, outcomes: Sequence[Outcome]) -> dict[str, Variable]:
    rows = Rows([None if outcome.parsed is None else shape.values(outcome.parsed) for outcome in outcomes])
    made = ops.Fields.apply(turn, shape.names, rows)
    return dict(zip(shape.names, made, strict=True))
