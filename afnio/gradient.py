"""`Gradient`: one piece of feedback on its way back through the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from afnio.variable import Variable

__all__ = ["NO_TRAIL", "Gradient", "Trail"]


class Trail:
    """Texts, and those of the trails before it: a union that copies nothing, read only where it is needed.

    In a chain of calls each piece of feedback rests on the texts of all calls after it.  As trails they take
    linear space, as tuples quadratic.
    """

    __slots__ = ("before", "texts")

    def __init__(self, texts: Sequence[str], before: Sequence[Trail] = ()) -> None:
        self.texts, self.before = texts, before

    def read(self) -> tuple[str, ...]:
        """Every text once, its own first.  Iterative: a trail may be long."""
        found: dict[str, None] = {}
        seen: set[int] = set()
        stack = [self]
        while stack:
            trail = stack.pop()
            if id(trail) not in seen:
                seen.add(id(trail))
                found.update(dict.fromkeys(trail.texts))
                stack.extend(reversed(trail.before))
        return tuple(found)


NO_TRAIL = Trail(())


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
        trail: the same, not read yet.
        goal: what the score at the end of the path measures.
    """

    __slots__ = ("goal", "index", "samples", "trail")

    _extra: ClassVar[tuple[str, ...]] = ("samples", "index", "sources", "goal")

    def __init__(
        self,
        data: str = "",
        role: str = "",
        *,
        samples: tuple[str, ...] = (),
        index: int | None = None,
        sources: tuple[str, ...] | Trail = (),
        goal: str = "",
    ) -> None:
        super().__init__(data, role)
        self.samples = samples
        self.index = index
        self.trail = sources if isinstance(sources, Trail) else Trail(sources) if sources else NO_TRAIL
        self.goal = goal

    @property
    def sources(self) -> tuple[str, ...]:
        """Texts of the samples it came from, each once."""
        return self.trail.read()

    @sources.setter
    def sources(self, texts: Sequence[str]) -> None:
        self.trail = Trail(tuple(texts))
