"""Feedback on its way through one node: what a backward is given, and what it returns, as `Gradient` pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from afnio.autodiff.function import variables_of
from afnio.errors import GraphError
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = ["EMPTY", "IDENTITY", "EdgePieces", "Joined", "Pieces", "as_gradient", "distinct", "feedback_of", "grad_output", "per_edge", "union"]

EMPTY = Gradient("")
"""Nothing to improve: passed on without running a node's backward."""

IDENTITY = Gradient("", "the value itself")
"""The start of a backward without a gradient; an evaluator turns it into feedback."""

Pieces = list[Gradient]


class EdgePieces(list[Pieces]):
    """What a built-in backward returns: one list of pieces for each edge of its node."""


class Joined(Gradient):
    """Several pieces of feedback shown to a user's backward as one text.

    Attributes:
        parts: the pieces.
    """

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Gradient]) -> None:
        texts = [part.data for part in parts]
        super().__init__(
            "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1)),
            parts[0].role,
            samples=union(part.samples for part in parts),
            sources=union(part.sources for part in parts),
            goal=parts[0].goal,
        )
        self.parts = tuple(parts)


def distinct(pieces: Iterable[Gradient]) -> Pieces:
    """Each piece once, in order; empty ones only if there is nothing else.  `IDENTITY` is not empty."""
    kept = list({id(piece): piece for piece in pieces if piece is not EMPTY and (piece._data or piece is IDENTITY)}.values())
    return kept or [EMPTY]


def grad_output(pieces: Pieces) -> Gradient:
    """The pieces as the one Variable a backward is given."""
    return pieces[0] if len(pieces) == 1 else Joined(pieces)


def as_gradient(value: Variable, like: Gradient, role: str = "") -> Gradient:
    """``value`` as a piece that carries the samples of ``like``, unless it is one already."""
    if isinstance(value, Gradient):
        return value
    return Gradient(
        value.data if isinstance(value.data, str) else str(value.data),
        value.role or role,
        samples=like.samples,
        index=like.index,
        sources=like.sources,
        goal=like.goal,
    )


def feedback_of(given: Any, like: Gradient, role: str) -> Pieces:
    """What a backward returned for one input, as pieces."""
    if given is None:
        return []
    if isinstance(given, Joined):
        return list(given.parts)
    if isinstance(given, Variable):
        return _spread(given, like, role)
    if isinstance(given, (list, tuple)):
        return [piece for item in given for piece in feedback_of(item, like, role)]
    raise GraphError(f"A backward returns Variables, lists of them or None for each input; got {type(given).__name__}.")


def _spread(given: Variable, like: Gradient, role: str) -> Pieces:
    """One piece; or, where the text is a list, one for each position, with the samples of that position."""
    if isinstance(given, Gradient) or not isinstance(given.data, list):
        return [as_gradient(given, like, role)]
    parts = like.parts if isinstance(like, Joined) else (like,)
    pieces = []
    for index, text in enumerate(given.data):
        if not text:
            continue
        here = [part for part in parts if part.index == index] or list(parts)
        pieces.append(
            Gradient(
                str(text),
                given.role or role,
                samples=union(part.samples for part in here),
                index=index,
                sources=union(part.sources for part in here),
                goal=like.goal,
            )
        )
    return pieces


def per_edge(arguments: Sequence[Any], returned: Any, like: Gradient) -> list[Pieces]:
    """What a backward returned, one list of pieces for each Variable among ``arguments``, in order."""
    values = returned if isinstance(returned, tuple) else (returned,)
    missing = arguments[len(values) :]
    surplus = values[len(arguments) :]
    if any(value is not None for value in surplus) or any(v.requires_grad for v in variables_of(list(missing))):
        raise GraphError(f"backward returned {len(values)} gradients, expected {len(arguments)}, one for each argument.")
    values = (*values[: len(arguments)], *(None for _ in missing))
    edges: list[Pieces] = []
    for argument, value in zip(arguments, values, strict=True):
        _align(argument, value, like, edges)
    return edges


def _align(argument: Any, value: Any, like: Gradient, edges: list[Pieces]) -> None:
    if isinstance(argument, Variable):
        edges.append(feedback_of(value, like, f"feedback to {argument.role}"))
    elif isinstance(argument, (list, tuple)):
        items = value if isinstance(value, (list, tuple)) else [None] * len(argument)
        for item, part in zip(argument, items, strict=True):
            _align(item, part, like, edges)
    elif isinstance(argument, dict):
        for key, item in argument.items():
            _align(item, value.get(key) if isinstance(value, dict) else None, like, edges)


def union(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """All items of ``groups``, each once, in order."""
    return tuple(dict.fromkeys(item for group in groups for item in group))
