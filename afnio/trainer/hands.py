"""How backward and the steps of the optimizers are called: from sync code, or awaited in an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from afnio import _dispatch
from afnio.autodiff import abackward, backward
from afnio.calls import adrive, drive, run_sync
from afnio.models.invoke import is_inline
from afnio.optim.optimizer import Optimizer

__all__ = ["ASYNC", "SYNC", "Closure", "Hands"]

Closure = Callable[[], Any]
"""Evaluates a batch with the values the parameters have when it is called."""


@dataclass(frozen=True, slots=True)
class Hands:
    """The two calls of a training step that an engine answers; ``step`` steps all optimizers, side by side.

    ``backward`` is given the roots, and what to compute feedback for (None: everything).  ``step`` is given what
    evaluates the batch, for the optimizers that try values; ``drive`` makes such a call of a driven coroutine.
    """

    backward: Callable[[Sequence[Any], Sequence[Any] | None], Any]
    step: Callable[[Sequence[Optimizer], Closure], Any]
    drive: Callable[[Coroutine[Any, Any, Any]], Any]


def _backward(roots: Sequence[Any], inputs: Sequence[Any] | None) -> None:
    backward(roots, inputs=inputs)


async def _abackward(roots: Sequence[Any], inputs: Sequence[Any] | None) -> None:
    await abackward(roots, inputs=inputs)


def _step(optimizers: Sequence[Optimizer], closure: Closure) -> None:
    if _apart(optimizers) and not _is_inline(optimizers):
        run_sync(_together(optimizers))
    else:
        for optimizer in optimizers:
            optimizer.step(closure if optimizer.needs_closure else None)


async def _astep(optimizers: Sequence[Optimizer], closure: Closure) -> None:
    if _apart(optimizers):
        await _together(optimizers)
    else:
        for optimizer in optimizers:
            await optimizer.astep(closure if optimizer.needs_closure else None)


async def _together(optimizers: Sequence[Optimizer]) -> None:
    """Step all at once; the first error, in their order, is raised when all have ended: their calls are paid for."""
    import asyncio

    results = await asyncio.gather(*[optimizer.astep() for optimizer in optimizers], return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _apart(optimizers: Sequence[Optimizer]) -> bool:
    """Whether several optimizers can step side by side.

    Not where a parameter has two of them, a ``step`` is a user's own, or one tries values while it steps: what it
    measures would depend on what the others have written by then.
    """
    params = [id(param) for optimizer in optimizers for param in optimizer.params()]
    alone = any(each.needs_closure or type(each).step is not Optimizer.step for each in optimizers)
    return len(optimizers) > 1 and len(set(params)) == len(params) and not alone


def _is_inline(optimizers: Sequence[Optimizer]) -> bool:
    """Whether nothing of it waits: then no event loop is needed."""
    engine = _dispatch.current_engine()
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return engine is not None and engine.inline and all(is_inline(group.get("model_client")) for group in groups)


SYNC = Hands(_backward, _step, drive)
ASYNC = Hands(_abackward, _astep, adrive)
