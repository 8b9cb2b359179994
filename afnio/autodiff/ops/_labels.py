"""Feedback on one of several outputs, with the output's name before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from afnio.autodiff.feedback import Pieces
from afnio.gradient import Gradient

__all__ = ["labelled"]


def labelled(
    given: Iterable[tuple[int, Gradient]], name_of: Callable[[int, int | None], str], about: str
) -> list[Gradient]:
    """Each piece of feedback once, saying which outputs it is about.

    Args:
        given: (number of the output, piece), in order.
        name_of: (number of the output, position in the batch or None) -> what to call it.
        about: role of what the pieces are feedback on now.
    """
    found: dict[int, tuple[Gradient, dict[str, None]]] = {}
    for number, piece in given:
        _, names = found.setdefault(id(piece), (piece, {}))
        names[name_of(number, piece.index)] = None
    made: Pieces = []
    for piece, names in found.values():
        made.append(
            Gradient(
                f"On {' and '.join(names)}: {piece.data}",
                f"feedback to {about}",
                samples=piece.samples,
                index=piece.index,
                sources=piece.trail,
                goal=piece.goal,
            )
        )
    return made
