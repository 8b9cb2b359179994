"""Feedback on its way through one node: what a backward is given, and what it returns, as `Gradient` pieces."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from afnio.autodiff.function import variables_of
from afnio.errors import GraphError
from afnio.gradient import NO_TRAIL, Gradient, Trail
from afnio.variable import Variable

__all__ = [
    "EMPTY",
    "IDENTITY",
    "EdgePieces",
    "Joined",
    "Pieces",
    "as_gradient",
    "distinct",
    "feedback_role",
    "given_pieces",
    "grad_output",
    "joined_trail",
    "parts_of",
    "per_edge",
    "spread",
    "union",
]

EMPTY = Gradient("")
"""Nothing to improve: passed on without running a node's backward."""

IDENTITY = Gradient("", "the value itself")
"""The start of a backward without a gradient; an evaluator turns it into feedback."""

Pieces = list[Gradient]


class EdgePieces(list[Pieces]):
    """What a built-in backward returns: one list of pieces for each edge of its node."""


class Joined(Gradient):
    """Several pieces of feedback shown to a user's backward as one text, which is made when it is read.

    Attributes:
        parts: the pieces.
    """

    __slots__ = ("_text", "parts")

    def __init__(self, parts: Sequence[Gradient]) -> None:
        Variable.__init__(self, "", parts[0].role)
        self.index = None
        self.parts = tuple(parts)
        self._text: str | None = None

    @property  # type: ignore[misc]
    def data(self) -> str:
        """The pieces, numbered, one on a line."""
        if self._text is None:
            self._text = "\n".join(f"{number}. {part.data}" for number, part in enumerate(self.parts, 1))
        return self._text

    @property
    def samples(self) -> tuple[str, ...]:  # type: ignore[override]
        """Ids of all samples the pieces came from."""
        return union(part.samples for part in self.parts)

    @property
    def trail(self) -> Trail:  # type: ignore[override]
        """Texts of all samples the pieces came from."""
        return joined_trail(self.parts)

    @property
    def goal(self) -> str:  # type: ignore[override]
        """What the score at the end of the first piece's path measures."""
        return self.parts[0].goal

    def __reduce__(self) -> Any:
        return (Joined, (self.parts,))

    def __deepcopy__(self, memo: dict[int, Any]) -> Joined:
        return Joined(self.parts)


def parts_of(given: Gradient) -> tuple[Gradient, ...]:
    """The pieces a backward was given as one Variable."""
    return given.parts if isinstance(given, Joined) else (given,)


def given_pieces(grad_outputs: Iterable[Gradient]) -> Pieces:
    """All feedback a backward was given, on whichever output: each piece once, without empty ones."""
    found = [piece for given in grad_outputs for piece in parts_of(given) if piece._data]
    return list(dict.fromkeys(found))


def distinct(pieces: Pieces) -> Pieces:
    """Each piece once, in order; empty ones only if there is nothing else.  `IDENTITY` is not empty."""
    if len(pieces) == 1 and (pieces[0]._data or pieces[0] is IDENTITY):
        return pieces
    kept = [piece for piece in pieces if piece is not EMPTY and (piece._data or piece is IDENTITY)]
    return list(dict.fromkeys(kept)) or [EMPTY]


def grad_output(pieces: Pieces) -> Gradient:
    """The pieces as the one Variable a backward is given."""
    return pieces[0] if len(pieces) == 1 else Joined(pieces)


@functools.lru_cache(maxsize=1024)
def feedback_role(role: str) -> str:
    """The role of feedback on what has ``role``: the same text for all pieces of a large graph."""
    return f"feedback to {role}"


def as_gradient(value: Variable, like: Gradient, role: str = "") -> Gradient:
    """``value`` as a piece that carries the samples of ``like``, unless it is one already."""
    if isinstance(value, Gradient):
        return value
    return Gradient(
        value.data if isinstance(value.data, str) else str(value.data),
        value.role or role,
        samples=like.samples,
        index=like.index,
        sources=like.trail,
        goal=like.goal,
    )


def spread(given: Variable, like: Gradient, of: Variable) -> Pieces:
    """Feedback on ``of`` as pieces: one; or, where the text is a list, one for each position, with its sample."""
    role = feedback_role(of.role)
    if isinstance(given, Gradient) or not isinstance(given.data, list):
        return [as_gradient(given, like, role)]
    parts = parts_of(like)
    pieces = []
    for index, text in enumerate(given.data):
        if not text:
            continue
        here = [part for part in parts if part.index == index] or list(parts)
        pieces.append(
            Gradient(
                str(text),
                given.role or role,
                samples=union(part.samples for part in here) or _sample_at(of, index),
                index=index,
                sources=joined_trail(here),
                goal=like.goal,
            )
        )
    return pieces or [EMPTY]


def _sample_at(of: Variable, index: int) -> tuple[str]:
    ids = of._samples
    return (ids[index] if ids is not None and index < len(ids) else str(index),)


def per_edge(arguments: Sequence[Any], returned: Any, like: Gradient) -> list[Pieces]:
    """What a backward returned, one list of pieces for each Variable among ``arguments``, in order.

    Raises:
        GraphError: it does not fit the arguments.
    """
    values = returned if isinstance(returned, tuple) else (returned,)
    missing = arguments[len(values) :]
    surplus = values[len(arguments) :]
    if any(value is not None for value in surplus) or any(v.requires_grad for v in variables_of(list(missing))):
        raise GraphError(
            f"backward returned {len(values)} gradients, expected {len(arguments)}: "
            "a tuple with one for each argument of forward."
        )
    values = (*values[: len(arguments)], *(None for _ in missing))
    edges: list[Pieces] = []
    for number, (argument, value) in enumerate(zip(arguments, values, strict=True)):
        _align(argument, value, like, edges, number)
    return edges


def _align(argument: Any, value: Any, like: Gradient, edges: list[Pieces], number: int) -> None:
    if isinstance(argument, Variable):
        edges.append(_feedback_of(value, like, argument))
    elif isinstance(argument, (list, tuple, dict)) and (inside := variables_of(argument)):
        if value is None:
            edges.extend([] for _ in inside)
            return
        for item, given in _paired(argument, value, number):
            _align(item, given, like, edges, number)


def _paired(argument: Any, value: Any, number: int) -> list[tuple[Any, Any]]:
    """The items of a container with what was returned for each."""
    if isinstance(argument, dict):
        if isinstance(value, dict) and value.keys() <= argument.keys():
            return [(item, value.get(key)) for key, item in argument.items()]
    elif isinstance(value, (list, tuple)) and len(value) == len(argument):
        return list(zip(argument, value, strict=True))
    shape = f"a {type(argument).__name__} of {len(argument)}"
    got = f"{type(value).__name__} of {len(value)}" if isinstance(value, (list, tuple, dict)) else type(value).__name__
    raise GraphError(
        f"backward returned a {got} for argument {number}, which is {shape}: return None, or one gradient (or None) "
        "for each item."
    )


def _feedback_of(given: Any, like: Gradient, of: Variable) -> Pieces:
    """What a backward returned for the input ``of``, as pieces."""
    if given is None:
        return []
    if isinstance(given, Joined):
        return list(given.parts)
    if isinstance(given, Variable):
        return spread(given, like, of)
    if isinstance(given, (list, tuple)):
        return [piece for item in given for piece in _feedback_of(item, like, of)]
    raise GraphError(f"A backward returns Variables, lists of them or None for each input; got {type(given).__name__}.")


def joined_trail(pieces: Sequence[Gradient], texts: Sequence[str] = ()) -> Trail:
    """``texts``, then the texts of the samples that ``pieces`` came from."""
    if len(pieces) > 1:
        return Trail(texts, [piece.trail for piece in pieces])
    trail = pieces[0].trail
    if not texts:
        return trail
    return Trail(texts) if trail is NO_TRAIL else Trail(texts, (trail,))


def union(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """All items of ``groups``, each once, in order."""
    return tuple(dict.fromkeys([item for group in groups for item in group]))
