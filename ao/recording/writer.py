"""The writer: puts what happened into the journal; at once, or in a thread where that would hold up others.

To write a short record takes some 50 microseconds: less than to wake a thread, which would take the interpreter from
the script at once.  And a script that is killed right after a call has the call written.
"""

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

__all__ = ["Writer"]

LONGEST_PAUSE = 10.0
"""Seconds that a fork waits for a record to be written."""


class Writer:
    """Appends records to a journal of this process, in the order they were put.

    Args:
        make: makes the journal when there is none.
        say: told, in a sentence, of what could not be written.
        journal: the journal.
        inline: make no thread for any record: in a child process, which may be killed or leave by
            ``os._exit`` as soon as its task is done.
    """

    def __init__(
        self, make: Callable[[], Journal], say: Callable[[str], None], journal: Journal | None = None, *, inline: bool
    ) -> None:
        self._make, self._journal = make, journal
        self._say = say
        self._queue: deque[tuple[str, Fields, bool]] = deque()
        self._wakes: SimpleQueue[bool] = SimpleQueue()
        self._thread: Any = None
        self._starting = allocate_lock()  # held by who makes the thread or ends it
        self._writing = allocate_lock()  # held by who takes from the queue
        self._inline = inline
        self._done = 0
        self.failed = 0

    def put(self, kind: str, fields: Fields, *, later: bool = False) -> None:
        """Have a record written.  Waits for no lock: it may be called from a finalizer.

        When this returns the record is written, or another thread is at it.

        Args:
            kind: of the record.
            fields: makes it; called when it is written, perhaps in the writer's thread.
            later: have the thread write it.
        """
        self._queue.append((kind, fields, later and not self._inline))
        if later and not self._inline:
            self._wake()
        else:
            self._drain()

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
            self._take_all(theirs=True)
        finally:
            self._writing.release()
        self._go_on()
        return True

    def close(self, patience: float) -> None:
        """Let go of the journal; all is written.  What a thread puts from now on goes into another one.

        Args:
            patience: seconds to wait for a thread that writes just now.
        """
        free = self._writing.acquire(timeout=patience)
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()
            self.failed += journal.lost
        if free:
            self._writing.release()
            self._go_on()

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
                    self._take_all(theirs=True)
        self._thread = None

    def _go_on(self) -> None:
        """Write, or have written, what others put while the lock was held: they left it to its holder."""
        self._drain()
        if self._queue:
            self._wake()

    def _drain(self) -> None:
        """Write what is not the thread's; one at a time, the others leave theirs to it."""
        while self._is_ours() and self._writing.acquire(blocking=False):
            try:
                self._take_all(theirs=False)
            finally:
                self._writing.release()

    def _is_ours(self) -> bool:
        """Whether there is a record, and the first one is not the thread's."""
        try:
            return not self._queue[0][2] or self._inline
        except IndexError:
            return False

    def _take_all(self, *, theirs: bool) -> None:
        """Write what is there, up to the first record of the thread's unless ``theirs``; the lock is held."""
        while self._queue and (theirs or self._inline or not self._queue[0][2]):  # nobody else takes from it
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
