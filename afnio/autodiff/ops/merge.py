"""Merge: of each sample of a batch the turn it ended at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afnio.autodiff.feedback import EMPTY, IDENTITY, EdgePieces, Pieces, parts_of
from afnio.autodiff.function import Function
from afnio.autodiff.ops._table import op
from afnio.autodiff.turn import Outcome, Turn
from afnio.gradient import Gradient

__all__ = ["Merge"]


@op
class Merge(Function):
    """The answers of a batch whose samples ended at different turns.

    Args:
        turns: the turns at which samples ended.
        ends: for each sample the number of its turn in ``turns``; None: it has no answer.

    Backward: the feedback on each sample, unchanged, to the turn it ended at.
    """

    is_linear = True

    @classmethod
    def kept(cls, ctx: Any) -> tuple[str, ...]:
        """Where each sample ended, and which were asked in each turn."""
        return ("ends", "asked")

    @staticmethod
    def forward(ctx: Any, turns: Sequence[Turn], ends: Sequence[int | None]) -> Turn:
        """One turn with the last answer of each sample."""
        ctx.ends = list(ends)
        ctx.asked = [[index for index, text in enumerate(turn.data) if text is not None] for turn in turns]
        at = [None if end is None else turns[end] for end in ends]
        merged = Turn(
            [None if turn is None else turn.data[index] for index, turn in enumerate(at)],
            turns[0].role,
            [None if turn is None else turn._content[index] for index, turn in enumerate(at)],
            [Outcome() if turn is None else turn._outcomes[index] for index, turn in enumerate(at)],
        )
        merged._samples = turns[0]._samples
        return merged

    @staticmethod
    def backward(ctx: Any, grad_output: Gradient) -> Any:
        """Each piece along the edge of its sample's last turn; what is about all samples, along all."""
        edges = EdgePieces([] for _ in ctx.asked)
        for piece in parts_of(grad_output):
            if piece.index is not None and piece.index < len(ctx.ends):
                end = ctx.ends[piece.index]
                if end is not None:
                    edges[end].append(piece)
                continue
            for end, pieces in enumerate(edges):
                pieces += _about(piece, [i for i, at in enumerate(ctx.ends) if at == end], ctx.asked[end])
        return edges


def _about(piece: Gradient, ended: list[int], asked: list[int]) -> Pieces:
    """Feedback on the whole batch, for one turn: about the samples that ended there, and no others."""
    if ended == asked or piece is EMPTY or piece is IDENTITY:
        return [piece]
    return [
        Gradient(piece.data, piece.role, samples=piece.samples, index=index, sources=piece.trail, goal=piece.goal)
        for index in ended
    ]
