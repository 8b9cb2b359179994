"""What stood before where a value stands now: programs fill templates, and mostly from one source.

A single word amid a sentence says little by itself.  Where the same template had a word of the program's own in this
place, another word that some answer happens to have is chance, as in a loop over a list of the program.  Where it had
something of an answer, it is one more of a kind.  Only asked when a verdict hangs on it, so nothing is indexed: the
latest texts that were asked are searched.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import NamedTuple

__all__ = ["FED", "OWN", "UNKNOWN", "Slots"]

OWN, UNKNOWN, FED = -1, 0, 1
"""The template was filled by the program itself, was not seen, was filled from answers."""

ASKED = 32
"""So many of the latest texts that were asked are remembered."""
LONGEST = 6
"""Tokens of what fills a place, at most."""
_WIDTH = 4  # bytes a token


class _Asked(NamedTuple):
    data: bytes
    explained: tuple[tuple[int, int], ...]


class Slots:
    """The latest texts that were asked, and which tokens of them came from answers."""

    def __init__(self) -> None:
        self._asked: deque[_Asked] = deque(maxlen=ASKED)

    def add(self, data: bytes, explained: list[tuple[int, int]]) -> None:
        """A text was asked, as tokens of four bytes each; those in ``explained`` ranges came from answers."""
        self._asked.appendleft(_Asked(data, tuple(explained)))

    def filled(self, ids: list[int], start: int, end: int) -> int:
        """Who filled the place of tokens ``[start, end)`` before, `OWN`, `FED` or `UNKNOWN`; by most of the cases."""
        value = array("I", ids[start:end]).tobytes()
        fed = own = 0
        around = [
            (before, after)
            for left, right in ((2, 1), (1, 2))
            if (before := _side(ids, start - left, start)).says + (after := _side(ids, end, end + right)).says > 2
        ]
        for asked in self._asked:
            found = None
            for sides in around:
                found = found or _filling(asked.data, *sides)
            if found and asked.data[found[0] * _WIDTH : found[1] * _WIDTH] != value:
                explained = any(first < found[1] and last > found[0] for first, last in asked.explained)
                fed, own = fed + explained, own + (not explained)
        return FED if fed > own else OWN if own else UNKNOWN


class _Side(NamedTuple):
    data: bytes
    edge: bool  # whether the text begins, or ends, there

    @property
    def says(self) -> int:
        """How many tokens it is; an edge counts as one."""
        return len(self.data) // _WIDTH + self.edge


def _side(ids: list[int], start: int, end: int) -> _Side:
    data = array("I", ids[max(start, 0) : end]).tobytes()
    return _Side(data, len(data) < (end - start) * _WIDTH)


def _filling(data: bytes, left: _Side, right: _Side) -> tuple[int, int] | None:
    """Tokens of ``data`` between these two sides; None if it has no such place."""
    place = 0 if left.edge and data.startswith(left.data) else -1 if left.edge else _find(data, left.data, 0)
    while place >= 0:
        start = place + len(left.data)
        most = min(start + LONGEST * _WIDTH, len(data))
        if right.edge:
            end = len(data) - len(right.data)
            end = end if start < end <= most and data.endswith(right.data) else -1
        else:
            end = _find(data, right.data, start + _WIDTH, most + len(right.data))
        if end >= 0:
            return start // _WIDTH, end // _WIDTH
        place = -1 if left.edge else _find(data, left.data, place + _WIDTH)
    return None


def _find(data: bytes, part: bytes, start: int, end: int | None = None) -> int:
    """Where ``part`` begins in ``data``, at the beginning of a token; -1: nowhere."""
    place = data.find(part, start, end)
    while place >= 0 and place % _WIDTH:
        place = data.find(part, place + 1, end)
    return place
