"""What is handed to an engine: a backward job, a step job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from afnio.autodiff.wavefront import Wavefront
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = ["BackwardJob", "HooksCall", "StepJob", "UserCall"]

UserCall = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a user's code where the user's code runs, and returns what it returned."""

HooksCall = Callable[[Variable, list[Gradient]], Awaitable[list[Gradient]]]
"""Runs the hooks of a Variable on its gradients, elsewhere, and returns what came of it."""


@dataclass(slots=True)
class BackwardJob:
    """One backward pass.

    Attributes:
        front: the graph and the seeds.
        retain_graph: keep the graph for another pass.
        inputs: accumulate into these only, or None: into all leaves.
        user: runs users' code (their Functions, hooks) in the thread or loop that asked for the backward.
        hooks: runs a Variable's hooks on its gradients, where they are not in this process; None: they are.
        inline: nothing in the pass waits: no event loop is needed, and none may be used.
        results: leaf or retaining Variable -> gradients to append, filled by the engine, applied when it is done.
        restricted: the ids of ``inputs``.
    """

    front: Wavefront
    retain_graph: bool = False
    inputs: Sequence[Variable] | None = None
    user: UserCall | None = None
    hooks: HooksCall | None = None
    inline: bool = False
    results: list[tuple[Variable, list[Gradient]]] = field(default_factory=list)
    restricted: frozenset[int] | None = field(init=False)

    def __post_init__(self) -> None:
        self.restricted = None if self.inputs is None else frozenset(id(variable) for variable in self.inputs)


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
