"""Functional forms of the optimizers: no object that remembers; what is to be remembered is handed in."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from typing import Any

from afnio import _dispatch
from afnio.autodiff.job import StepJob
from afnio.calls import OnLoop, adrive, drive, run_inline
from afnio.models.invoke import is_inline
from afnio.optim.groups import check_group, check_params, tgd_item
from afnio.optim.naming import name_by_role
from afnio.optim.telling import Update, tell
from afnio.optim.tgd import tgd_words
from afnio.optim.update import Proposal, Version
from afnio.variable import Variable

__all__ = ["atgd", "tgd"]

Buffer = MutableSequence[tuple[Variable, list[Variable]]]


def tgd(
    params: Sequence[Variable],
    grads: Sequence[Sequence[Variable]],
    momentum_buffer_list: Sequence[Buffer],
    model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any] | None,
    constraints: Sequence[Any] | None,
    momentum: int,
    *,
    history_list: Sequence[Sequence[Version]] | None = None,
    max_length: int | None = None,
    length_unit: str = "characters",
    history: int = 4,
    demos: bool = False,
    step: int = 0,
    **completion_args: Any,
) -> None:
    """One step of `TGD` on ``params``, in place: all change, or none.

    Args:
        params: the parameters.
        grads: the feedback on each.
        momentum_buffer_list: for each parameter its past (value, feedback) pairs; changed in place.
        history_list: for each parameter the versions that were tried, with their scores; None: none.
        step: number of the step, for whoever tracks the versions of prompts.
        model_client: see `TGD`; so are the others.

    Raises:
        ValueError: the lists differ in length; a setting that makes no sense.
        NoEngineError: no active Run and no engine.
        ReplyContractError: a model's reply could not be used; no parameter was changed.
    """
    group = _group(model_client, messages, inputs, constraints, momentum, max_length, length_unit, history, demos)
    group["completion_args"] = completion_args
    drive(_tgd("tgd()", params, grads, momentum_buffer_list, history_list, group, step))


async def atgd(
    params: Sequence[Variable],
    grads: Sequence[Sequence[Variable]],
    momentum_buffer_list: Sequence[Buffer],
    model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any] | None,
    constraints: Sequence[Any] | None,
    momentum: int,
    *,
    history_list: Sequence[Sequence[Version]] | None = None,
    max_length: int | None = None,
    length_unit: str = "characters",
    history: int = 4,
    demos: bool = False,
    step: int = 0,
    **completion_args: Any,
) -> None:
    """`tgd`, for code that runs in an event loop."""
    group = _group(model_client, messages, inputs, constraints, momentum, max_length, length_unit, history, demos)
    group["completion_args"] = completion_args
    await adrive(_tgd("atgd()", params, grads, momentum_buffer_list, history_list, group, step))


def _group(
    model_client: Any,
    messages: Any,
    inputs: Any,
    constraints: Any,
    momentum: int,
    max_length: int | None,
    length_unit: str,
    history: int,
    demos: bool,
) -> dict[str, Any]:
    return {
        "model_client": model_client,
        "messages": messages,
        "inputs": inputs,
        "constraints": constraints,
        "momentum": momentum,
        "max_length": max_length,
        "length_unit": length_unit,
        "history": history,
        "demos": demos,
    }


async def _tgd(
    where: str,
    params: Sequence[Variable],
    grads: Sequence[Sequence[Variable]],
    buffers: Sequence[Buffer],
    histories: Sequence[Sequence[Version]] | None,
    group: dict[str, Any],
    step: int,
) -> None:
    histories = [()] * len(params) if histories is None else histories
    if not len(params) == len(grads) == len(buffers) == len(histories):
        raise ValueError("params, grads, momentum_buffer_list and history_list must have the same length.")
    engine = _dispatch.require_engine(where)
    check_group(group, where)
    check_params(params, where)
    words = tgd_words(group)
    due = [index for index, given in enumerate(grads) if any(gradient.data for gradient in given)]
    items = [tgd_item(params[i], grads[i], list(buffers[i]), histories[i], group, words) for i in due]
    if not items:
        return
    inline = engine.inline and is_inline(group["model_client"])
    job = StepJob("TGD", [{"item": item} for item in items], inline)
    proposals: list[Proposal]
    proposals = run_inline(engine.run_step(job)) if inline else await OnLoop(engine.run_step(job))
    tracker, updates = _dispatch.current_tracker(), []
    for index, proposal in zip(due, proposals, strict=True):
        param, before = params[index], params[index].data
        if group["momentum"]:
            buffers[index].append((Variable(before, param.role), list(grads[index])))
            del buffers[index][: -group["momentum"]]
        param.data = proposal.value
        updates.append(Update(param, before, param.data, proposal.reasoning, name_by_role(tracker, param), step))
    tell(updates, {id(params[index]): grads[index] for index in due})
