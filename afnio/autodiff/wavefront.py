"""The order of a backward pass: which nodes may run now, and where their feedback goes.  Does no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from afnio.autodiff.feedback import EMPTY, Pieces, distinct
from afnio.autodiff.graph import AccumulateGrad, Node
from afnio.variable import Variable

__all__ = ["Seed", "Wavefront"]

Seed = tuple[Node, int, Pieces]


class Wavefront:
    """A backward pass over the graph that ``seeds`` reach.

    A node is ready when each edge that leads to it has delivered, if only nothing.  What arrives at a node is
    ordered by the graph's structure, not by time, so that every process sees the same order.

    Args:
        seeds: the outputs to start from, as (node, output number, feedback).
        inputs: if given, only nodes that lead to these Variables are visited.
    """

    def __init__(self, seeds: Sequence[Seed], inputs: Sequence[Variable] | None = None) -> None:
        self.seeds = seeds
        self.order, self._waiting = _visit([node for node, _, _ in seeds])
        self._wanted = None if inputs is None else _leading_to(self.order, inputs)
        # Of each node that was delivered to: number of the deliverer, output number and pieces, one after the other.
        # A tuple for each would be one more object that the garbage collector has to look at, for each edge.
        self._arrived: dict[Node, list[Any]] = {}
        self._patterns: dict[tuple[bool, ...], tuple[bool, ...]] = {}
        for node, output_nr, pieces in seeds:
            self._arrive(node, -1, output_nr, pieces)
        self._ready = deque([node for node in self.order if node not in self._waiting])
        self.left = len(self.order)

    def take(self) -> Node | None:
        """The next node that may run, or None: none is ready."""
        return self._ready.popleft() if self._ready else None

    def incoming(self, node: Node) -> list[Pieces]:
        """The feedback on each output of ``node``: each piece once, in the graph's order; ``[]`` where none came."""
        arrived = self._arrived.pop(node, _NOTHING)
        if len(arrived) == _EACH and node.n_outputs == 1:
            return [distinct(arrived[-1])]
        outputs: list[Pieces] = [[] for _ in range(node.n_outputs)]
        for place in _in_order(arrived):
            outputs[arrived[place + 1]].extend(arrived[place + 2])
        return [distinct(pieces) if pieces else pieces for pieces in outputs]

    def deliveries(self, node: Node) -> list[Pieces]:
        """What each edge delivered to a leaf's ``node``, edge by edge, in the order of the graph."""
        arrived = self._arrived.pop(node, _NOTHING)
        return [pieces for place in _in_order(arrived) if (pieces := arrived[place + 2])]

    def wants(self, node: Node) -> tuple[bool, ...]:
        """For each edge of ``node``, whether a gradient is wanted along it."""
        wanted = self._wanted
        if wanted is None:
            wants = tuple([target is not None for target in node.edges[::2]])
        else:
            wants = tuple([target is not None and target in wanted for target in node.edges[::2]])
        return self._patterns.setdefault(wants, wants)  # few are different: nodes share them

    def finish(self, node: Node, edges: Sequence[Pieces] = ()) -> None:
        """Deliver what ``node``'s backward returned, along the edges where a gradient is wanted.

        Args:
            node: ran, or need not run.
            edges: one list of pieces for each edge, which stay as they are from now on; none: nothing is delivered.

        Raises:
            ValueError: not one for each edge.
        """
        if edges and len(edges) != len(node.edges) // 2:
            raise ValueError(f"{node.name()} has {len(node.edges) // 2} edges; feedback came for {len(edges)}.")
        number, waiting, wanted = self.order[node], self._waiting, self._wanted
        self.left -= 1
        for position, (target, output_nr) in enumerate(node.pairs()):
            if target is None:
                continue
            if edges and (pieces := edges[position]) and (wanted is None or target in wanted):
                self._arrive(target, number, output_nr, pieces)
            left = waiting[target] - 1
            waiting[target] = left
            if left == 0:
                self._ready.append(target)

    def _arrive(self, target: Node, number: int, output_nr: int, pieces: Pieces) -> None:
        arrived = self._arrived.get(target)
        if arrived is None:
            self._arrived[target] = [number, output_nr, pieces]
        else:
            arrived += (number, output_nr, pieces)

    def skip(self, node: Node) -> None:
        """Deliver an empty gradient along each wanted edge: there is nothing to improve."""
        self.finish(node, [_EMPTY] * (len(node.edges) // 2))

    @property
    def restricted(self) -> bool:
        """Whether ``inputs`` were given."""
        return self._wanted is not None

    def leads_nowhere(self, node: Node) -> bool:
        """Whether ``inputs`` were given and ``node`` leads to none of them."""
        return self._wanted is not None and node not in self._wanted


_EACH = 3  # items of a delivery
_NOTHING: list[Any] = []
_EMPTY: Pieces = [EMPTY]


def _in_order(arrived: list[Any]) -> Sequence[int]:
    """Where each delivery begins in ``arrived``, in the graph's order, whenever it came.

    A node delivers all at once, edge by edge, so that only the nodes have to be sorted.
    """
    numbers = arrived[::_EACH]
    if numbers == sorted(numbers):
        return range(0, len(arrived), _EACH)
    return sorted(range(0, len(arrived), _EACH), key=arrived.__getitem__)


def _visit(roots: Sequence[Node]) -> tuple[dict[Node, int], dict[Node, int]]:
    """All nodes reachable from ``roots``: numbered in depth-first order, and how many edges lead to each.

    Iterative: a chain may be long.
    """
    order: dict[Node, int] = {}
    waiting: dict[Node, int] = {}
    stack = list(reversed(list(dict.fromkeys(roots))))
    while stack:
        node = stack.pop()
        if node in order:
            continue
        order[node] = len(order)
        for target in node.edges[-2::-2]:
            if target is not None:
                waiting[target] = waiting.get(target, 0) + 1
                if target not in order:
                    stack.append(target)
    return order, waiting


def _leading_to(order: dict[Node, int], inputs: Sequence[Variable]) -> set[Node]:
    """The nodes from which a path leads to one of ``inputs``."""
    makers: dict[Node, list[Node]] = {node: [] for node in order}
    for node in order:
        for target in node.targets:
            if target is not None:
                makers[target].append(node)
    goals = {id(variable) for variable in inputs}
    stack: list[Node] = [node for node in order if isinstance(node, AccumulateGrad) and id(node.variable) in goals]
    stack += [variable.grad_fn for variable in inputs if variable.grad_fn in makers]
    wanted: set[Node] = set()
    while stack:
        node = stack.pop()
        if node not in wanted:
            wanted.add(node)
            stack.extend(makers[node])
    return wanted
