"""A job as it travels: what the engine is given, and what it gives back."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from afnio import _dispatch
from afnio.autodiff.function import Context
from afnio.autodiff.graph import AccumulateGrad, GradientEdge, Node
from afnio.autodiff.job import BackwardJob, StepJob
from afnio.autodiff.settings import EngineSettings
from afnio.autodiff.wavefront import Wavefront
from afnio.variable import Variable
from tellurio.schemas.pack import Codec, Definitions, PackError

__all__ = [
    "VERSION",
    "Foreign",
    "pack_backward",
    "pack_results",
    "pack_settings",
    "pack_step",
    "read_backward",
    "read_results",
    "read_settings",
    "read_step",
]

VERSION = 1
"""Of the payload; a server says which it reads."""

MOST_OUTPUTS = 1_000_000
"""Of one node."""


class Foreign(NamedTuple):
    """What stands on the server for a node that only the client can run.

    Attributes:
        op: the Function.
        context: number of the node -> its context.
    """

    op: Any
    context: Callable[[int], Context]


# ------------------------------------------------------------------------------------- backward, up


def pack_backward(job: BackwardJob, codec: Codec) -> dict[str, Any]:
    """The graph of a backward pass, with all that the ops of the library need to run.

    Raises:
        PackError: a context holds something that cannot travel.
    """
    front, told = job.front, Definitions()
    nodes = [_node(node, front, codec, told) for node in front.order]
    seeds = [[front.order[node], number, codec.pieces(pieces, told)] for node, number, pieces in front.seeds]
    inputs = None
    if job.inputs is not None:
        inputs = [[codec.variable(variable), front.order.get(variable.grad_fn)] for variable in job.inputs]
    return {
        "v": VERSION,
        "nodes": nodes,
        "seeds": seeds,
        "inputs": inputs,
        "variables": codec.variable_forms(),
        "told": told,
    }


def is_built_in(op: Any) -> bool:
    """Whether a server knows the op by its name."""
    return op.built_in and _dispatch.ops.get(op.__name__) is op


def _node(node: Node, front: Wavefront, codec: Codec, told: Definitions) -> dict[str, Any]:
    if isinstance(node, AccumulateGrad):
        return {"leaf": codec.variable(node.variable), "hooks": bool(node.variable._hooks)}
    form: dict[str, Any] = {
        "op": node.op.__name__ if is_built_in(node.op) else None,
        "next": [None if target is None else [front.order[target], number] for target, number in node.next_functions],
        "outputs": node.n_outputs,
    }
    if form["op"] is not None and not front.leads_nowhere(node):
        form["ctx"] = _context(node, codec, told)
    watched = [
        [codec.variable(variable), variable.output_nr, bool(variable._hooks), variable._retain_grad]
        for variable in node.watched()
    ]
    if watched:
        form["watched"] = watched
    return form


def _context(node: Node, codec: Codec, told: Definitions) -> dict[str, Any]:
    ctx = node.ctx
    form = {name: codec.value(getattr(ctx, name), told) for name in node.op.kept(ctx)}
    if ctx.arguments:
        form["arguments"] = codec.structure(ctx.arguments)
    if ctx.label:
        form["label"] = ctx.label
    return form


def read_backward(payload: Mapping[str, Any], codec: Codec, foreign: Foreign) -> BackwardJob:
    """The job that `pack_backward` told of, with stand-ins for its Variables.

    Raises:
        PackError: it is of another version, or not whole.
    """
    _check_version(payload)
    codec.read_variables(payload["variables"])
    codec.learn(payload["told"])
    nodes = [_read_node(number, form, codec, foreign) for number, form in enumerate(payload["nodes"])]
    for number, (node, form) in enumerate(zip(nodes, payload["nodes"], strict=True)):
        node.next_functions = tuple(
            GradientEdge(None, 0) if edge is None else GradientEdge(*_edge(number, edge, nodes))
            for edge in form.get("next", ())
        )
    _check_ends(nodes)
    inputs = None
    if payload["inputs"] is not None:
        inputs = [
            _input(codec.variables[number], None if at is None else nodes[at]) for number, at in payload["inputs"]
        ]
    seeds = [(*_edge("seeds", [at, number], nodes), codec.read_pieces(names)) for at, number, names in payload["seeds"]]
    return BackwardJob(Wavefront(seeds, inputs), inputs=inputs)


def _edge(of: int | str, edge: Sequence[int], nodes: Sequence[Node]) -> tuple[Node, int]:
    at, number = edge
    if not (0 <= at < len(nodes) and 0 <= number < nodes[at].n_outputs):
        raise PackError(f"an edge of node {of} leads to output {number} of node {at}, which is not there")
    return nodes[at], number


def _check_ends(nodes: Sequence[Node]) -> None:
    """A graph with a circle would never be walked to its end."""
    waiting = dict.fromkeys(nodes, 0)
    for node in nodes:
        for target, _ in node.next_functions:
            if target is not None:
                waiting[target] += 1
    ready = [node for node, count in waiting.items() if count == 0]
    walked = 0
    while ready:
        walked += 1
        for target, _ in ready.pop().next_functions:
            if target is not None:
                waiting[target] -= 1
                if waiting[target] == 0:
                    ready.append(target)
    if walked < len(nodes):
        raise PackError("the graph goes in a circle")


def _check_version(payload: Mapping[str, Any]) -> None:
    if payload.get("v") != VERSION:
        raise PackError(f"a job of version {payload.get('v')!r} was sent; this server reads version {VERSION}")


def _read_node(number: int, form: Mapping[str, Any], codec: Codec, foreign: Foreign) -> Node:
    if "leaf" in form:
        variable = codec.variables[form["leaf"]]
        _mark(variable, form["hooks"])
        return AccumulateGrad(variable)
    outputs = form["outputs"]
    if not (isinstance(outputs, int) and 1 <= outputs <= MOST_OUTPUTS):
        raise PackError(f"node {number} has {outputs!r} outputs, expected 1 to {MOST_OUTPUTS}")
    if form["op"] is None:
        node = Node(foreign.op, foreign.context(number), (), outputs)
    else:
        op = _dispatch.ops.get(form["op"])
        if op is None:
            raise PackError(f"the op {form['op']!r:.100} of node {number} is not known here: upgrade the server")
        node = Node(op, _read_context(form.get("ctx"), codec), (), outputs)
    for at, output_nr, hooks, retain in form.get("watched", ()):
        variable = codec.variables[at]
        variable._output_nr, variable._retain_grad = output_nr, retain
        _mark(variable, hooks)
        node._watched = [*(node._watched or ()), weakref.ref(variable)]
    return node


def _read_context(form: Mapping[str, Any] | None, codec: Codec) -> Context | None:
    if form is None:
        return None  # leads nowhere: it is not run
    ctx = Context()
    for name, value in form.items():
        setattr(ctx, name, codec.read(value))
    return ctx


def _mark(variable: Variable, hooks: bool) -> None:
    """Have the engine ask for the hooks of a stand-in: they are in the client."""
    if hooks:
        variable._hooks = {0: lambda gradient: gradient}


def _input(variable: Variable, maker: Node | None) -> Variable:
    if maker is not None:
        variable._grad_fn = maker
    return variable


# ------------------------------------------------------------------------------------- backward, down


def pack_results(job: BackwardJob, codec: Codec) -> dict[str, Any]:
    """The gradients that a backward pass computed."""
    told = Definitions()
    results = [[codec.variable(variable), codec.pieces(pieces, told)] for variable, pieces in job.results]
    return {"results": results, "told": told}


def read_results(form: Mapping[str, Any], job: BackwardJob, codec: Codec) -> None:
    """Fill the results of ``job`` with what `pack_results` told."""
    codec.learn(form["told"])
    job.results.extend((codec.variables[number], codec.read_pieces(names)) for number, names in form["results"])


# ------------------------------------------------------------------------------------- step


def pack_step(job: StepJob, codec: Codec) -> dict[str, Any]:
    """The items of a step.

    Raises:
        PackError: an item holds something that cannot travel.
    """
    told = Definitions()
    items = [codec.value(dict(item), told) for item in job.items]
    return {"v": VERSION, "rule": job.rule, "items": items, "variables": codec.variable_forms(), "told": told}


def read_step(payload: Mapping[str, Any], codec: Codec) -> StepJob:
    """The job that `pack_step` told of.

    Raises:
        PackError: it is of another version, or its rule is not known.
    """
    _check_version(payload)
    if payload["rule"] not in _dispatch.rules:
        raise PackError(f"the optimizer rule {payload['rule']!r} is not known here: upgrade the server")
    codec.read_variables(payload["variables"])
    codec.learn(payload["told"])
    return StepJob(payload["rule"], [codec.read(item) for item in payload["items"]])


# ------------------------------------------------------------------------------------- settings


def pack_settings(settings: EngineSettings, codec: Codec) -> dict[str, Any]:
    """Engine settings in JSON."""
    words = {name: codec.value(each, {}) for name, each in settings.words.items()}
    plain = asdict(settings)
    return {**plain, "words": words}


def read_settings(form: Mapping[str, Any], codec: Codec) -> EngineSettings:
    """The inverse of `pack_settings`."""
    return EngineSettings(**{**form, "words": {name: codec.read(each) for name, each in form["words"].items()}})


def pack_values(values: Sequence[Any], codec: Codec) -> dict[str, Any]:
    """What a step returned."""
    told = Definitions()
    return {"values": [codec.value(value, told) for value in values], "told": told}


def read_values(form: Mapping[str, Any], codec: Codec) -> list[Any]:
    """The inverse of `pack_values`."""
    codec.learn(form["told"])
    return [codec.read(value) for value in form["values"]]
