"""A Run as a graph: its calls, and what went from one into another; as ``te.Api()`` returns it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

__all__ = ["CallEdge", "CallNode", "Difference", "Edit", "RunGraph", "graph_of"]


@dataclass(frozen=True)
class CallNode:
    """An LM call, as a node.

    Attributes:
        id: of the call; ``index`` is its number in its Run, from 0.
        run: id of the Run it is of: the one that was asked for, or a part of it.
        label: what to call it; ``location`` is the ``file:line`` it was made at.
        status: ``"ok"`` or ``"error"``; ``error`` says more.
        cached: whether a recording or an earlier call answered it; ``edited``: whether it was changed for a rerun.
        input, output: the bodies of request and response; ``usage`` the tokens.
        cost: dollars, exact; None: unpriced.
        started, finished: times.
    """

    id: str
    index: int
    run: str
    label: str | None
    model: str | None
    api_format: str | None
    status: str
    error: str | None
    cached: bool
    edited: bool
    input: Any = field(repr=False)
    output: Any = field(repr=False)
    usage: Any
    cost: Decimal | None
    started: datetime
    finished: datetime
    location: str | None


@dataclass(frozen=True)
class CallEdge:
    """Text went from the output of the call ``source`` into the input of the call ``target``.

    Attributes:
        source, target: ids of calls.
        kind: ``"content"``: the texts are the same.
        confidence: from 0 to 1.
        weak: there is little evidence; ``alternative``: the text is likelier to have come by another edge.
        spans: ``{"from": {"path", "start", "end"}, "to": {...}}`` each: where the text was, and where it is.
    """

    source: str
    target: str
    kind: str
    confidence: float
    weak: bool
    alternative: bool
    spans: list[dict[str, Any]] = field(repr=False)


@dataclass(frozen=True)
class RunGraph:
    """A Run's calls and those of its parts, and the edges between them.

    Attributes:
        calls: of the Run, then of each part, in the order they came.
        edges: by where they lead.
        children: ids of its parts and reruns.
        complete: whether the edges of all these calls are worked out; if not, ask again.
    """

    calls: list[CallNode]
    edges: list[CallEdge]
    children: list[str]
    complete: bool


@dataclass(frozen=True)
class Difference:
    """What became of a Run's calls in another run of its script; ids of calls.

    Attributes:
        replayed, edited, new: calls of the other Run: answered by the recording, changed, asked anew.
        missing: calls of the Run that did not come again.
        reordered: those of the replayed and edited ones that came in another order.
    """

    replayed: list[str]
    edited: list[str]
    new: list[str]
    missing: list[str]
    reordered: list[str]


@dataclass(frozen=True)
class Edit:
    """What a draft changes.

    Attributes:
        call: id of the call.
        field: ``"input"`` or ``"output"``.
        path: JSON pointer in that body.
        value: what is there then; ``removed``: what was there is taken away instead.
        created: when it was noted.
    """

    call: str
    field: str
    path: str
    value: Any
    removed: bool
    created: datetime


def graph_of(told: Mapping[str, Any]) -> RunGraph:
    """A graph as the server tells it."""
    calls = [CallNode(**{**call, **_times(call), "cost": _dollars(call["cost"])}) for call in told["calls"]]
    edges = [CallEdge(source=edge["from"], target=edge["to"], **_rest(edge)) for edge in told["edges"]]
    return RunGraph(calls, edges, list(told["children"]), bool(told["complete"]))


def _rest(edge: Mapping[str, Any]) -> dict[str, Any]:
    return {name: edge[name] for name in ("kind", "confidence", "weak", "alternative", "spans")}


def _times(call: Mapping[str, Any]) -> dict[str, datetime]:
    return {name: datetime.fromtimestamp(call[name], UTC) for name in ("started", "finished")}


def _dollars(usd: str | None) -> Decimal | None:
    return None if usd is None else Decimal(usd)
