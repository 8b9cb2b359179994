"""How backward and step are called: from sync code, or awaited in an event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from afnio.autodiff import abackward, backward
from afnio.optim.optimizer import Optimizer

__all__ = ["ASYNC", "SYNC", "Hands"]


@dataclass(frozen=True, slots=True)
class Hands:
    """The two calls of a training step that an engine answers."""

    backward: Callable[[Sequence[Any]], Any]
    step: Callable[[Optimizer], Any]


def _backward(roots: Sequence[Any]) -> None:
    backward(roots)


def _step(optimizer: Optimizer) -> None:
    optimizer.step()


async def _abackward(roots: Sequence[Any]) -> None:
    await abackward(roots)


async def _astep(optimizer: Optimizer) -> None:
    await optimizer.astep()


SYNC = Hands(_backward, _step)
ASYNC = Hands(_abackward, _astep)
