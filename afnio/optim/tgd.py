"""`TGD`: textual gradient descent."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from afnio.gradient import Gradient
from afnio.optim.constraint import checked_constraints
from afnio.optim.optimizer import Optimizer, Params
from afnio.optim.update import TGDItem
from afnio.variable import Variable
from afnio.words.optimizer import OPTIMIZER, OPTIMIZER_USER

__all__ = ["TGD", "TGD_MESSAGES", "tgd_item"]

TGD_MESSAGES: list[dict[str, Any]] = [
    {
        "role": "system",
        "content": [Variable(OPTIMIZER.system, "system prompt of the textual gradient descent optimizer")],
    },
    {"role": "user", "content": [Variable(OPTIMIZER_USER, "user prompt of the textual gradient descent optimizer")]},
]
"""The default messages.  Yours may use ``{variable} {feedback} {momentum} {history} {constraints}``."""


class TGD(Optimizer):
    """Textual gradient descent: a model rewrites each parameter from the feedback on it.

    Args:
        params: parameters, or pairs ``(name, parameter)``, or groups: dicts with ``"params"`` and any of the settings
            below.
        model_client: the model that writes.
        messages: what it is told; see `TGD_MESSAGES`.
        inputs: what fills further ``{placeholders}`` of ``messages``.
        constraints: rules the new value must keep: strings, Variables, or `Constraint` with a check.
        momentum: number of past steps whose values and feedback are shown too.
        max_length: most characters of a value; None: 10,000, or four times the present length if that is more.
        history: number of past proposals, with their scores, that are shown.
        demos: allow training samples to be copied into the value.
        completion_args: passed to the API: ``model``, ``temperature``, ...

    A reply that is empty, too long, drops or invents a ``{placeholder}``, breaks a checkable constraint or copies a
    training sample is asked for once more, then it is a `ReplyContractError` and nothing changes.

    Source: TextGrad, arXiv:2406.07496; momentum as there, history of scored proposals as in OPRO, arXiv:2309.03409.
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
        history: int = 4,
        demos: bool = False,
        **completion_args: Any,
    ) -> None:
        defaults = {
            "model_client": model_client,
            "messages": copy.deepcopy(list(messages)),
            "inputs": dict(inputs or {}),
            "constraints": checked_constraints(constraints),
            "momentum": momentum,
            "max_length": max_length,
            "history": history,
            "demos": demos,
            "completion_args": completion_args,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own; each group needs a ``model_client``."""
        super().add_param_group(param_group)
        try:
            _check_group(self.param_groups[-1])
        except (TypeError, ValueError):
            self.param_groups.pop()
            raise

    def item(self, param: Variable, group: dict[str, Any]) -> TGDItem:
        """The parameter as the rule sees it."""
        kept = self.state.get(param, {})
        return tgd_item(param, param.grad, kept.get("momentum_buffer", []), kept.get("history", []), group)

    def remember(self, param: Variable, group: dict[str, Any], before: Any) -> None:
        """Keep the old value and its feedback for the next ``momentum`` steps."""
        if group["momentum"]:
            buffer = self.state[param].setdefault("momentum_buffer", [])
            buffer.append((Variable(before, param.role), list(param.grad)))
            del buffer[: -group["momentum"]]


def _check_group(group: dict[str, Any]) -> None:
    if group["model_client"] is None:
        raise ValueError("TGD needs a model_client: the model that rewrites the parameters.")
    for name in ("momentum", "history"):
        value = group[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{name} must be an int of at least 0, got {value!r}.")
    group["constraints"] = checked_constraints(group["constraints"])


def tgd_item(
    param: Variable,
    grads: Sequence[Variable],
    momentum_buffer: Sequence[tuple[Variable, Sequence[Variable]]],
    history: Sequence[Any],
    group: Mapping[str, Any],
) -> TGDItem:
    """Everything the rule needs to know of ``param``.

    Raises:
        TypeError: the parameter holds no text.
    """
    if not isinstance(param.data, str):
        raise TypeError(f"TGD rewrites text; the parameter {param.role!r} holds {type(param.data).__name__}.")
    unique = list({id(gradient): gradient for gradient in grads if gradient.data}.values())
    return TGDItem(
        value=param.data,
        role=param.role,
        feedback=[
            gradient if isinstance(gradient, Gradient) else Gradient(str(gradient.data), gradient.role)
            for gradient in unique
        ],
        past=[
            (str(value.data), [str(gradient.data) for gradient in given if gradient.data])
            for value, given in (momentum_buffer[-group["momentum"] :] if group["momentum"] else ())
        ],
        history=list(history)[-group["history"] :] if group["history"] else [],
        constraints=group["constraints"],
        messages=[
            (message["role"], [(content.role, content.data) for content in message["content"]])
            for message in group["messages"]
        ],
        inputs={
            name: str(value.data if isinstance(value, Variable) else value) for name, value in group["inputs"].items()
        },
        client=group["model_client"],
        completion_args=group["completion_args"],
        max_length=group["max_length"],
        demos=group["demos"],
    )
