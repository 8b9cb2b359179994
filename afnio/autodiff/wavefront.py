"""The order of a backward pass: which nodes may run now, and where their feedback goes.  Does no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

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
        self.order = _visit([node for node, _, _ in seeds])
        self._wanted = None if inputs is None else _leading_to(self.order, inputs)
        self._waiting = dict.fromkeys(self.order, 0)
        self._arrived: dict[Node, list[tuple[int, int, int, Pieces]]] = {node: [] for node in self.order}
        for node in self.order:
            for target, _ in node.next_functions:
                if target is not None:
                    self._waiting[target] += 1
        for position, (node, output_nr, pieces) in enumerate(seeds):
            self._arrived[node].append((-1, position, output_nr, pieces))
        self._ready = deque(node for node, count in self._waiting.items() if count == 0)
        self.left = len(self.order)

    def take(self) -> Node | None:
        """The next node that may run, or None: none is ready."""
        return self._ready.popleft() if self._ready else None

    def incoming(self, node: Node) -> list[Pieces]:
        """The feedback on each output of ``node``: each piece once, in the graph's order; ``[]`` where none came."""
        arrived = self._arrived.pop(node)
        if len(arrived) == 1 and node.n_outputs == 1:
            return [distinct(arrived[0][3])]
        arrived.sort(key=lambda entry: entry[:2])
        outputs: list[Pieces] = [[] for _ in range(node.n_outputs)]
        for _, _, output_nr, pieces in arrived:
            outputs[output_nr].extend(pieces)
        return [distinct(pieces) if pieces else [] for pieces in outputs]

    def deliveries(self, node: Node) -> list[Pieces]:
        """What each edge delivered to a leaf's ``node``, edge by edge, in the order of the graph."""
        arrived = self._arrived.pop(node)
        arrived.sort(key=lambda entry: entry[:2])
        return [pieces for _, _, _, pieces in arrived if pieces]

    def wants(self, node: Node) -> list[bool]:
        """For each edge of ``node``, whether a gradient is wanted along it."""
        if self._wanted is None:
            return [target is not None for target, _ in node.next_functions]
        return [target is not None and target in self._wanted for target, _ in node.next_functions]

    def finish(self, node: Node, edges: Sequence[Pieces]) -> None:
        """Deliver what ``node``'s backward returned, one list of pieces for each edge."""
        number = self.order[node]
        self.left -= 1
        for position, (target, output_nr) in enumerate(node.next_functions):
            if target is None:
                continue
            pieces = edges[position]
            if pieces:
                self._arrived[target].append((number, position, output_nr, pieces))
            self._waiting[target] -= 1
            if self._waiting[target] == 0:
                self._ready.append(target)

    def skip(self, node: Node) -> None:
        """Deliver an empty gradient along each wanted edge: there is nothing to improve."""
        self.finish(node, [[EMPTY] if wanted else [] for wanted in self.wants(node)])

    @property
    def restricted(self) -> bool:
        """Whether ``inputs`` were given."""
        return self._wanted is not None

    def leads_nowhere(self, node: Node) -> bool:
        """Whether ``inputs`` were given and ``node`` leads to none of them."""
        return self._wanted is not None and node not in self._wanted


def _visit(roots: Sequence[Node]) -> dict[Node, int]:
    """All nodes reachable from ``roots``, numbered in depth-first order.  Iterative: a chain may be long."""
    order: dict[Node, int] = {}
    stack = list(reversed(list(dict.fromkeys(roots))))
    while stack:
        node = stack.pop()
        if node in order:
            continue
        order[node] = len(order)
        for target, _ in reversed(node.next_functions):
            if target is not None and target not in order:
                stack.append(target)
    return order


def _leading_to(order: dict[Node, int], inputs: Sequence[Variable]) -> set[Node]:
    """The nodes from which a path leads to one of ``inputs``."""
    makers: dict[Node, list[Node]] = {node: [] for node in order}
    for node in order:
        for target, _ in node.next_functions:
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
