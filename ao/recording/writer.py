"""The writer: puts what happened into the journal; what is short at once, what is long in a thread."""

from __future__ import annotations

import importlib
import os
import time
from _queue import SimpleQueue
from _thread import allocate_lock
from collections import deque

from ao.recording.plain_json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    from ao.recording.journal import Journal

    Fields: TypeAlias = Callable[[], Mapping[str, Any] | bytes]

__all__ = ["LONG", "Writer"]

LONG = 2**17
"""Bytes of request and answer from which on a record is written by the thread.

To write a short one takes some 50 microseconds: less than to wake a thread, which would take the interpreter from the
script at once; and a script that is killed right after a call has the call written.  To read and write a long one would
hold up the script's event loop.
"""
LONGEST_PAUSE = 10.0
"""Seconds that a fork waits for a record to be written."""


class Writer:
    """Appends records to a journal of this process, in the order they were put.

    Args:
        journal: the journal, or what makes it when it is needed.
        say: told, in a sentence, of what could not be written.
        inline: make no thread for long records either: in a child process, which may be killed or leave by
            ``os._exit`` as soon as its task is done.
    """

    def __init__(
        self, journal: Journal | Callable[[], Journal], say: Callable[[str], None], *, inline: bool = False
    ) -> None:
        self._journal: Journal | None = None if callable(journal) else journal
        self._make = journal if callable(journal) else None
        self._say = say
        self._queue: deque[tuple[str, Fields, int]] = deque()
        self._wakes: SimpleQueue[bool] = SimpleQueue()
        self._thread: Any = None
        self._starting = allocate_lock()  # held by who makes the thread or ends it
        self._writing = allocate_lock()  # held by who takes from the queue
        self._inline = inline
        self._done = 0
        self.failed = 0

    def put(self, kind: str, fields: Fields, size: int = 0) -> None:
        """Have a record written.  Waits for no lock: it may be called from a finalizer.

        When this returns the record is written, or another thread is at it.

        Args:
            kind: of the record.
            fields: makes it; called when it is written, perhaps in the writer's thread.
            size: bytes that ``fields`` has to read, roughly.
        """
        self._queue.append((kind, fields, size))
        if self._inline or size < LONG:
            self._drain()
        else:
            self._wake()

    def put_now(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Write a plain record here and now; all that was put before is written."""
        if self._journal is not None:
            self._journal.append(kind, dumps(fields).encode())

    def flush(self, patience: float) -> bool:
        """Write all that was put before; whether it is written.

        Args:
            patience: seconds to wait while another thread writes nothing at all.
        """
        before = -1
        while not self._writing.acquire(timeout=patience):
            if before == self._done:
                return False
            before = self._done
        try:
            self._take_all(long=True)
        finally:
            self._writing.release()
        self._go_on()
        return True

    def close(self) -> None:
        """Let go of the journal; all is written."""
        if self._journal is not None:
            self._journal.close()
            self.failed += self._journal.lost
            self._journal = None

    def pause(self) -> bool:
        """Before a fork: let the thread end, so that no lock is held that a child needs.

        A process of several threads that forks is warned by newer Pythons; a script of one thread shall stay one.
        """
        if not self._starting.acquire(timeout=LONGEST_PAUSE):
            return False
        thread = self._thread
        if thread is not None:
            self._wakes.put(False)
            thread.join(LONGEST_PAUSE)
            _wait_for_end(thread.native_id)
        if self._writing.acquire(timeout=LONGEST_PAUSE):
            return True
        self._starting.release()
        return False

    def resume(self) -> None:
        """After a fork, in the parent."""
        self._writing.release()
        self._starting.release()
        self._go_on()

    def abandon(self) -> None:
        """After a fork, in the child: the journal is the parent's."""
        if self._journal is not None:
            self._journal.abandon()

    def _wake(self) -> None:
        """Have the thread write; it is made when it is needed."""
        self._wakes.put(True)
        if self._thread is not None or not self._starting.acquire(blocking=False):
            return  # who holds the lock is at it, and will find what was put
        try:
            if self._thread is None:
                threading = importlib.import_module("threading")
                thread = threading.Thread(target=self._run, name="ao-writer", daemon=True)
                thread._ao_ours = True  # it belongs to no subrun
                thread.start()
                self._thread = thread
        except RuntimeError:  # the interpreter is about to end and makes no more threads
            self._inline = True
        finally:
            self._starting.release()
        if self._inline:
            self._drain()

    def _run(self) -> None:
        while self._wakes.get():
            while self._queue:
                with self._writing:
                    self._take_all(long=True)
        self._thread = None

    def _go_on(self) -> None:
        """Write, or have written, what others put while the lock was held: they left it to who holds it."""
        self._drain()
        if self._queue:
            self._wake()

    def _drain(self) -> None:
        """Write what is short; one thread at a time, the others leave theirs to it."""
        while self._next() < LONG and self._writing.acquire(blocking=False):
            try:
                self._take_all(long=self._inline)
            finally:
                self._writing.release()

    def _next(self) -> float:
        """Size of the next record that may be written here; infinite: there is none."""
        try:
            size = self._queue[0][2]
        except IndexError:
            return float("inf")
        return 0 if self._inline else size

    def _take_all(self, *, long: bool) -> None:
        """Write what is there, up to the first long record unless ``long``; the lock is held."""
        while self._queue and (long or self._queue[0][2] < LONG):  # nobody else takes from it
            kind, fields, _ = self._queue.popleft()
            try:
                self._write(kind, fields)
            except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on
                self.failed += 1
                if self.failed == 1:
                    self._say(f"A call could not be recorded ({type(error).__name__}: {error}).")
            self._done += 1

    def _write(self, kind: str, fields: Fields) -> None:
        told = fields()
        content = told if isinstance(told, bytes) else _to_json()(told)
        if self._journal is None:
            assert self._make is not None
            self._journal = self._make()
        self._journal.append(kind, content)


_known: list[Callable[[Mapping[str, Any]], bytes]] = []


def _to_json() -> Callable[[Mapping[str, Any]], bytes]:
    """Imported here and not above: a script that makes no call does not pay for it."""
    if not _known:
        _known.append(importlib.import_module("ao.recording.to_json").to_json)  # layers: when used
    return _known[0]


def _wait_for_end(thread: int | None) -> None:
    """Python forgets a thread a moment before the system does, and counts by the system's list when it warns."""
    path = f"/proc/self/task/{thread}"
    end = time.monotonic() + LONGEST_PAUSE
    while os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.0001)
