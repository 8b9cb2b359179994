"""`Gradient`: one piece of feedback on its way back through the graph."""

from __future__ import annotations

from typing import ClassVar

from afnio.variable import Variable

__all__ = ["Gradient"]


class Gradient(Variable):
    """Feedback in words, with the samples it came from.

    A `Gradient` is never changed once made, so that its identity says "the same feedback": an op that only
    passes feedback on (a sum, a split) passes on the same object, and a node that meets it twice counts it once.

    Attributes:
        data: the feedback; ``""`` where there was nothing to improve.
        role: what the feedback is about.
        samples: ids of the samples it came from, in order.
        index: position of the sample in a batched Variable's list, or None: it is about the whole value.
        sources: texts of those samples, so that an optimizer can check that none was copied into a prompt.
        goal: what the score at the end of the path measures.
    """

    __slots__ = ("goal", "index", "samples", "sources")

    _extra: ClassVar[tuple[str, ...]] = ("samples", "index", "sources", "goal")

    def __init__(
        self,
        data: str = "",
        role: str = "",
        *,
        samples: tuple[str, ...] = (),
        index: int | None = None,
        sources: tuple[str, ...] = (),
        goal: str = "",
    ) -> None:
        super().__init__(data, role)
        self.samples = samples
        self.index = index
        self.sources = sources
        self.goal = goal
