"""`Loss`: what an evaluator returns."""

from __future__ import annotations

from typing import Any, NamedTuple

from afnio.variable import Variable

__all__ = ["Loss"]


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
