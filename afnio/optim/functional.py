"""Functional forms of the optimizers: no object that remembers; what is to be remembered is handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableSequence, Sequence
from typing import Any

from afnio import _dispatch
from afnio.autodiff.job import StepJob
from afnio.calls import OnLoop, adrive, drive, run_inline
from afnio.demos import Demos
from afnio.models.invoke import is_inline
from afnio.optim.evolution import EVOLUTION_MESSAGES, Evolution
from afnio.optim.few_shot import Demo, FewShot
from afnio.optim.groups import check_group, check_params, tgd_item
from afnio.optim.naming import name_by_role
from afnio.optim.pool import Pool
from afnio.optim.telling import Update, tell
from afnio.optim.tgd import tgd_words
from afnio.optim.update import Proposal, Version
from afnio.variable import Variable

__all__ = ["aevolution", "afew_shot", "atgd", "evolution", "few_shot", "tgd"]

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
    check_group(group, where, group)
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


def evolution(
    params: Sequence[Variable],
    closure: Callable[[], Any],
    pool: Pool,
    model_client: Any,
    messages: Sequence[Mapping[str, Any]] = EVOLUTION_MESSAGES,
    inputs: Mapping[str, Any] | None = None,
    constraints: Sequence[Any] | None = None,
    *,
    step: int = 0,
    **settings: Any,
) -> Any:
    """One step of `Evolution` on ``params``, in place.

    Args:
        params: the parameters.
        closure: evaluates them; see `Evolution`.
        pool: the candidates so far, ``Pool(size)`` to begin with; changed in place.
        step: number of the step: with the seed it decides the draws.
        settings: ``parents``, ``proposals``, ... and completion arguments; see `Evolution`.

    Returns:
        what ``closure`` returned for the values that were held before.

    Raises:
        As ``Evolution.step``.
    """
    return _evolution(params, pool, model_client, messages, inputs, constraints, step, settings).step(closure)


async def aevolution(
    params: Sequence[Variable],
    closure: Callable[[], Any],
    pool: Pool,
    model_client: Any,
    messages: Sequence[Mapping[str, Any]] = EVOLUTION_MESSAGES,
    inputs: Mapping[str, Any] | None = None,
    constraints: Sequence[Any] | None = None,
    *,
    step: int = 0,
    **settings: Any,
) -> Any:
    """`evolution`, for code that runs in an event loop."""
    made = _evolution(params, pool, model_client, messages, inputs, constraints, step, settings)
    return await made.astep(closure)


def _evolution(
    params: Sequence[Variable],
    pool: Pool,
    model_client: Any,
    messages: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any] | None,
    constraints: Sequence[Any] | None,
    step: int,
    settings: Mapping[str, Any],
) -> Evolution:
    made = Evolution(params, model_client, messages, inputs, constraints, **{**settings, "pool": pool.size})
    made.pool = pool
    made.tell_as({}, step)
    return made


def few_shot(
    params: Sequence[Demos],
    closure: Callable[[], Any],
    demo_lists: Sequence[MutableSequence[Demo]],
    *,
    step: int = 0,
    **settings: Any,
) -> Any:
    """One step of `FewShot` on ``params``, in place.

    Args:
        params: the parameters.
        closure: evaluates them; see `FewShot`.
        demo_lists: for each parameter the examples gathered so far; changed in place.
        step: number of the step: with the seed it decides the draws.
        settings: ``max_bootstrapped``, ``max_labelled``, ...; see `FewShot`.

    Returns:
        what ``closure`` returned for the values that were held before.

    Raises:
        As ``FewShot.step``; ValueError too if the lists differ in length.
    """
    made = _few_shot(params, demo_lists, step, settings)
    try:
        return made.step(closure)
    finally:
        _hand_back(made, demo_lists)


async def afew_shot(
    params: Sequence[Demos],
    closure: Callable[[], Any],
    demo_lists: Sequence[MutableSequence[Demo]],
    *,
    step: int = 0,
    **settings: Any,
) -> Any:
    """`few_shot`, for code that runs in an event loop."""
    made = _few_shot(params, demo_lists, step, settings)
    try:
        return await made.astep(closure)
    finally:
        _hand_back(made, demo_lists)


def _few_shot(
    params: Sequence[Demos], demo_lists: Sequence[MutableSequence[Demo]], step: int, settings: Mapping[str, Any]
) -> FewShot:
    if len(params) != len(demo_lists):
        raise ValueError("params and demo_lists must have the same length.")
    made = FewShot(params, **settings)
    for param, demos in zip(params, demo_lists, strict=True):
        made.state[param]["demos"] = list(demos)
    made.tell_as({}, step)
    return made


def _hand_back(made: FewShot, demo_lists: Sequence[MutableSequence[Demo]]) -> None:
    for param, demos in zip(made.params(), demo_lists, strict=True):
        demos[:] = made.state[param]["demos"]
