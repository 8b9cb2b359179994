"""What is handed to an engine: a backward job, a step job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from afnio.autodiff.wavefront import Wavefront
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = ["BackwardJob", "StepJob", "UserCall"]

UserCall = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a user's code where the user's code runs, and returns what it returned."""


@dataclass(slots=True)
class BackwardJob:
    """One backward pass.

    Attributes:
        front: the graph and the seeds.
        retain_graph: keep the graph for another pass.
        restricted: accumulate into these leaves only, or None: into all.
        user: runs users' code (their Functions, hooks) in the thread or loop that asked for the backward.
        inline: nothing in the pass waits: no event loop is needed, and none may be used.
        results: leaf or retaining Variable -> gradients to append, filled by the engine, applied when it is done.
    """

    front: Wavefront
    retain_graph: bool = False
    restricted: frozenset[int] | None = None
    user: UserCall | None = None
    inline: bool = False
    results: list[tuple[Variable, list[Gradient]]] = field(default_factory=list)


@dataclass(slots=True)
class StepJob:
    """One optimizer step.

    Attributes:
        rule: name of the update function.
        items: its arguments, one a parameter.
        inline: no model waits: no event loop is needed, and none may be used.
    """

    rule: str
    items: Sequence[Mapping[str, Any]]
    inline: bool = False
