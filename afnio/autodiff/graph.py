"""The graph: nodes made by the forward pass, edges to the nodes that made their inputs.

Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.Node
"""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import Any, NamedTuple

from afnio.variable import Variable

__all__ = ["AccumulateGrad", "GradientEdge", "Node", "edge_to"]

_ids = itertools.count()
_making_ends = threading.Lock()


class GradientEdge(NamedTuple):
    """Where a gradient goes: output ``output_nr`` of ``node``; ``node`` is None where no gradient is needed."""

    node: Node | None
    output_nr: int


NO_EDGE = GradientEdge(None, 0)


class Node:
    """One application of a Function.

    Attributes:
        op: the Function class.
        ctx: what its forward kept for its backward; None once the graph is freed.
        next_functions: one edge for each Variable among its inputs, in order.
        n_outputs: number of Variables it made.
        node_id: number of this node in this process.
    """

    __slots__ = ("__weakref__", "_watched", "ctx", "n_outputs", "next_functions", "node_id", "op")

    def __init__(self, op: Any, ctx: Any, next_functions: tuple[GradientEdge, ...], n_outputs: int = 1) -> None:
        self.op = op
        self.ctx = ctx
        self.next_functions = next_functions
        self.n_outputs = n_outputs
        self.node_id = next(_ids)
        self._watched: list[weakref.ref[Variable]] | None = None

    def name(self) -> str:
        """``<op>Backward``."""
        return f"{self.op.__name__}Backward"

    def apply(self, *args: Any) -> Any:
        """Not for users: the engine runs nodes."""
        raise NotImplementedError("A node is run by the engine; call backward() on a Variable.")

    def watch(self, variable: Variable) -> None:
        """Tell ``variable``, an output of this node that is not a leaf, of its gradients (hooks, ``retain_grad``)."""
        if self._watched is None:
            self._watched = []
        if all(ref() is not variable for ref in self._watched):
            self._watched.append(weakref.ref(variable))

    def watched(self) -> list[Variable]:
        """The output Variables that want their gradients, those that still exist."""
        if self._watched is None:
            return []
        return [variable for ref in self._watched if (variable := ref()) is not None]

    def __repr__(self) -> str:
        return f"<{self.name()} object {self.node_id}>"


class AccumulateGrad(Node):
    """The end of a path: appends gradients to a leaf."""

    __slots__ = ("variable",)

    def __init__(self, variable: Variable) -> None:
        super().__init__(AccumulateGrad, None, ())
        self.variable = variable

    def name(self) -> str:
        """``AccumulateGrad``."""
        return "AccumulateGrad"


def edge_to(variable: Variable) -> GradientEdge:
    """The edge along which a gradient reaches ``variable``."""
    if variable._grad_fn is not None:
        return GradientEdge(variable._grad_fn, variable._output_nr) if variable.requires_grad else NO_EDGE
    if not variable.requires_grad:
        return NO_EDGE
    node = variable._accumulator() if variable._accumulator is not None else None
    return GradientEdge(node if node is not None else _end_at(variable), 0)


def _end_at(variable: Variable) -> AccumulateGrad:
    with _making_ends:  # threads that share a Variable must find one end, not one each
        node: AccumulateGrad | None = variable._accumulator() if variable._accumulator is not None else None
        if node is None:
            node = AccumulateGrad(variable)
            variable._accumulator = weakref.ref(node)
        return node
