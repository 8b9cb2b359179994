"""`Loss`: what an evaluator returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from afnio._types import Data
from afnio.variable import Variable

__all__ = ["Loss", "Score"]


class Score(Variable):
    """The score an evaluator gives, which knows what it was made of.

    Attributes:
        of_samples: the score of each sample.
    """

    __slots__ = ("of_samples",)

    _extra: ClassVar[tuple[str, ...]] = ("of_samples",)

    def __init__(self, data: Data = None, role: str = "", of_samples: Sequence[Any] = ()) -> None:
        super().__init__(data, role)
        self.of_samples = tuple(of_samples)


class Loss(NamedTuple):
    """A score, higher is better, and its explanation.

    Unpacks and indexes like the tuple ``(score, explanation)``.
    """

    score: Variable
    explanation: Variable

    def item(self) -> Any:
        """The score as a plain number, as torch's ``loss.item()``."""
        return self.score.item()

    def backward(self, gradient: Variable | None = None, retain_graph: bool | None = None, inputs: Any = None) -> None:
        """Compute the gradients of what was evaluated; see `afnio.autodiff.backward`."""
        self.explanation.backward(gradient, retain_graph, inputs=inputs)

    async def abackward(
        self, gradient: Variable | None = None, retain_graph: bool | None = None, inputs: Any = None
    ) -> None:
        """`backward`, for code that runs in an event loop."""
        await self.explanation.abackward(gradient, retain_graph, inputs=inputs)
