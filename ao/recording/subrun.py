"""Subruns: which part of a recording the code that runs belongs to."""

from __future__ import annotations

from _contextvars import ContextVar
from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ao.recording.recording import Recording  # layers: types only

__all__ = ["Subrun", "current", "enter", "leave", "set_process_subrun"]


class Subrun:
    """A recording, or a part of it.

    Attributes:
        id: its Run.
        name: as given; the server adds a number where it is taken.
        parent: what it is a part of; None: it is the recording itself.
        lineage: the names on the way to it, each with a number where its siblings have the same: it is the same in a
            rerun, however the parts' threads are scheduled, as long as equal names begin in the same order.
        recording: the one it belongs to, in this process; None where it came from another process.
    """

    __slots__ = ("_index", "_lock", "_names", "_occurrences", "id", "lineage", "name", "parent", "recording")

    def __init__(self, id: str, name: str | None, parent: Subrun | None, lineage: str) -> None:
        self.id, self.name, self.parent, self.lineage = id, name, parent, lineage
        self.recording: Recording | None = None if parent is None else parent.recording
        self._lock = allocate_lock()
        self._names: dict[str, int] = {}
        self._occurrences: dict[tuple[str, str], int] = {}
        self._index = 0

    @property
    def root(self) -> Subrun:
        """The recording it is a part of."""
        return self if self.parent is None else self.parent.root

    def part(self, id: str, name: str | None) -> Subrun:
        """A new part of it."""
        label = (name or "").replace("/", "_")
        with self._lock:
            number = self._names[label] = self._names.get(label, 0) + 1
        return Subrun(id, name, self, f"{self.lineage}/{label}" + (f"#{number}" if number > 1 else ""))

    def next(self, key: str, site: str) -> tuple[int, int]:
        """Number of the call in the subrun, and how often this request was made from this place before; from 0."""
        with self._lock:
            index, self._index = self._index, self._index + 1
            occurrence = self._occurrences.get((key, site), 0)
            self._occurrences[key, site] = occurrence + 1
        return index, occurrence

    def forked(self) -> None:
        """In the child of a fork: a thread of the parent may have held the lock, and is not here to give it back.

        What the child does is numbered from the start: it is told from its parent's by the process.
        """
        self._lock = allocate_lock()
        self._occurrences = {}
        if self.parent is not None:
            self.parent.forked()

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
