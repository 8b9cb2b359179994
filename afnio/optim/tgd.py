"""`TGD`: textual gradient descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from afnio.optim.constraint import checked_constraints
from afnio.optim.groups import check_group, check_params, copied_inputs, copied_messages, label_of, tgd_item
from afnio.optim.optimizer import Optimizer, Params
from afnio.optim.update import TGDItem
from afnio.variable import Variable
from afnio.words.optimizer import OPTIMIZER, OPTIMIZER_USER

__all__ = ["TGD", "TGD_MESSAGES", "tgd_words"]

TGD_MESSAGES: list[dict[str, Any]] = [
    {
        "role": "system",
        "content": [Variable(OPTIMIZER.system, "system prompt of the textual gradient descent optimizer")],
    },
    {"role": "user", "content": [Variable(OPTIMIZER_USER, "user prompt of the textual gradient descent optimizer")]},
]
"""The default messages.  Yours may use ``{variable} {feedback} {momentum} {history} {constraints}``; the first two they
must use."""


class TGD(Optimizer):
    """Textual gradient descent: a model rewrites each parameter from the feedback on it.

    Args:
        params: parameters, or pairs ``(name, parameter)``, or groups: dicts with ``"params"`` and any of the settings
            below.  Besides texts they may be `Choice` and `Number`: the model then proposes one of the options, or a
            number in the range.
        model_client: the model that writes: a client, or a path such as ``"openai/gpt-5"``.
        messages: what it is told; see `TGD_MESSAGES`.
        inputs: what fills further ``{placeholders}`` of ``messages``.
        constraints: rules the new value must keep: strings, Variables, or `Constraint` with a check.
        momentum: number of past steps whose values and feedback are shown too.
        max_length: greatest length of a text; the model is told it, with the present length.  None: 10,000 characters,
            or four times the present length if that is more, and the model is told nothing.
        length_unit: what ``max_length`` counts: ``"characters"``, or ``"tokens"`` (estimated, a token for every four
            letters).
        history: number of past proposals, with their scores (see `Optimizer.record`), that are shown.
        demos: allow training samples to be copied into the value.
        completion_args: passed to the API: ``model``, ``temperature``, ...

    A reply that is empty, too long, out of range, drops or invents a ``{placeholder}``, breaks a checkable constraint
    or copies a training sample is asked for once more, then it is a `ReplyContractError` and nothing changes.

    Raises:
        TypeError: parameters, constraints or messages that are none; `Demos`, which `FewShot` learns.
        ValueError: no client, or a number that makes no sense.
        PlaceholderError: the messages lack ``{variable}`` or ``{feedback}``, or have a place that nothing fills.

    Source: TextGrad, arXiv:2406.07496; momentum as there, history of scored proposals as in OPRO, arXiv:2309.03409,
    and AdalFlow, arXiv:2501.16673.
    """

    rule = "TGD"

    def __init__(
        self,
        params: Params,
        model_client: Any = None,
        messages: Sequence[Mapping[str, Any]] = TGD_MESSAGES,
        inputs: Mapping[str, Any] | None = None,
        constraints: Sequence[Any] | None = None,
        momentum: int = 0,
        *,
        max_length: int | None = None,
        length_unit: str = "characters",
        history: int = 4,
        demos: bool = False,
        **completion_args: Any,
    ) -> None:
        defaults = {
            "model_client": model_client,
            "messages": copied_messages(messages),
            "inputs": copied_inputs(inputs),
            "constraints": checked_constraints(constraints),
            "momentum": momentum,
            "max_length": max_length,
            "length_unit": length_unit,
            "history": history,
            "demos": demos,
            "completion_args": completion_args,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        """Check the settings of a group."""
        check_group(group, "TGD", self.defaults)
        check_params(group["params"], "TGD")

    def item(self, param: Variable, group: dict[str, Any]) -> TGDItem:
        """The parameter as the rule sees it."""
        kept = self.state.get(param, {})
        buffer, history = kept.get("momentum_buffer", []), kept.get("history", [])
        return tgd_item(param, param.grad, buffer, history, group, tgd_words(group))

    def remember(self, param: Variable, group: dict[str, Any], before: Any) -> None:
        """Keep the old value and its feedback for the next ``momentum`` steps."""
        if group["momentum"]:
            buffer = self.state[param].setdefault("momentum_buffer", [])
            buffer.append((Variable(before, param.role), list(param.grad)))
            del buffer[: -group["momentum"]]


def tgd_words(group: Mapping[str, Any]) -> str:
    """The version of the words a group sends, as it is stored with the call."""
    return label_of(group["messages"], TGD_MESSAGES, OPTIMIZER.label)
