"""The current subrun: which part of a recording the code that runs belongs to."""

from __future__ import annotations

import threading
from collections import Counter
from contextvars import ContextVar
from typing import Any

__all__ = ["Subrun", "current", "set_process_subrun"]


class Subrun:
    """A recording, or a part of it.

    Attributes:
        id: its Run.
        name: as given; the server adds a number where it is taken.
        parent: what it is a part of; None: it is the recording itself.
        lineage: the names on the way to it, each with a number where its siblings have the same: it is the same in a
            rerun, however the parts' threads are scheduled, as long as equal names begin in the same order.
    """

    __slots__ = ("_index", "_lock", "_names", "_occurrences", "id", "lineage", "name", "parent")

    def __init__(self, id: str, name: str | None, parent: Subrun | None, lineage: str) -> None:
        self.id, self.name, self.parent, self.lineage = id, name, parent, lineage
        self._lock = threading.Lock()
        self._names: Counter[str] = Counter()
        self._occurrences: Counter[tuple[str, str]] = Counter()
        self._index = 0

    def part(self, id: str, name: str | None) -> Subrun:
        """A new part of it."""
        label = (name or "").replace("/", "_")
        with self._lock:
            self._names[label] += 1
            number = self._names[label]
        return Subrun(id, name, self, f"{self.lineage}/{label}" + (f"#{number}" if number > 1 else ""))

    def next(self, key: str, site: str) -> tuple[int, int]:
        """Number of the call in the subrun, and how often this request was made from this place before; from 0."""
        with self._lock:
            index, self._index = self._index, self._index + 1
            occurrence = self._occurrences[key, site]
            self._occurrences[key, site] += 1
        return index, occurrence

    def __reduce__(self) -> Any:
        return (Subrun, (self.id, self.name, self.parent, self.lineage))


_here: ContextVar[Subrun | None] = ContextVar("ao_subrun", default=None)
_process: Subrun | None = None


def current() -> Subrun | None:
    """The subrun of this context, else that of the process, else None: nothing is recorded."""
    return _here.get() or _process


def set_process_subrun(subrun: Subrun | None) -> None:
    """What threads and tasks belong to that are in no subrun."""
    global _process
    _process = subrun


enter = _here.set
leave = _here.reset
