"""What the index answers: edges, and the places in texts they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Edge", "Link", "Span"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a body: the JSON pointer of a leaf, and characters ``[start, end)`` of the leaf's text.

    A number's text is as JSON writes it.
    """

    path: str
    start: int
    end: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"path": self.path, "start": self.start, "end": self.end}


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """Where the text is in the request (``target``), and where it was in the earlier answer (``source``)."""

    target: Span
    source: Span


@dataclass(frozen=True, slots=True)
class Edge:
    """Text went from the answer of call ``source`` into the request of call ``target``.

    There is at most one edge for a pair of calls.

    Attributes:
        confidence: 0 to 1; how hard it is to believe that the texts are the same by chance.
        weak: too little to be shown without being asked for: a short or frequent value, words of the program.
        alternative: the text may have come this way too, but a longer or more recent carrier explains it.
        links: where, in order of the request; at least one.
    """

    source: str
    target: str
    confidence: float
    weak: bool
    alternative: bool
    links: tuple[Link, ...]
    kind: str = "content"

    @property
    def shown(self) -> bool:
        """Whether a graph shows it without being asked for weak or alternative edges."""
        return not self.weak and not self.alternative

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the names that the graph's rows have."""
        return {
            "from": self.source,
            "to": self.target,
            "kind": self.kind,
            "confidence": self.confidence,
            "weak": self.weak,
            "alternative": self.alternative,
            "spans": [{"from": link.source.as_dict(), "to": link.target.as_dict()} for link in self.links],
        }
