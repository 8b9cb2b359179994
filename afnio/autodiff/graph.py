"""The graph: nodes made by the forward pass, edges to the nodes that made their inputs.

Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.Node
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from afnio.variable import Variable

__all__ = ["AccumulateGrad", "Edges", "GradientEdge", "Node", "edge_to", "edges_to"]

_ids = itertools.count()
_making_ends = threading.Lock()


class GradientEdge(NamedTuple):
    """Where a gradient goes: output ``output_nr`` of ``node``; ``node`` is None where no gradient is needed."""

    node: Node | None
    output_nr: int


NO_EDGE = GradientEdge(None, 0)

Edges = tuple[Any, ...]
"""Edges one after the other, node and output number of each: one object for a node's edges, however many."""


class Node:
    """One application of a Function.

    Attributes:
        op: the Function class.
        ctx: what its forward kept for its backward; None once the graph is freed.
        edges: one for each Variable among its inputs, in order.
        n_outputs: number of Variables it made.
        node_id: number of this node in this process.
    """

    __slots__ = ("__weakref__", "_watched", "ctx", "edges", "n_outputs", "node_id", "op")

    def __init__(self, op: Any, ctx: Any, edges: Edges, n_outputs: int = 1) -> None:
        self.op = op
        self.ctx = ctx
        self.edges = edges
        self.n_outputs = n_outputs
        self.node_id = next(_ids)
        self._watched: list[weakref.ref[Variable]] | None = None

    @property
    def next_functions(self) -> tuple[GradientEdge, ...]:
        """The edges: one for each Variable among its inputs, in order."""
        return tuple([GradientEdge(node, output_nr) for node, output_nr in self.pairs()])

    @next_functions.setter
    def next_functions(self, edges: Iterable[tuple[Node | None, int]]) -> None:
        self.edges = tuple([item for edge in edges for item in edge])

    @property
    def targets(self) -> tuple[Node | None, ...]:
        """The node each edge leads to."""
        return self.edges[::2]

    def pairs(self) -> Iterator[tuple[Node | None, int]]:
        """The edges, as they are: node and output number."""
        items = iter(self.edges)
        return zip(items, items, strict=True)

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
    return GradientEdge(*edges_to((variable,)))


def edges_to(variables: Iterable[Variable]) -> Edges:
    """The edges along which gradients reach ``variables``, one for each."""
    edges: list[Any] = []
    for variable in variables:
        if not variable.requires_grad:
            edges += NO_EDGE
        elif variable._grad_fn is not None:
            edges += (variable._grad_fn, variable._output_nr)
        else:
            node = variable._accumulator() if variable._accumulator is not None else None
            edges += (node if node is not None else _end_at(variable), 0)
    return tuple(edges)


def _end_at(variable: Variable) -> AccumulateGrad:
    with _making_ends:  # threads that share a Variable must find one end, not one each
        node: AccumulateGrad | None = variable._accumulator() if variable._accumulator is not None else None
        if node is None:
            node = AccumulateGrad(variable)
            variable._accumulator = weakref.ref(node)
        return node
