"""RunTool: what the tools answered that a turn called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from afnio._content_blocks import Block
from afnio.autodiff.feedback import EdgePieces, parts_of
from afnio.autodiff.function import Context, Function
from afnio.autodiff.ops._labels import labelled
from afnio.autodiff.ops._roles import bounded
from afnio.autodiff.ops._table import op
from afnio.autodiff.turn import ToolResult, Turn
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = ["Called", "Calls", "RunTool"]


class Called(NamedTuple):
    """One call that was made.

    Attributes:
        name: the tool.
        text: its answer, in words.
        block: its answer, as it is sent.
        variables: the Variables it returned, if it did.
    """

    name: str
    text: str
    block: Block
    variables: Sequence[Variable] = ()


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of each sample (of one, where there is no batch), or None where it made none."""

    rows: Sequence[Sequence[Called] | None]


@op
class RunTool(Function):
    """``run_tools(turn, tools)``: the answers of the tools that ``turn`` called; the calls are made already.

    The n-th result holds the answer to the n-th call of each sample, None where a sample made fewer.

    Args:
        turn: the turn.
        variables: the Variables that the tools returned, in the order of ``calls``.
        calls: the calls.

    Backward: the feedback on a result goes to ``turn``, saying what it is about, and unchanged to the Variables that
    the tool returned for it.
    """

    @classmethod
    def kept(cls, ctx: Any) -> tuple[str, ...]:
        """Where each Variable belongs, and what the tools were called."""
        return ("places", "names", "batched", "role")

    @staticmethod
    def forward(ctx: Any, turn: Turn, variables: Sequence[Variable], calls: Calls) -> tuple[ToolResult, ...]:
        """One result for each call of the sample that made most."""
        ctx.batched, ctx.role = isinstance(turn.data, list), turn.role
        rows = [made or () for made in calls.rows]
        width = max(map(len, rows))
        ctx.names = [[row[number].name if number < len(row) else None for row in rows] for number in range(width)]
        ctx.places = [
            (number, sample)
            for sample, row in enumerate(rows)
            for number, call in enumerate(row)
            for _ in call.variables
        ]
        return tuple(_result(turn, rows, number, ctx.batched) for number in range(width))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Gradient) -> Any:
        """The feedback on each result to the turn and to what the tool computed it from."""
        given = [
            (number, piece) for number, grads in enumerate(grad_outputs) for piece in parts_of(grads) if piece.data
        ]
        edges = EdgePieces([labelled(given, lambda number, sample: _name(ctx, number, sample), ctx.role)])
        whole: dict[int, Gradient] = {}
        for place, sample in ctx.places:
            about = [
                piece
                for number, piece in given
                if number == place and (not ctx.batched or piece.index is None or piece.index == sample)
            ]
            edges.append([_whole(piece, whole) if ctx.batched else piece for piece in about])
        return edges


def _result(turn: Turn, rows: Sequence[Sequence[Called]], number: int, batched: bool) -> ToolResult:
    made = [row[number] if number < len(row) else None for row in rows]
    content: list[list[Block] | None] = [None if call is None else [call.block] for call in made]
    texts = [None if call is None else call.text for call in made]
    result = ToolResult(texts if batched else texts[0], bounded(f"tool result {number + 1} of {turn.role}"), content)
    result._samples = turn._samples
    return result


def _name(ctx: Context, number: int, sample: int | None) -> str:
    names = ctx.names[number]  # type: ignore[attr-defined]
    known = {name for name in names if name is not None}
    name = names[sample] if sample is not None and sample < len(names) else known.pop() if len(known) == 1 else None
    return f"the result of its call {number + 1}" + (f" ({name})" if name else "")


def _whole(piece: Gradient, known: dict[int, Gradient]) -> Gradient:
    """``piece`` as feedback on a value that is no batch; the same piece is the same again."""
    if piece.index is None:
        return piece
    if id(piece) not in known:
        known[id(piece)] = Gradient(piece.data, piece.role, samples=piece.samples, sources=piece.trail, goal=piece.goal)
    return known[id(piece)]
