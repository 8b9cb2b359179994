"""Fields: the fields of a structured answer, each a Variable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from afnio.autodiff.feedback import EdgePieces, parts_of
from afnio.autodiff.function import Function
from afnio.autodiff.ops._labels import labelled
from afnio.autodiff.ops._roles import bounded
from afnio.autodiff.ops._table import op
from afnio.gradient import Gradient
from afnio.variable import Variable

__all__ = ["Fields", "Rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Name -> value for each sample (for one, where there is no batch); None: there is nothing for it."""

    rows: Sequence[Mapping[str, Any] | None]


@op
class Fields(Function):
    """The fields of an answer that was read by a schema.

    Args:
        output: the answer, or the answers of a batch.
        names: the fields' names.
        values: what they hold.

    Returns:
        one Variable a field: its value, or one a sample.

    Backward: the feedback on each field to ``output``, saying which field it is about.
    """

    @classmethod
    def kept(cls, ctx: Any) -> tuple[str, ...]:
        """The fields' names."""
        return ("names", "role")

    @staticmethod
    def forward(ctx: Any, output: Variable, names: Sequence[str], values: Rows) -> tuple[Variable, ...]:
        """The value of each field."""
        ctx.names, ctx.role = list(names), output.role
        return tuple(_field(output, name, values.rows) for name in names)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Gradient) -> Any:
        """All feedback to the answer, labelled."""
        given = [
            (number, piece) for number, grads in enumerate(grad_outputs) for piece in parts_of(grads) if piece.data
        ]
        return EdgePieces([labelled(given, lambda number, _: f"the field {ctx.names[number]!r}", ctx.role)])


def _field(output: Variable, name: str, rows: Sequence[Mapping[str, Any] | None]) -> Variable:
    values = [None if row is None else row[name] for row in rows]
    field = Variable(
        _alike(values) if isinstance(output.data, list) else values[0], bounded(f"{name} of {output.role}")
    )
    field._samples = output._samples
    return field


def _alike(values: list[Any]) -> list[Any]:
    """``values``, all of one kind: a Variable does not hold texts beside numbers."""
    if len({isinstance(value, str) for value in values if value is not None}) < 2:
        return values
    return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
