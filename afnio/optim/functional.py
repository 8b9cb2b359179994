"""Functional forms of the optimizers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from afnio import _dispatch
from afnio.autodiff.job import StepJob
from afnio.calls import run_inline, run_sync
from afnio.models.invoke import is_inline
from afnio.optim.constraint import checked_constraints
from afnio.optim.tgd import tgd_item
from afnio.optim.update import TGDItem
from afnio.variable import Variable

__all__ = ["tgd"]


def tgd(
    params: Sequence[Variable],
    grads: Sequence[Sequence[Variable]],
    momentum_buffer_list: list[list[tuple[Variable, list[Variable]]]],
    model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any] | None,
    constraints: Sequence[Any] | None,
    momentum: int,
    **completion_args: Any,
) -> None:
    """One step of `TGD` on ``params``, in place.

    Args:
        params: the parameters.
        grads: the feedback on each.
        momentum_buffer_list: for each parameter its past (value, feedback) pairs; changed in place.
        model_client: see `TGD`; so are the others.

    Raises:
        ValueError: the lists differ in length.
        NoEngineError: no active Run and no engine.
    """
    if not len(params) == len(grads) == len(momentum_buffer_list):
        raise ValueError("params, grads and momentum_buffer_list must have the same length.")
    engine = _dispatch.require_engine("tgd()")
    group = {
        "model_client": model_client,
        "messages": messages,
        "inputs": inputs or {},
        "constraints": checked_constraints(constraints),
        "momentum": momentum,
        "max_length": None,
        "history": 0,
        "demos": False,
        "completion_args": completion_args,
    }
    due = [index for index, given in enumerate(grads) if any(gradient.data for gradient in given)]
    items: list[TGDItem] = [tgd_item(params[i], grads[i], momentum_buffer_list[i], [], group) for i in due]
    if not items:
        return
    inline = engine.inline and is_inline(model_client)
    coro = engine.run_step(StepJob("TGD", [{"item": item} for item in items], inline))
    proposals = run_inline(coro) if inline else run_sync(coro)
    for index, proposal in zip(due, proposals, strict=True):
        if momentum:
            momentum_buffer_list[index].append((Variable(params[index].data, params[index].role), list(grads[index])))
            del momentum_buffer_list[index][:-momentum]
        params[index].data = proposal.value
