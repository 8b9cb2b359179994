"""A text of a prompt, covered greedily by the longest runs it has in common with stored texts (greedy string tiling).

Of runs of the same length the most recent carrier's is taken: text that came A -> B -> C is explained by B.  A carrier
that lost is told of.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

__all__ = ["RIVALS", "Run", "cover", "longest_runs"]

_WIDTH = 4  # bytes a token
RIVALS, FEW_RIVALS, LONG = 8, 2, 32
"""So many stretches through one place are compared; more of the same text in other answers explain nothing better.

Beside one of ``LONG`` tokens only few shorter ones are.  What is longer than that one goes on beyond its ends, and is
found there; equals are needed, as several may have been used.
"""


class Run(NamedTuple):
    """Tokens ``[start, end)`` of the prompt's text are those of stored text ``carrier`` from ``origin`` on."""

    start: int
    end: int
    carrier: int
    origin: int


class _Stored(Protocol):
    data: bytes


def longest_runs(
    data: bytes, seeds: Iterable[tuple[int, int, int]], stored: Callable[[int], _Stored], least: int
) -> list[Run]:
    """The longest runs through ``seeds`` (place in the prompt, carrier, place in it), each once.

    Seeds come in order of their place in the prompt, and at a place the best ones first.  One with fewer than
    ``least`` tokens in common is dropped.
    """
    reached: dict[tuple[int, int], int] = {}
    ends: list[int] = []  # a heap: where the runs through the place end
    long = 0  # where the longest of them that are long ends
    runs = []
    for place, carrier, origin in seeds:
        diagonal = (carrier, origin - place)
        if reached.get(diagonal, -1) > place:
            continue
        while ends and ends[0] < place + least:
            heapq.heappop(ends)
        if len(ends) >= RIVALS or (long > place and sum(end < long for end in ends) >= FEW_RIVALS):
            continue
        other = stored(carrier).data
        ahead = _same_ahead(data, place, other, origin)
        if ahead < least:
            continue
        back = _same_behind(data, place, other, origin)
        reached[diagonal] = place + ahead
        heapq.heappush(ends, place + ahead)
        if back + ahead >= LONG:
            long = max(long, place + ahead)
        runs.append(Run(place - back, place + ahead, carrier, origin - back))
    return runs


def cover(
    runs: list[Run], least: Callable[[Run], int], derived: Callable[[int, int], bool]
) -> tuple[list[Run], list[Run]]:
    """The runs that explain the text, without overlap, and those that lost their whole stretch to another carrier.

    ``least(run)``: how short the run may become when a longer one takes a part of it.
    ``derived(a, b)``: whether carrier ``b`` comes from a call that read carrier ``a``.  Of two equal texts of which
    neither comes from the other, each explains one of two copies.
    """
    chosen: list[Run] = []
    lost: list[Run] = []
    owner: list[Run | None] = [None] * max((run.end for run in runs), default=0)
    used: dict[tuple[int, int, int], int] = {}  # a carrier's stretch -> how often it has explained something
    heap = [_entry(run) for run in runs]
    heapq.heapify(heap)
    while heap:
        run = heapq.heappop(heap)[-1]
        left = _free(run, owner)
        if left is None or left.end - left.start < least(left):
            lost.append(run)
        elif left != run:
            heapq.heappush(heap, _entry(left))
        else:
            rivals = [run]
            while heap and heap[0][0] == run.start - run.end and _same_place(heap, run):
                rivals.append(heapq.heappop(heap)[-1])
            best = _best(rivals, used, derived)
            chosen.append(best)
            lost += [rival for rival in rivals if rival is not best]
            owner[best.start : best.end] = [best] * (best.end - best.start)
            stretch = (best.carrier, best.origin, best.end - best.start)
            used[stretch] = used.get(stretch, 0) + 1
    return sorted(chosen), sorted(lost)


def _entry(run: Run) -> tuple[int, int, int, int, Run]:
    # Longest first; equals side by side, the most recent first.
    return run.start - run.end, run.start, -run.carrier, run.origin, run


def _same_place(heap: list[tuple[int, int, int, int, Run]], run: Run) -> bool:
    return heap[0][-1].start == run.start and heap[0][-1].end == run.end


def _best(rivals: list[Run], used: dict[tuple[int, int, int], int], derived: Callable[[int, int], bool]) -> Run:
    latest = rivals[0]
    if len(rivals) == 1:
        return latest

    def times(run: Run) -> int:
        return used.get((run.carrier, run.origin, run.end - run.start), 0)

    fair = [
        latest,
        *(run for run in rivals[1:] if times(run) < times(latest) and not derived(run.carrier, latest.carrier)),
    ]
    return min(fair, key=times)


def _free(run: Run, owner: list[Run | None]) -> Run | None:
    # A chosen run is at least as long as this one, so only its ends can be taken, or all of it.
    start, end = run.start, run.end
    while start < end and (other := owner[start]) is not None:
        start = other.end
    while end > start and (other := owner[end - 1]) is not None:
        end = other.start
    return Run(start, end, run.carrier, run.origin + start - run.start) if start < end else None


def _same_ahead(data: bytes, place: int, other: bytes, origin: int) -> int:
    start, begin = place * _WIDTH, origin * _WIDTH
    most = min(len(data) - start, len(other) - begin)
    same = 0
    for size in _steps(most):
        # The first byte that differs is the highest in the numbers' difference; all of this is done in C.
        one, two = data[start + same : start + same + size], other[begin + same : begin + same + size]
        if different := int.from_bytes(one, "big") ^ int.from_bytes(two, "big"):
            return (same + size - (different.bit_length() + 7) // 8) // _WIDTH
        same += size
    return same // _WIDTH


def _same_behind(data: bytes, place: int, other: bytes, origin: int) -> int:
    end, stop = place * _WIDTH, origin * _WIDTH
    same = 0
    for size in _steps(min(end, stop)):
        one, two = data[end - same - size : end - same], other[stop - same - size : stop - same]
        if different := int.from_bytes(one, "little") ^ int.from_bytes(two, "little"):
            return (same + size - (different.bit_length() + 7) // 8) // _WIDTH
        same += size
    return same // _WIDTH


def _steps(most: int) -> Iterator[int]:
    """Sizes that add up to ``most``: small ones first, as most runs are short."""
    size = 16 * _WIDTH
    while most:
        yield min(size, most)
        most -= min(size, most)
        size *= 4
