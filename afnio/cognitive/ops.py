"""The ops as Modules: called like the functions of `functional`, they keep the arguments of their latest call."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from afnio._op_result import OpResult
from afnio.autodiff.loss import Loss
from afnio.cognitive import functional as F
from afnio.cognitive._attributes import BUFFERS, CHATS, COMPLETION_CONFIGS, FUNCTIONS, MODELS, Kind
from afnio.cognitive.module import Module
from afnio.variable import Variable

__all__ = [
    "Add",
    "ChatCompletion",
    "ChatTurn",
    "DeterministicEvaluator",
    "ExactMatchEvaluator",
    "LMJudgeEvaluator",
    "OpModule",
    "Split",
    "Sum",
    "plain",
]


class OpModule(Module):
    """A Module around one op.

    The arguments named in ``_arguments`` are registered, so that ``state_dict()`` of an agent tells with which
    model, messages and settings it was last called.  They are a record, not settings: each call brings its
    own, and any saved record can be loaded over the one that is there.
    """

    _keeps_latest_call: ClassVar[bool] = True
    _arguments: ClassVar[dict[str, Kind]] = {}

    def __init__(self) -> None:
        super().__init__()
        for name, kind in self._arguments.items():
            self.__dict__[kind.slot][name] = None

    def _record(self, **values: Any) -> None:
        for name, value in values.items():
            kind = self._arguments[name]
            self.__dict__[kind.slot][name] = _recorded(kind, name, value)


def _recorded(kind: Kind, name: str, value: Any) -> Any:
    """What is kept of an argument; None where there is nothing that could be saved (a lambda, an SDK's client)."""
    if kind is COMPLETION_CONFIGS or value is None:
        return value
    if kind is BUFFERS:
        return value if isinstance(value, Variable) else Variable(value, role=name)
    return value if kind.decides(value) else None


def plain(completion_args: Mapping[str, Any]) -> dict[str, Any]:
    """Completion arguments as they are recorded: the values of Variables."""
    return {name: value.data if isinstance(value, Variable) else value for name, value in completion_args.items()}


class Add(OpModule):
    """Two values joined; see `afnio.autodiff.ops.Add`."""

    def forward(self, x: Variable, y: Variable) -> Variable:
        """`functional.add`."""
        return F.add(x, y)


class Sum(OpModule):
    """Many values joined; see `afnio.autodiff.ops.Sum`."""

    def forward(self, x: Sequence[Variable]) -> Variable:
        """`functional.sum`."""
        return F.sum(x)


class Split(OpModule):
    """One text in parts; see `afnio.autodiff.ops.Split`."""

    _arguments: ClassVar[dict[str, Kind]] = {"sep": BUFFERS, "maxsplit": BUFFERS}

    def forward(
        self, x: Variable, sep: str | Variable | None = None, maxsplit: int | Variable = -1
    ) -> tuple[Variable, ...]:
        """`functional.split`, recorded."""
        self._record(sep=sep, maxsplit=maxsplit)
        return F.split(x, sep, maxsplit)


class ChatCompletion(OpModule):
    """One LM call for each sample; see `afnio.autodiff.ops.ChatCompletion`.

    In code that runs in an event loop: ``await module.acall(...)``.
    """

    _arguments: ClassVar[dict[str, Kind]] = {
        "forward_model_client": MODELS,
        "messages": CHATS,
        "completion_args": COMPLETION_CONFIGS,
    }

    def forward(
        self,
        forward_model_client: Any,
        messages: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> Variable:
        """`functional.chat_completion`, recorded."""
        self._record(
            forward_model_client=forward_model_client, messages=messages, completion_args=plain(completion_args)
        )
        return F.chat_completion(forward_model_client, messages, inputs, **completion_args)

    async def aforward(
        self,
        forward_model_client: Any,
        messages: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None = None,
        **completion_args: Any,
    ) -> Variable:
        """`functional.achat_completion`, recorded."""
        self._record(
            forward_model_client=forward_model_client, messages=messages, completion_args=plain(completion_args)
        )
        return await F.achat_completion(forward_model_client, messages, inputs, **completion_args)


class ChatTurn(OpModule):
    """One turn of a conversation for each sample; see `functional.chat_turn`.

    In code that runs in an event loop: ``await module.acall(...)``.
    """

    _arguments: ClassVar[dict[str, Kind]] = ChatCompletion._arguments

    def forward(
        self,
        forward_model_client: Any,
        messages: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None = None,
        *,
        tools: Sequence[Any] = (),
        response_format: Any = None,
        mask: Sequence[bool] | None = None,
        **completion_args: Any,
    ) -> OpResult[Any]:
        """`functional.chat_turn`, recorded."""
        self._record(
            forward_model_client=forward_model_client, messages=messages, completion_args=plain(completion_args)
        )
        how = {"tools": tools, "response_format": response_format, "mask": mask, **completion_args}
        return F.chat_turn(forward_model_client, messages, inputs, **how)

    async def aforward(
        self,
        forward_model_client: Any,
        messages: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None = None,
        *,
        tools: Sequence[Any] = (),
        response_format: Any = None,
        mask: Sequence[bool] | None = None,
        **completion_args: Any,
    ) -> OpResult[Any]:
        """`functional.achat_turn`, recorded."""
        self._record(
            forward_model_client=forward_model_client, messages=messages, completion_args=plain(completion_args)
        )
        how = {"tools": tools, "response_format": response_format, "mask": mask, **completion_args}
        return await F.achat_turn(forward_model_client, messages, inputs, **how)


class DeterministicEvaluator(OpModule):
    """A score from a function of yours; see `afnio.autodiff.ops.DeterministicEvaluator`."""

    _arguments: ClassVar[dict[str, Kind]] = {
        "eval_fn": FUNCTIONS,
        "eval_fn_purpose": BUFFERS,
        "success_fn": FUNCTIONS,
        "reduction_fn": FUNCTIONS,
        "reduction_fn_purpose": BUFFERS,
    }

    def forward(
        self,
        prediction: Variable,
        target: Any,
        eval_fn: Callable[[Any, Any], Any],
        eval_fn_purpose: str | Variable,
        success_fn: Callable[[list[Any]], bool] | None,
        reduction_fn: Callable[[list[Any]], Any] | None,
        reduction_fn_purpose: str | Variable,
    ) -> Loss:
        """`functional.deterministic_evaluator`, recorded."""
        self._record(
            eval_fn=eval_fn,
            eval_fn_purpose=eval_fn_purpose,
            success_fn=success_fn,
            reduction_fn=reduction_fn,
            reduction_fn_purpose=reduction_fn_purpose,
        )
        return F.deterministic_evaluator(
            prediction, target, eval_fn, eval_fn_purpose, success_fn, reduction_fn, reduction_fn_purpose
        )


class ExactMatchEvaluator(OpModule):
    """1 where prediction and target are equal, else 0; see `afnio.autodiff.ops.ExactMatchEvaluator`."""

    _arguments: ClassVar[dict[str, Kind]] = {"reduction_fn": FUNCTIONS, "reduction_fn_purpose": BUFFERS}

    def forward(
        self,
        prediction: Variable,
        target: Any,
        reduction_fn: Callable[[list[Any]], Any] | None = builtins.sum,
        reduction_fn_purpose: str | Variable = "summation",
    ) -> Loss:
        """`functional.exact_match_evaluator`, recorded."""
        self._record(reduction_fn=reduction_fn, reduction_fn_purpose=reduction_fn_purpose)
        return F.exact_match_evaluator(prediction, target, reduction_fn, reduction_fn_purpose)


class LMJudgeEvaluator(OpModule):
    """A score and an explanation from a model; see `afnio.autodiff.ops.LMJudgeEvaluator`.

    In code that runs in an event loop: ``await module.acall(...)``.
    """

    _arguments: ClassVar[dict[str, Kind]] = {
        "forward_model_client": MODELS,
        "messages": CHATS,
        "completion_args": COMPLETION_CONFIGS,
        "success_fn": FUNCTIONS,
        "reduction_fn": FUNCTIONS,
        "reduction_fn_purpose": BUFFERS,
        "eval_mode": BUFFERS,
    }

    def forward(
        self,
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
        """`functional.lm_judge_evaluator`, recorded."""
        settings = (success_fn, reduction_fn, reduction_fn_purpose, eval_mode)
        self._record_judge(forward_model_client, messages, completion_args, *settings)
        return F.lm_judge_evaluator(
            forward_model_client, messages, prediction, target, inputs, *settings, **completion_args
        )

    async def aforward(
        self,
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
        """`functional.alm_judge_evaluator`, recorded."""
        settings = (success_fn, reduction_fn, reduction_fn_purpose, eval_mode)
        self._record_judge(forward_model_client, messages, completion_args, *settings)
        return await F.alm_judge_evaluator(
            forward_model_client, messages, prediction, target, inputs, *settings, **completion_args
        )

    def _record_judge(
        self,
        forward_model_client: Any,
        messages: Any,
        completion_args: dict[str, Any],
        success_fn: Any,
        reduction_fn: Any,
        reduction_fn_purpose: Any,
        eval_mode: Any,
    ) -> None:
        self._record(
            forward_model_client=forward_model_client,
            messages=messages,
            completion_args=plain(completion_args),
            success_fn=success_fn,
            reduction_fn=reduction_fn,
            reduction_fn_purpose=reduction_fn_purpose,
            eval_mode=eval_mode,
        )
